package receipt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/merkle"
	"github.com/hexbid/hexbid/token"
)

// handmade is a journal whose rows the test writes itself, by the definitions alone.
type handmade struct {
	t       testing.TB
	journal *journal.Memory
	batch   journal.Batch
	record  fold.Record // the last one
	hash    fold.Hash   // its hash
	tree    merkle.Tree
	link    Hash
	links   []Hash // of all hours
	opened  fold.HourOpened
	opening uint64
	charged hexbid.Money
}

func newHandmade(t testing.TB) *handmade { return &handmade{t: t, journal: journal.NewMemory()} }

// append adds a record, and returns its bytes.
func (h *handmade) append(at time.Time, body fold.Body) []byte {
	h.record = fold.Record{Sequence: h.record.Sequence + 1, At: at.UnixMicro(), Previous: h.hash, Body: body}
	encoded := h.record.Encode()
	h.hash = fold.HashOf(encoded)
	h.batch.Records = append(h.batch.Records, encoded)
	return encoded
}

func (h *handmade) put(t journal.Table, key, value []byte) {
	h.batch.Rows = append(h.batch.Rows, journal.Row{Table: t, Key: key, Value: value})
}

func (h *handmade) open(at time.Time) {
	h.tree, h.charged = merkle.Tree{}, 0
	h.opened = fold.HourOpened{Hour: fold.HourOf(at.UnixMicro())}
	binary.BigEndian.PutUint32(h.opened.Salt[:], h.opened.Hour^0xdecade)
	h.append(at, &h.opened)
	h.opening = h.record.Sequence
	h.root(0)
}

func (h *handmade) root(closed uint64) {
	h.put(journal.Roots, fold.RootKey(h.opened.Hour),
		binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, h.opening), closed))
}

// charge records an event that charged something.
func (h *handmade) charge(at time.Time, e *fold.Event) uint64 {
	encoded := h.append(at, e)
	h.put(journal.Charges, fold.ChargeKey(e.Award.Campaign, h.record.Sequence),
		binary.BigEndian.AppendUint64(nil, h.tree.Size()))
	salt := merkle.Salt(h.opened.Salt, h.record.Sequence)
	h.tiles(h.tree.Append(merkle.LeafHash(salt, encoded[:len(encoded)-34])))
	h.charged += e.Charged
	return h.record.Sequence
}

func (h *handmade) tiles(tiles []merkle.Tile) {
	for _, tile := range tiles {
		h.put(journal.Tiles, fold.TileKey(h.opened.Hour, tile.Level, tile.Index), tile.Hashes)
	}
}

func (h *handmade) close(at time.Time) {
	closed := &fold.HourClosed{Hour: h.opened.Hour, Root: h.tree.Root(), Charges: h.tree.Size(), Charged: h.charged,
		PreviousLink: h.link}
	h.append(at, closed)
	h.link = merkle.Link(h.link, closed.Hour, closed.Charges, closed.Root)
	h.links = append(h.links, h.link)
	h.tiles(h.tree.Unfinished())
	h.root(h.record.Sequence)
}

// view commits what there is and returns a view of it.
func (h *handmade) view() journal.View {
	h.t.Helper()
	h.batch.Tail = h.hash
	if err := h.journal.Commit(context.Background(), &h.batch); err != nil {
		h.t.Fatal(err)
	}
	h.batch = journal.Batch{After: h.record.Sequence}
	v, err := h.journal.View()
	if err != nil {
		h.t.Fatal(err)
	}
	return v
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// award is a won slot whose price follows from its basis.
func award(campaign hexbid.UID, basis auction.Basis) fold.Award {
	price, _ := basis.Price()
	return fold.Award{Campaign: campaign, Advertiser: campaign / 10, Price: price, Slot: 2, Host: hexbid.WeChat,
		Scene: hexbid.NearbyList, MarketVersion: 7, RequestID: fmt.Sprintf("request-%d", campaign),
		ClientID: "super-app",
		IssuedAt: noon.UnixMilli(), ClickExpiry: noon.Add(30 * time.Minute).UnixMilli(), Basis: basis}
}

func gsp(bid hexbid.Money, next int64) auction.Basis {
	return auction.Basis{Mechanism: hexbid.MechanismGSP, Pricing: hexbid.CPC, Bid: bid, MultiplierPPM: 900_000,
		QualityPPM: 31_000, Reserve: 20_000_000_000, Increment: 10_000, Next: next, Factors: []int64{700_000}}
}

// bases has an award of each mechanism and pricing model.
func bases() []auction.Basis {
	impressions := gsp(45_000_000, 30_000_000_000)
	impressions.Pricing = hexbid.CPM
	vcg := auction.Basis{Mechanism: hexbid.MechanismVCG, Pricing: hexbid.CPC, Bid: 3_000_000, MultiplierPPM: 1_000_000,
		QualityPPM: 25_000, Reserve: 1_000, Factors: []int64{900_000, 500_000, 100_000},
		Sum: auction.Sum{Low: 9_000_000_000_000_000}}
	first := gsp(1_234_567, 0)
	first.Mechanism, first.Increment = hexbid.MechanismFirstPrice, 0
	return []auction.Basis{gsp(2_500_000, 60_000_000_000), impressions, vcg, first}
}

// eventOf returns the event that pays for an award.
func eventOf(a fold.Award, sequence uint64) *fold.Event {
	e := &fold.Event{Kind: hexbid.Click, Token: token.Name{Sequence: sequence}, Award: a}
	e.Charged = a.Price
	if a.Basis.Pricing == hexbid.CPM {
		e.Kind, e.Charged = hexbid.Impression, a.Price/1000
	}
	e.Outcome, e.Date, e.Posted = hexbid.EventCharged, 20_779, 20_779
	e.EventID = fold.HashEventID(e.Token, e.Kind, "event")
	return e
}

// anHour records some charges of an hour, and returns the sequences of their records.
func (h *handmade) anHour(start time.Time, charges int) (sequences []uint64) {
	h.open(start)
	for i := range charges {
		a := award(hexbid.UID(11+i%5), bases()[i%4])
		sequences = append(sequences, h.charge(start.Add(time.Duration(i)*time.Millisecond), eventOf(a, uint64(i))))
	}
	return sequences
}

func fileOf(t testing.TB, v journal.View, sequence uint64) (*Receipt, []byte) {
	t.Helper()
	r, err := Get(v, sequence)
	if err != nil {
		t.Fatal(err)
	}
	text, err := r.File()
	if err != nil {
		t.Fatal(err)
	}
	return r, text
}

func TestReceiptsOfEveryMechanismVerify(t *testing.T) {
	h := newHandmade(t)
	first := h.anHour(noon, 8)
	h.close(noon.Add(time.Hour))
	second := h.anHour(noon.Add(time.Hour), 600)
	h.close(noon.Add(2 * time.Hour))
	v := h.view()
	for _, sequence := range append(first, second...) {
		r, text := fileOf(t, v, sequence)
		verified, err := Verify(text, []Hash{{1}, r.Root.Link})
		if err != nil {
			t.Fatalf("receipt of record %d: %v\n%s", sequence, err, text)
		}
		if verified.Charge.Sequence != sequence || verified.Charge.Event.Charged != r.Charge.Event.Charged {
			t.Errorf("record %d: the receipt proves %+v", sequence, verified.Charge)
		}
		if len(text) > 8192 {
			t.Errorf("a receipt of %d bytes", len(text))
		}
	}
}

func TestReceiptsArePendingUntilTheHourCloses(t *testing.T) {
	h := newHandmade(t)
	sequences := h.anHour(noon, 3)
	r, text := fileOf(t, h.view(), sequences[1])
	if !r.Pending() || text != nil || r.Charge.Event.Charged == 0 {
		t.Errorf("an open hour: %+v %q", r, text)
	}
	h.close(noon.Add(time.Hour))
	if r, text := fileOf(t, h.view(), sequences[1]); r.Pending() || text == nil {
		t.Error("a closed hour is pending")
	}
}

// Every altered byte is found, also by whoever has no root: the file follows from its proof.
func TestAlteredBytesOfAReceiptAreFound(t *testing.T) {
	h := newHandmade(t)
	sequences := h.anHour(noon, 13)
	h.close(noon.Add(time.Hour))
	v := h.view()
	for _, sequence := range sequences[:4] { // one of each mechanism
		r, text := fileOf(t, v, sequence)
		for _, roots := range [][]Hash{nil, {r.Root.Link}} {
			for at := range text {
				for _, flip := range []byte{1, 0x20, 0x80} {
					text[at] ^= flip
					if _, err := Verify(text, roots); err == nil {
						t.Errorf("byte %d (%q) flipped by %#x is not found", at, text[at], flip)
					} else if kind := hexbid.KindOf(err); kind != hexbid.Invalid {
						t.Errorf("byte %d: an error of kind %d: %v", at, kind, err)
					}
					text[at] ^= flip
				}
			}
		}
		for name, other := range map[string][]byte{"a byte more": append(bytes.Clone(text), ' '),
			"a byte less": text[:len(text)-1],
			"nothing":     nil, "null": []byte("null")} {
			if _, err := Verify(other, nil); err == nil {
				t.Errorf("%s is taken", name)
			}
		}
	}
}

// A receipt that is whole in itself but leads to another root than the pinned one is worth nothing.
func TestForgedReceiptsLeadToAnotherRoot(t *testing.T) {
	true1, forged := newHandmade(t), newHandmade(t)
	sequences := true1.anHour(noon, 4)
	true1.close(noon.Add(time.Hour))
	r, _ := fileOf(t, true1.view(), sequences[0])

	forged.open(noon)
	a := award(11, gsp(2_500_000, 70_000_000_000)) // a higher price
	sequence := forged.charge(noon, eventOf(a, 0))
	forged.close(noon.Add(time.Hour))
	_, text := fileOf(t, forged.view(), sequence)
	if _, err := Verify(text, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(text, []Hash{r.Root.Link}); err == nil || !strings.Contains(err.Error(), "not the one given") {
		t.Errorf("a forged receipt: %v", err)
	}
}

// The ledger itself may have charged wrongly: a receipt that the chain proves still fails if its price does not follow.
func TestWrongPricesAndChargesAreFound(t *testing.T) {
	for name, alter := range map[string]func(*fold.Event){
		"a price above the auction's":      func(e *fold.Event) { e.Award.Price++; e.Charged++ },
		"a price below the auction's":      func(e *fold.Event) { e.Award.Price--; e.Charged-- },
		"a charge above the price":         func(e *fold.Event) { e.Charged++ },
		"a click charged as an impression": func(e *fold.Event) { e.Kind = hexbid.Impression },
		"a thousand charged as one": func(e *fold.Event) {
			e.Award.Basis.Pricing, e.Kind = hexbid.CPM, hexbid.Impression
		},
		"a basis that no auction produces":   func(e *fold.Event) { e.Award.Basis.Factors = nil },
		"a quality that makes no such price": func(e *fold.Event) { e.Award.Basis.QualityPPM++ },
	} {
		h := newHandmade(t)
		h.open(noon)
		e := eventOf(award(11, gsp(2_500_000, 60_000_000_000)), 1)
		alter(e)
		sequence := h.charge(noon, e)
		h.close(noon.Add(time.Hour))
		if _, err := Get(h.view(), sequence); hexbid.KindOf(err) != hexbid.DataLoss {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What the records of tokens of the first version lack is not guessed: such a receipt proves the charge alone.
func TestReceiptsOfEarlierTokensProveTheChargeAlone(t *testing.T) {
	h := newHandmade(t)
	h.open(noon)
	a := award(11, gsp(2_500_000, 60_000_000_000))
	a.MarketVersion, a.RequestID, a.Basis = 0, "", auction.Basis{Mechanism: hexbid.MechanismGSP,
		Pricing: hexbid.CPC, QualityPPM: 31_000}
	sequence := h.charge(noon, eventOf(a, 1))
	h.close(noon.Add(time.Hour))
	r, text := fileOf(t, h.view(), sequence)
	verified, err := Verify(text, []Hash{r.Root.Link})
	if err != nil || verified.Charge.PriceProven() {
		t.Errorf("%v: %+v", err, verified)
	}
}

// neighbours is an hour with two charges. An attacker has the receipts of the first and the third record and knows all
// of the second but its price.
func TestANeighboursPriceCannotBeTried(t *testing.T) {
	h := newHandmade(t)
	h.open(noon)
	mine := eventOf(award(11, gsp(2_500_000, 60_000_000_000)), 1)
	first := h.charge(noon, mine)
	afterFirst := h.hash
	theirs := eventOf(award(21, gsp(3_000_000, 50_000_000_000)), 2)
	second := h.charge(noon.Add(time.Microsecond), theirs)
	third := h.charge(noon.Add(2*time.Microsecond), mine)
	h.close(noon.Add(time.Hour))
	v := h.view()

	r, mineFile := fileOf(t, v, first)
	_, thirdFile := fileOf(t, v, third)
	_, theirFile := fileOf(t, v, second)
	shown := string(mineFile) + string(thirdFile)
	for price := hexbid.Money(1); price <= 3_000_000; price += 1 {
		if price%1000 != theirs.Award.Price%1000 && price > 2000 {
			continue // every price of the same last digits, and all the small ones
		}
		try(t, shown, theirs, price, second, afterFirst)
	}
	if !strings.Contains(string(theirFile), fmt.Sprintf(`"price_micros": %d`, theirs.Award.Price)) {
		t.Error("the owner's receipt does not show the price, so the test looks for nothing")
	}
	for _, secret := range []string{"campaignUid\": 21", fmt.Sprint(theirs.Award.Price),
		fmt.Sprint(r.Charge.Event.Charged*2 + theirs.Charged)} {
		if strings.Contains(shown, secret) {
			t.Errorf("the neighbour's receipts show %s", secret)
		}
	}
}

// try looks for any hash that a guessed price of a neighbour's record leads to.
func try(t *testing.T, shown string, theirs *fold.Event, price hexbid.Money, sequence uint64, previous fold.Hash) {
	t.Helper()
	guess := *theirs
	guess.Award.Price, guess.Charged = price, price
	record := fold.Record{Sequence: sequence, At: noon.UnixMicro() + 1, Previous: previous, Body: &guess}
	encoded := record.Encode()
	leaf := encoded[:len(encoded)-34]
	for what, hash := range map[string]Hash{"record": fold.HashOf(encoded), "unchained record": fold.HashOf(leaf),
		"unsalted leaf": merkle.LeafHash([16]byte{}, leaf), "bare leaf": merkle.LeafHash([16]byte{}, encoded)} {
		if strings.Contains(shown, fmt.Sprintf("%x", hash[:])) {
			t.Fatalf("the hash of the %s tells the neighbour's price of %d", what, price)
		}
	}
}

func TestDamagedProofsAreDataLoss(t *testing.T) {
	h := newHandmade(t)
	sequences := h.anHour(noon, 5)
	h.close(noon.Add(time.Hour))
	for name, row := range map[string]journal.Row{
		"tile": {Table: journal.Tiles, Key: fold.TileKey(h.opened.Hour, 0, 0), Value: make([]byte, 5*32)},
		"leaf": {Table: journal.Charges, Key: fold.ChargeKey(13, sequences[2]), Value: make([]byte, 8)},
		"root": {Table: journal.Roots, Key: fold.RootKey(h.opened.Hour), Value: make([]byte, 16)},
	} {
		if name == "root" {
			row.Value[15] = byte(sequences[0])
		}
		v := &altered{h.view(), row}
		if _, err := Get(v, sequences[2]); hexbid.KindOf(err) != hexbid.DataLoss {
			t.Errorf("a damaged %s: %v", name, err)
		}
	}
	if _, err := Get(h.view(), 1); hexbid.KindOf(err) != hexbid.NotFound {
		t.Errorf("the receipt of a record that charges nothing: %v", err)
	}
	if _, err := Get(h.view(), 1000); hexbid.KindOf(err) != hexbid.NotFound {
		t.Errorf("the receipt of no record: %v", err)
	}
}

// altered is a view in which one row has another value.
type altered struct {
	journal.View
	row journal.Row
}

func (a *altered) Get(t journal.Table, key []byte) ([]byte, error) {
	if t == a.row.Table && bytes.Equal(key, a.row.Key) {
		return a.row.Value, nil
	}
	return a.View.Get(t, key)
}

// Pages of whatever size make up the list, within any times.
func TestChargesAreListedInPages(t *testing.T) {
	h := newHandmade(t)
	sequences := h.anHour(noon, 40)
	h.close(noon.Add(time.Hour))
	sequences = append(sequences, h.anHour(noon.Add(3*time.Hour), 30)...)
	v := h.view()
	rapid.Check(t, func(t *rapid.T) {
		campaign := hexbid.UID(rapid.IntRange(10, 17).Draw(t, "campaign"))
		times := rapid.SampledFrom([]time.Time{{}, noon, noon.Add(7 * time.Millisecond),
			noon.Add(35 * time.Millisecond),
			noon.Add(time.Hour), noon.Add(3*time.Hour + 12*time.Millisecond), noon.Add(9 * time.Hour)})
		q := ChargeQuery{Campaign: campaign, Start: times.Draw(t, "start"), End: times.Draw(t, "end"),
			Limit: rapid.IntRange(1, 9).Draw(t, "limit")}
		var got []uint64
		for pages := 0; ; pages++ {
			page, next, err := Charges(v, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range page {
				got = append(got, c.Sequence)
			}
			if len(page) > q.Limit || pages > 100 {
				t.Fatalf("a page of %d, limit %d", len(page), q.Limit)
			}
			if q.After = next; next == 0 {
				break
			}
		}
		var want []uint64
		for _, sequence := range sequences {
			c, _, err := readCharge(v, sequence)
			if err != nil {
				t.Fatal(err)
			}
			if c.Event.Award.Campaign == campaign && !c.Time.Before(q.Start) && (q.End.IsZero() ||
				c.Time.Before(q.End)) {
				want = append(want, sequence)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("charges %v, expected %v", got, want)
		}
	})
}

func TestRootsAreListedAndChained(t *testing.T) {
	h := newHandmade(t)
	for hour := range 5 {
		start := noon.Add(time.Duration(hour) * 2 * time.Hour)
		h.anHour(start, hour+1)
		h.close(start.Add(time.Hour))
	}
	h.anHour(noon.Add(24*time.Hour), 1) // open
	v := h.view()
	var all []Root
	for start := noon; !start.IsZero(); {
		page, next, err := Roots(v, start, time.Time{}, 2)
		if err != nil || len(page) > 2 {
			t.Fatal(err, page)
		}
		all, start = append(all, page...), next
	}
	if len(all) != 5 {
		t.Fatalf("%d roots", len(all))
	}
	var previous Hash
	for i, root := range all {
		if root.Previous != previous || root.Charges != uint64(i+1) ||
			root.Link != merkle.Link(previous, root.Hour, root.Charges, root.MerkleRoot) {
			t.Errorf("root %d: %+v", i, root)
		}
		previous = root.Link
	}
	if some, _, err := Roots(v, noon.Add(time.Minute), noon.Add(4*time.Hour), 10); err != nil || len(some) != 1 {
		t.Errorf("within four hours: %v %v", some, err)
	}
}

// A link vouches for all roots before it, as long as every one between is there and is true.
func TestALinkVouchesForTheRootsBeforeIt(t *testing.T) {
	h := newHandmade(t)
	for hour := range 8 {
		start := noon.Add(time.Duration(hour) * time.Hour)
		h.anHour(start, 2)
		h.close(start.Add(time.Hour))
	}
	roots, _, err := Roots(h.view(), time.Time{}, time.Time{}, 100)
	if err != nil || len(roots) != 8 {
		t.Fatal(roots, err)
	}
	vouchedFor := func(roots []Root, trusted ...Hash) (hours []int) {
		vouched := Vouched(roots, trusted)
		for hour := range 8 {
			if slices.Contains(vouched, h.links[hour]) {
				hours = append(hours, hour)
			}
		}
		return hours
	}
	altered := slices.Clone(roots)
	altered[3].Charges++
	for name, c := range map[string]struct{ got, want []int }{
		"the sixth":            {vouchedFor(roots, h.links[5]), []int{0, 1, 2, 3, 4, 5}},
		"two":                  {vouchedFor(roots, h.links[1], h.links[6]), []int{0, 1, 2, 3, 4, 5, 6}},
		"a stranger":           {vouchedFor(roots, Hash{7}), nil},
		"none":                 {vouchedFor(roots), nil},
		"one that is altered":  {vouchedFor(altered, h.links[5]), []int{3, 4, 5}},
		"one that is missing":  {vouchedFor(slices.Delete(slices.Clone(roots), 3, 4), h.links[5]), []int{3, 4, 5}},
		"one without a list":   {vouchedFor(nil, h.links[5]), []int{5}},
		"another before a gap": {vouchedFor(altered, h.links[5], h.links[2]), []int{0, 1, 2, 3, 4, 5}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s: vouches for %v, expected %v", name, c.got, c.want)
		}
	}
}

func TestParseRootSaysWhatARootIs(t *testing.T) {
	link, err := ParseRoot(" " + strings.Repeat("0f", 32) + "\n")
	if err != nil || link[31] != 0x0f {
		t.Error(link, err)
	}
	for _, text := range []string{"", "0f", strings.Repeat("0g", 32), strings.Repeat("0f", 33)} {
		var invalid *hexbid.Error
		if _, err := ParseRoot(text); !errors.As(err, &invalid) || invalid.Kind != hexbid.Invalid {
			t.Errorf("%q: %v", text, err)
		}
	}
}
