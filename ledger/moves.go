package ledger

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

// move is a movement or a credit on its way.
type move struct {
	body  fold.Body // *fold.Movement or *fold.Credit
	ahead []byte
	first lookup // the record that answered the request id

	record uint64
	again  bool // record answered the same request id before
}

// Move tops an advertiser's balance up, withdraws from it, or changes how it is billed. The same request id and content
// return the first answer; the same id with other content is refused as AlreadyExists. The ledger sets the dates.
func (l *Ledger) Move(ctx context.Context, m fold.Movement) (Moved, error) {
	if err := checkRequestID(m.RequestID); err != nil {
		return Moved{}, err
	}
	m.Ruling = fold.Ruling{}
	return l.move(ctx, &move{body: &m, ahead: fold.EncodeAhead(&m), first: requestLookup(m.Advertiser, m.RequestID)})
}

func checkRequestID(id string) error {
	if id == "" || len(id) > hexbid.MaxRequestIDBytes {
		return hexbid.Invalidf("request_id", "%q has %d bytes: give 1 to %d", hexbid.Shorten(id), len(id),
			hexbid.MaxRequestIDBytes)
	}
	return nil
}

// Credit gives charges back: those that Charges names, with Amounts, or an Amount of what a campaign was charged. An
// amount of 0 stands for all of a charge that is not credited yet. Campaign may be 0 beside charges, which are all of
// one campaign. The ledger reads what the charges were, and sets the dates. Request ids are as for Move.
func (l *Ledger) Credit(ctx context.Context, c fold.Credit) (Moved, error) {
	if err := checkRequestID(c.RequestID); err != nil {
		return Moved{}, err
	}
	c.Ruling = fold.Ruling{}
	if err := checkCredit(&c); err != nil {
		return Moved{}, err
	}
	sortCharges(&c)
	if err := l.ReadSynced(ctx, func(v journal.View) error { return readCharges(v, &c) }); err != nil {
		return Moved{}, err
	}
	return l.move(ctx, &move{body: &c, first: requestLookup(c.Advertiser, c.RequestID)})
}

func checkCredit(c *fold.Credit) error {
	if n := len(c.Charges); n > hexbid.MaxCreditedCharges || len(c.Amounts) != n {
		return hexbid.Invalidf("charges", "%d charges with %d amounts: give at most %d, and an amount for each", n,
			len(c.Amounts), hexbid.MaxCreditedCharges)
	}
	for i, amount := range c.Amounts {
		if amount < 0 || amount > hexbid.MaxTransfer {
			return hexbid.Invalidf("charges", "charge %d: %s is out of range: use 1 to %d, or 0 for all that is left",
				c.Charges[i], amount.Micros(), int64(hexbid.MaxTransfer))
		}
	}
	return nil
}

// sortCharges puts the charges of a credit in ascending order, in memory of its own.
func sortCharges(c *fold.Credit) {
	order := make([]int, len(c.Charges))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(c.Charges[a], c.Charges[b]) })
	charges, amounts := make([]uint64, len(order)), make([]hexbid.Money, len(order))
	for to, from := range order {
		charges[to], amounts[to] = c.Charges[from], c.Amounts[from]
	}
	if len(order) > 0 {
		c.Charges, c.Amounts = charges, amounts
	}
}

// readCharges reads what each charge of a credit had charged, and the campaign if the credit does not name it.
func readCharges(v journal.View, c *fold.Credit) error {
	c.Charged = nil
	for _, sequence := range c.Charges {
		event, err := readCharge(v, sequence)
		if err != nil {
			return err
		}
		if c.Campaign == 0 {
			c.Campaign = event.Award.Campaign
		}
		if event.Award.Campaign != c.Campaign || event.Award.Advertiser != c.Advertiser {
			return hexbid.Invalidf("charges", "charge %d is of another campaign (uid %d): a credit is for one campaign of "+
				"its advertiser", sequence, event.Award.Campaign)
		}
		c.Charged = append(c.Charged, event.Charged)
	}
	return nil
}

func readCharge(v journal.View, sequence uint64) (*fold.Event, error) {
	record, _, err := readRecord(v, sequence)
	if err != nil {
		return nil, err
	}
	if record != nil {
		if event, ok := record.Body.(*fold.Event); ok && event.Charged > 0 {
			return event, nil
		}
	}
	return nil, hexbid.Errorf(hexbid.NotFound, "charges", "record %d is no charge", sequence)
}

// requestLookup looks for the record that answered a request id.
func requestLookup(advertiser hexbid.UID, id string) lookup {
	key := fold.RequestKey(advertiser, id)
	return lookup{key: recentKeyOf(journal.Requests, key), read: func(v journal.View) (uint64, error) {
		return readIndex(v, journal.Requests, key)
	}}
}

// move has the owner record a movement or a credit, and reads the answer from its record.
func (l *Ledger) move(ctx context.Context, m *move) (Moved, error) {
	if err := l.ReadSynced(ctx, m.first.look); err != nil {
		return Moved{}, err
	}
	if err := l.ask(ctx, newRequest(m.judge)); err != nil {
		return Moved{}, err
	}
	var moved Moved
	if err := l.ReadSynced(ctx, func(v journal.View) (err error) {
		moved, err = m.answer(v)
		return err
	}); err != nil {
		return Moved{}, err
	}
	return moved, nil
}

// judge records a movement or a credit, unless its request id has been answered.
func (m *move) judge(o *owner) error {
	if err := o.readClock(); err != nil {
		return err
	}
	first, err := o.find(&m.first)
	if err != nil {
		return err
	}
	if first != 0 {
		m.record, m.again = first, true
		return nil
	}
	if err := m.decide(o); err != nil {
		return err
	}
	at, err := o.append(m.body, m.ahead)
	if err != nil {
		return err
	}
	m.record = at.Sequence
	o.recent.put(m.first.key, at.Sequence, at.Sequence, o.synced)
	return nil
}

// decide stamps the dates, and has the books say what forbids the movement or the credit.
func (m *move) decide(o *owner) (err error) {
	switch body := m.body.(type) {
	case *fold.Movement:
		body.Posted = o.postedDate()
		o.batch.touched.advertiser(body.Advertiser)
		return o.books.JudgeMovement(body)
	case *fold.Credit:
		body.Posted = o.postedDate()
		if body.Date, err = o.localDate(body.Campaign); err != nil {
			return err
		}
		o.batch.touched.advertiser(body.Advertiser)
		o.batch.touched.campaign(body.Campaign)
		if err := o.resolve(body); err != nil {
			return err
		}
		return o.books.JudgeCredit(body)
	}
	return nil
}

// resolve puts the amount that is left of a charge in the place of 0, and the sum of the charges' amounts in that of
// the credit's own.
func (o *owner) resolve(c *fold.Credit) error {
	if len(c.Charges) == 0 {
		return nil
	}
	c.Amount = 0
	for i, sequence := range c.Charges {
		if c.Amounts[i] == 0 {
			c.Amounts[i] = c.Charged[i] - o.books.Credited(sequence)
		}
		if c.Amounts[i] <= 0 {
			return hexbid.Errorf(hexbid.InUse, "charges", "charge %d is credited already: leave it out", sequence)
		}
		c.Amount += c.Amounts[i]
	}
	return nil
}

// answer reads the answer from the record, which is on disk.
func (m *move) answer(v journal.View) (Moved, error) {
	record, hash, err := readRecord(v, m.record)
	if err != nil {
		return Moved{}, err
	}
	if record == nil {
		return Moved{}, missing(m.record)
	}
	if m.again && !sameRequest(m.body, record.Body) {
		return Moved{}, hexbid.Errorf(hexbid.AlreadyExists, "request_id", "record %d answered this request id, and it asked "+
			"for something else: use a new id", m.record)
	}
	moved := Moved{Sequence: record.Sequence, Hash: hash, At: time.UnixMicro(record.At).UTC(), Again: m.again}
	switch body := record.Body.(type) {
	case *fold.Movement:
		moved.Posted, moved.Amount, moved.Balance = body.Posted, body.Amount, body.Balance
	case *fold.Credit:
		moved.Posted, moved.Amount, moved.Balance = body.Posted, body.Amount, body.Balance
	}
	return moved, nil
}

// sameRequest reports whether a request asks for what a record did. Who asked and why may differ.
func sameRequest(asked, done fold.Body) bool {
	switch asked := asked.(type) {
	case *fold.Movement:
		done, ok := done.(*fold.Movement)
		return ok && asked.What == done.What && asked.Amount == done.Amount
	case *fold.Credit:
		done, ok := done.(*fold.Credit)
		return ok && asked.Campaign == done.Campaign && slices.Equal(asked.Charges, done.Charges) &&
			(len(asked.Charges) > 0 || asked.Amount == done.Amount) && sameAmounts(asked.Amounts, done.Amounts)
	}
	return false
}

// sameAmounts reports whether amounts are as asked, where 0 asks for whatever was left.
func sameAmounts(asked, done []hexbid.Money) bool {
	return slices.EqualFunc(asked, done, func(a, d hexbid.Money) bool { return a == 0 || a == d })
}
