package ledger

import (
	"context"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

// Accounts are read from the books, in the owner's goroutine. The answer waits until all that it includes is on disk.

// Standing is a campaign's account and what is left of its limits.
type Standing struct {
	fold.CampaignAccount
	LocalDate int32     // the campaign's present date, days since 1970, never below Date
	Left      fold.Left // on LocalDate
	AsOf      uint64    // the last record that the account includes
}

// MaxAccounts is how many accounts one call returns at most.
const MaxAccounts = 10_000

// standing adds what is left at the present to an account.
func (o *owner) standing(account *fold.CampaignAccount) Standing {
	date, err := o.localDate(account.Campaign)
	if err != nil {
		date = account.Date // a zone that this machine has lost
	}
	date = max(date, account.Date)
	return Standing{CampaignAccount: *account, LocalDate: date, Left: o.books.Left(account.Campaign, date),
		AsOf: o.books.Last().Sequence}
}

// readBooks runs f on the books, and returns when all that it saw is on disk.
func (l *Ledger) readBooks(ctx context.Context, f func(o *owner) error) error {
	return l.ask(ctx, newRequest(func(o *owner) error {
		o.now = max(o.now, l.clock.now()) // reading goes on while the clock is wrong
		return f(o)
	}))
}

// Campaign returns how a campaign stands. It is NotFound for a uid that never had terms.
func (l *Ledger) Campaign(ctx context.Context, uid hexbid.UID) (Standing, error) {
	found, err := l.Standings(ctx, []hexbid.UID{uid})
	if err != nil {
		return Standing{}, err
	}
	if len(found) == 0 {
		return Standing{}, NoCampaign(uid)
	}
	return found[0], nil
}

// NoCampaign returns the error for a uid that never had terms.
func NoCampaign(uid hexbid.UID) error {
	return hexbid.Errorf(hexbid.NotFound, "campaign", "the ledger knows no campaign of uid %d", uid)
}

// NoAdvertiser returns the error for a uid that never had terms.
func NoAdvertiser(uid hexbid.UID) error {
	return hexbid.Errorf(hexbid.NotFound, "advertiser", "the ledger knows no advertiser of uid %d", uid)
}

// Standings returns how campaigns stand, all as of one record. It leaves out uids that never had terms.
func (l *Ledger) Standings(ctx context.Context, uids []hexbid.UID) ([]Standing, error) {
	if len(uids) > MaxAccounts {
		return nil, hexbid.Invalidf("uids", "%d of them: at most %d a call", len(uids), MaxAccounts)
	}
	var read []Standing
	err := l.readBooks(ctx, func(o *owner) error {
		found := make([]Standing, 0, len(uids))
		for _, uid := range uids {
			if account, known := o.books.Campaign(uid); known {
				found = append(found, o.standing(&account))
			}
		}
		read = found
		return nil
	})
	if err != nil {
		return nil, err
	}
	return read, nil
}

// Campaigns returns up to limit campaigns with a uid above after, in the order of uids, deleted ones too.
func (l *Ledger) Campaigns(ctx context.Context, after hexbid.UID, limit int) ([]Standing, error) {
	var read []Standing
	err := l.readBooks(ctx, func(o *owner) error {
		accounts := o.books.Campaigns(after, min(limit, MaxAccounts))
		found := make([]Standing, len(accounts))
		for i := range accounts {
			found[i] = o.standing(&accounts[i])
		}
		read = found
		return nil
	})
	if err != nil {
		return nil, err
	}
	return read, nil
}

// Advertiser returns how an advertiser stands. It is NotFound for a uid that never had terms.
func (l *Ledger) Advertiser(ctx context.Context, uid hexbid.UID) (fold.AdvertiserAccount, error) {
	var account fold.AdvertiserAccount
	err := l.readBooks(ctx, func(o *owner) error {
		found, known := o.books.Advertiser(uid)
		if !known {
			return NoAdvertiser(uid)
		}
		account = found
		return nil
	})
	if err != nil {
		return fold.AdvertiserAccount{}, err
	}
	return account, nil
}

// Advertisers returns up to limit advertisers with a uid above after, in the order of uids, deleted ones too.
func (l *Ledger) Advertisers(ctx context.Context, after hexbid.UID, limit int) ([]fold.AdvertiserAccount, error) {
	var read []fold.AdvertiserAccount
	err := l.readBooks(ctx, func(o *owner) error {
		read = o.books.Advertisers(after, min(limit, MaxAccounts))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return read, nil
}

// KeepOutstanding writes rows of journal.Outstanding without a sync of their own: they are durable with the next
// record.
func (l *Ledger) KeepOutstanding(rows []journal.Row) error { return l.keep(journal.Outstanding, rows) }

// KeepLearned writes rows of journal.Learned without a sync of their own: they are durable with the next record.
func (l *Ledger) KeepLearned(rows []journal.Row) error { return l.keep(journal.Learned, rows) }

// CommitLearned writes rows of journal.Learned and returns when they are durable.
func (l *Ledger) CommitLearned(ctx context.Context, rows []journal.Row) error {
	if err := allOf(journal.Learned, rows); err != nil {
		return err
	}
	return l.ask(ctx, newRequest(func(o *owner) error {
		o.batch.Rows = append(o.batch.Rows, rows...)
		return nil
	}))
}

// keep writes rows of a table outside the chain.
func (l *Ledger) keep(table journal.Table, rows []journal.Row) error {
	if err := allOf(table, rows); err != nil {
		return err
	}
	return l.journal.Keep(rows)
}

// allOf refuses rows of other tables.
func allOf(table journal.Table, rows []journal.Row) error {
	for i := range rows {
		if rows[i].Table != table {
			return hexbid.Invalidf("rows", "row %d is of table %d: rows of table %d are kept this way", i, rows[i].Table,
				table)
		}
	}
	return nil
}

// Hold runs f between two batches: everything that was acknowledged is on disk, and nothing is written until f returns.
//
// When the context ends, Hold returns its error and the ledger goes on. f has then not begun, and never does, or its
// result counts for nothing: it may go on for as long as the disk lets it, and has to clear away what it makes.
func (l *Ledger) Hold(ctx context.Context, f func() error) error {
	return l.between(ctx, newRequest(func(*owner) error { return l.left.Within(ctx, f) }))
}

// between has the owner do a request's work between two batches.
func (l *Ledger) between(ctx context.Context, r *request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case l.holds <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-l.ended:
		return errClosed
	}
	return r.wait(ctx)
}

// Now returns the ledger's time, which never goes back.
func (l *Ledger) Now() time.Time { return time.UnixMicro(l.clock.now()).UTC() }
