package fold

import (
	"crypto/sha256"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
)

// Rows of totals may be behind the records (Settle). A checkpoint therefore says which accounts have such rows: nothing
// but the checkpoint is read of the records before it. The accounts hold the totals themselves, of the present hour and
// dates. Those of earlier ones are on disk, because the record or the Advance that begins the next puts them.

const unsettledKey = "unsettled" // in journal.Meta: the accounts that were behind at the last checkpoint

// mostUnsettled is how many accounts a checkpoint leaves behind at the most. With more of them it settles, so that no
// call of Settle ever has many more than those that the records between two checkpoints concern.
const mostUnsettled = 1 << 16

// unsettled is the accounts whose rows of totals are behind.
type unsettled struct{ campaigns, advertisers []hexbid.UID }

func (u *unsettled) fields(c *codec) {
	numbers(c, 1, &u.campaigns)
	numbers(c, 2, &u.advertisers)
}

// encode encodes the accounts, and a hash of them.
func (u *unsettled) encode() []byte {
	var c codec
	u.fields(&c)
	print := sha256.Sum256(c.bytes)
	array(&c, 3, print[:])
	return c.bytes
}

func decodeUnsettled(value []byte) (u unsettled, err error) {
	c := codec{decoding: true, bytes: value}
	u.fields(&c)
	var stated Hash
	print := sha256.Sum256(value[:len(value)-len(c.bytes)])
	array(&c, 3, stated[:])
	if stated != print {
		c.fail()
	}
	return u, c.end("accounts with totals that are not written")
}

// putUnsettled puts the accounts whose rows are behind, or settles if they are too many.
func (b *Books) putUnsettled(w *journal.Batch) {
	if len(b.unsettled)+len(b.unsettledDays) > mostUnsettled {
		b.Settle(w)
	}
	var u unsettled
	for _, c := range b.unsettled {
		u.campaigns = append(u.campaigns, c.uid)
	}
	for _, a := range b.unsettledDays {
		u.advertisers = append(u.advertisers, a.Advertiser)
	}
	put(w, journal.Meta, []byte(unsettledKey), u.encode())
}

// unsettle lists the accounts whose rows were behind at the checkpoint that the books are of, unless they have been
// written since.
func (b *Books) unsettle(v journal.View) error {
	settled, err := SettledAt(v)
	if err != nil || settled+1 >= b.last.Sequence {
		return err
	}
	value, err := v.Get(journal.Meta, []byte(unsettledKey))
	if err != nil {
		return err
	}
	u, err := decodeUnsettled(value)
	if err != nil {
		return err
	}
	for _, uid := range u.campaigns {
		c := b.campaigns[uid]
		if c == nil || c.activity == nil {
			return faulty(b.last.Sequence, "leaves totals of campaign %d behind, which has none", uid)
		}
		a := c.activity
		a.hourUnsettled, a.dayUnsettled, a.postedUnsettled = true, true, a.onPosted != AdvertiserTotals{}
		a.listed, b.unsettled = true, append(b.unsettled, c)
	}
	for _, uid := range u.advertisers {
		a := b.advertisers[uid]
		if a == nil {
			return faulty(b.last.Sequence, "leaves totals of advertiser %d behind, which is none", uid)
		}
		a.unsettled, b.unsettledDays = true, append(b.unsettledDays, a)
	}
	return nil
}
