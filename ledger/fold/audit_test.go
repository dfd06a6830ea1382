package fold

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/merkle"
)

// auditor reads the chain alone and checks the promises, and that each record has the rows that lead to it.
type auditor struct {
	*history
	view   journal.View
	limits map[hexbid.UID]*Terms
	dates  map[hexbid.UID]int32
	spent  map[string]hexbid.Money // "campaign/date" and "campaign"
	used   map[string]bool
	debits map[hexbid.UID]hexbid.Money
	at     int64
	opened *Record // the last HourOpened
	leaves [][]byte
	billed hexbid.Money // in the open hour
	link   Hash         // of the hour closed last
}

// audit checks the promises on the encoded records, without the books or the model: no limit in force is exceeded, a
// token is used once, a date and a stamp never go back, charges less credits are what the accounts were debited, and
// the root of an hour is that of its charges.
func (h *history) audit() {
	v, _ := h.log.View()
	a := &auditor{history: h, view: v, limits: map[hexbid.UID]*Terms{}, dates: map[hexbid.UID]int32{},
		spent: map[string]hexbid.Money{}, used: map[string]bool{}, debits: map[hexbid.UID]hexbid.Money{}}
	var previous Hash
	for i, encoded := range h.chain {
		r, err := Decode(encoded)
		if err != nil || r.Sequence != uint64(i+1) || r.Previous != previous || r.At < a.at {
			h.wrong("record %d does not follow: %+v, %v", i+1, r, err)
			return
		}
		previous, a.at = HashOf(encoded), r.At
		a.record(r, encoded)
	}
	for uid, debits := range a.debits {
		account, _ := h.books.Advertiser(uid)
		if e := account.Ever; debits != e.ToppedUp-e.Withdrawn-e.Balance+e.Owed {
			h.wrong("advertiser %d: charges less credits are %d, the account is %+v", uid, debits, e)
		}
	}
}

func (a *auditor) record(r *Record, encoded []byte) {
	switch body := r.Body.(type) {
	case *Terms:
		a.limits[body.Campaign] = body
		a.row(journal.Names, NameKey(body.Name, body.Campaign), nil)
		a.row(journal.Members, MemberKey(body.Advertiser, body.Campaign), []byte(body.Name))
	case *Event:
		a.event(body)
		a.row(journal.Answers, AnswerKey(body.Token, body.Kind, body.Award.ClickExpiry), key64(r.Sequence))
		if body.Charged > 0 {
			a.row(journal.Charges, ChargeKey(body.Award.Campaign, r.Sequence), key64(uint64(len(a.leaves))))
			a.leaf(r, encoded)
		}
	case *Movement:
		a.movement(body.Advertiser, body.Posted, body.RequestID, r.Sequence)
	case *Credit:
		a.debits[body.Advertiser] -= body.Amount
		a.movement(body.Advertiser, body.Posted, body.RequestID, r.Sequence)
	case *HourOpened:
		a.opened, a.leaves, a.billed = r, nil, 0
	case *HourClosed:
		a.closed(r, body)
	}
}

// row checks a row of the journal.
func (a *auditor) row(t journal.Table, key, want []byte) {
	if got, err := a.view.Get(t, key); err != nil || got == nil || !bytes.Equal(got, want) {
		a.wrong("row %x of table %d is %x, %v; by the chain %x", key, t, got, err, want)
	}
}

func (a *auditor) movement(advertiser hexbid.UID, posted int32, requestID string, sequence uint64) {
	a.row(journal.Movements, MovementKey(advertiser, posted, sequence), nil)
	a.row(journal.Requests, RequestKey(advertiser, requestID), key64(sequence))
}

func (a *auditor) event(e *Event) {
	uid := e.Award.Campaign
	if last, begun := a.dates[uid]; begun && e.Date < last {
		a.wrong("the date of campaign %d goes back from %d to %d", uid, last, e.Date)
	}
	a.dates[uid] = e.Date
	kinds := []hexbid.EventKind{e.Kind}
	if e.Implies {
		kinds = append(kinds, hexbid.Impression)
	}
	for _, kind := range kinds {
		key := fmt.Sprint(e.Token, kind)
		if a.used[key] {
			a.wrong("%s is used twice", key)
		}
		a.used[key] = true
	}
	if e.Charged == 0 {
		return
	}
	day, ever := fmt.Sprint(uid, "/", e.Date), fmt.Sprint(uid)
	a.spent[day], a.spent[ever] = a.spent[day]+e.Charged, a.spent[ever]+e.Charged
	limits := a.limits[uid]
	if a.spent[day] > limits.DailyBudget || limits.TotalBudget > 0 && a.spent[ever] > limits.TotalBudget {
		a.wrong("campaign %d has spent %d on date %d and %d ever, above %+v", uid, a.spent[day], e.Date, a.spent[ever],
			limits)
	}
	a.debits[e.Award.Advertiser] += e.Charged
}

// leaf adds a charge to those of the open hour, as it is hashed: 0, salt, record without the hash before.
func (a *auditor) leaf(r *Record, encoded []byte) {
	if a.opened == nil || a.opened.At/hourMicros != r.At/hourMicros {
		a.wrong("record %d charges something in an hour that was not opened", r.Sequence)
		return
	}
	salt := merkle.Salt(a.opened.Body.(*HourOpened).Salt, r.Sequence)
	leaf := append(append([]byte{0}, salt[:]...), encoded[:len(encoded)-34]...)
	hash := sha256.Sum256(leaf)
	a.leaves, a.billed = append(a.leaves, hash[:]), a.billed+r.Body.(*Event).Charged
}

func (a *auditor) closed(r *Record, h *HourClosed) {
	if root := rootOf(a.leaves); !bytes.Equal(h.Root[:], root) || h.Charges != uint64(len(a.leaves)) ||
		h.Charged != a.billed || h.PreviousLink != a.link || h.Hour != a.opened.Body.(*HourOpened).Hour {
		a.wrong("hour %+v has %d charges of %d under the root %x", h, len(a.leaves), a.billed, root)
	}
	a.link = merkle.Link(h.PreviousLink, h.Hour, h.Charges, h.Root)
	a.row(journal.Roots, RootKey(h.Hour), encodeRoot(a.opened.Sequence, r.Sequence))
	var digest Digest
	_ = a.view.Scan(journal.Hours, nil, HourKey(HourOf(r.At), 0), func(key, value []byte) (bool, error) {
		digest.add(printOfRow(journal.Hours, key, value))
		return true, nil
	})
	if digest != h.TotalsDigest {
		a.wrong("hour %d commits to other totals than its rows have", h.Hour)
	}
}

// rootOf is the Merkle tree hash of RFC 6962, section 2.1, as it is written there.
func rootOf(leaves [][]byte) []byte {
	switch len(leaves) {
	case 0:
		empty := sha256.Sum256(nil)
		return empty[:]
	case 1:
		return leaves[0]
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	node := sha256.Sum256(bytes.Join([][]byte{{1}, rootOf(leaves[:k]), rootOf(leaves[k:])}, nil))
	return node[:]
}
