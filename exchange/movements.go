package exchange

import (
	"context"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
)

// Transfer tops an advertiser's balance up, withdraws from it, or changes how the advertiser pays. The same request id
// with the same content gets its first answer again; with another content the error is of kind AlreadyExists.
func (e *Exchange) Transfer(ctx context.Context, t *hexbid.Transfer) (*hexbid.Movement, error) {
	method := access.OperatorsOwn // for a type that Validate refuses
	if t.Type < hexbid.MovementTypeCount {
		method = transferMethods[t.Type]
	}
	if err := e.admit(ctx, method, t.Advertiser.Name); err != nil {
		return nil, err
	}
	if err := t.Validate(); err != nil {
		return nil, err
	}
	return inBooks(ctx, e, func(b *books) (*hexbid.Movement, error) { return b.transfer(t) })
}

// transferMethods holds the method of the contract that makes each type of transfer.
var transferMethods = [hexbid.MovementTypeCount]access.Method{hexbid.TopUp: access.CreateTopUp,
	hexbid.Withdrawal: access.CreateWithdrawal, hexbid.ToPrepaid: access.SetBilling, hexbid.ToPostpaid: access.SetBilling}

func (b *books) transfer(t *hexbid.Transfer) (*hexbid.Movement, error) {
	field := "parent"
	if t.Type == hexbid.ToPrepaid || t.Type == hexbid.ToPostpaid {
		field = "name"
	}
	advertiser, err := b.find(hexbid.KindAdvertiser, field, t.Advertiser)
	if err != nil {
		return nil, err
	}
	out := &hexbid.Movement{AdvertiserUID: advertiser, Type: t.Type, RequestID: t.RequestID, Note: t.Note,
		Principal: whoIn(b.ctx)}
	moved, err := b.ledger.Move(b.ctx, fold.Movement{Advertiser: advertiser, What: movementKinds[t.Type],
		Amount: t.Amount, RequestID: t.RequestID, Who: out.Principal, Note: t.Note})
	if err != nil {
		return nil, err
	}
	return out, b.addMoved(out, &moved)
}

var movementKinds = [hexbid.MovementTypeCount]fold.MovementKind{hexbid.TopUp: fold.TopUp,
	hexbid.Withdrawal: fold.Withdrawal, hexbid.ToPrepaid: fold.ToPrepaid, hexbid.ToPostpaid: fold.ToPostpaid}

// Credit gives charges back. Request ids are as for Transfer.
func (e *Exchange) Credit(ctx context.Context, o *hexbid.CreditOrder) (*hexbid.Movement, error) {
	if err := e.admit(ctx, access.CreateCredit, o.Advertiser.Name); err != nil {
		return nil, err
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return inBooks(ctx, e, func(b *books) (*hexbid.Movement, error) { return b.credit(o) })
}

func (b *books) credit(o *hexbid.CreditOrder) (*hexbid.Movement, error) {
	advertiser, err := b.find(hexbid.KindAdvertiser, "parent", o.Advertiser)
	if err != nil {
		return nil, err
	}
	out := &hexbid.Movement{AdvertiserUID: advertiser, Type: hexbid.Credit, RequestID: o.RequestID, Note: o.Reason,
		Principal: whoIn(b.ctx)}
	credit := fold.Credit{Advertiser: advertiser, Amount: o.Amount, RequestID: o.RequestID, Who: out.Principal,
		Note: o.Reason}
	if len(o.Charges) == 0 {
		if credit.Campaign, err = b.find(hexbid.KindCampaign, "campaign", o.Campaign); err != nil {
			return nil, err
		}
	}
	for _, c := range o.Charges {
		credit.Charges, credit.Amounts = append(credit.Charges, c.Sequence), append(credit.Amounts, c.Amount)
	}
	moved, err := b.ledger.Credit(b.ctx, credit)
	if err != nil {
		return nil, err
	}
	return out, b.addMoved(out, &moved)
}

// whoIn names the principal of a call in a record. It leaves the network address out, because a record must tell
// nothing of a person.
func whoIn(ctx context.Context) string {
	caller := hexbid.PrincipalOf(ctx)
	caller.Origin = ""
	return caller.String()
}

// addMoved adds what the ledger answered to a movement.
func (b *books) addMoved(m *hexbid.Movement, moved *ledger.Moved) error {
	account, err := b.ledger.Advertiser(b.ctx, m.AdvertiserUID)
	if err != nil {
		return err
	}
	m.Amount, m.Sequence, m.Hash, m.RecordedAt, m.LocalDate = moved.Amount, moved.Sequence, moved.Hash, moved.At.UTC(),
		hexbid.Date(moved.Posted)
	m.Balance, m.Repeated, m.Billing = moved.Balance, moved.Again, billingOf(account.Prepaid)
	m.Advertiser, err = b.name(m.AdvertiserUID, 0)
	return err
}
