package fold

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/token"
)

// damagedView is a view with one row changed, or without it when its value is nil.
type damagedView struct {
	journal.View
	row journal.Row
}

func (v *damagedView) is(t journal.Table, key []byte) bool {
	return t == v.row.Table && bytes.Equal(key, v.row.Key)
}

func (v *damagedView) Get(t journal.Table, key []byte) ([]byte, error) {
	if v.is(t, key) {
		return v.row.Value, nil
	}
	return v.View.Get(t, key)
}

func (v *damagedView) Scan(t journal.Table, from, to []byte, visit func(key, value []byte) (bool, error)) error {
	return v.View.Scan(t, from, to, func(key, value []byte) (bool, error) {
		if !v.is(t, key) {
			return visit(key, value)
		}
		if v.row.Value == nil {
			return true, nil
		}
		return visit(key, v.row.Value)
	})
}

// checkpointed is a journal with rows of every kind, at a checkpoint and in the base.
func checkpointed(t *testing.T) journal.View {
	d, log := funded(t), journal.NewMemory()
	credit := aCredit(3)
	if err := d.JudgeCredit(credit); err != nil {
		t.Fatal(err)
	}
	d.write(credit)
	for i := range uint64(5000) { // so that there are bitmaps of both forms
		d.use(useKind(hexbid.Impression), d.event(hexbid.Impression, token.Name{Sequence: i * 7}))
	}
	d.take(d.event(hexbid.Claim, token.Name{Sequence: 1 << 40}))
	d.write(d.Checkpoint(9, d.batch))
	base := *d.Books // CheckpointBase puts the same rows, all of which a checkpoint has just written
	for _, r := range slices.Clone(d.batch.Rows) {
		if r.Table == journal.Accounts || r.Table == journal.Uses {
			put(d.batch, journal.Base, append([]byte{byte(r.Table)}, r.Key...), r.Value)
		}
	}
	base.CheckpointBase(d.batch)
	d.commit(log)
	v, err := log.View()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestDamagedRowsOfStateAreFound flips bits of each row that a start reads, cuts it short and removes it.
func TestDamagedRowsOfStateAreFound(t *testing.T) {
	v, r := checkpointed(t), rand.New(rand.NewPCG(3, 4))
	for _, restore := range []func(journal.View) (*Books, error){Restore, RestoreBase} {
		if _, err := restore(v); err != nil {
			t.Fatal(err)
		}
	}
	rows := 0
	for _, table := range []journal.Table{journal.Accounts, journal.Uses, journal.Meta, journal.Base} {
		restore := Restore
		if table == journal.Base {
			restore = RestoreBase
		}
		_ = v.Scan(table, nil, nil, func(key, value []byte) (bool, error) {
			if table == journal.Meta && string(key) != checkpointKey {
				return true, nil
			}
			rows++
			for _, damaged := range damages(r, value) {
				row := journal.Row{Table: table, Key: slices.Clone(key), Value: damaged}
				books, err := restore(&damagedView{View: v, row: row})
				var e *hexbid.Error
				gone := damaged == nil && (table == journal.Meta || string(key) == baseKey)
				if gone && err == nil && books.Last().Sequence == 0 {
					continue // as before the first checkpoint: the owner replays all
				}
				if !errors.As(err, &e) || e.Kind != hexbid.DataLoss {
					t.Fatalf("row %x of table %d, %x as %x: %v", key, table, value, damaged, err)
				}
			}
			return true, nil
		})
	}
	if rows < 16 {
		t.Errorf("only %d rows were damaged", rows)
	}
}

// TestADamagedRecordOfACheckpointIsFound flips bits of the record that commits to the rows.
func TestADamagedRecordOfACheckpointIsFound(t *testing.T) {
	v, r := checkpointed(t), rand.New(rand.NewPCG(5, 6))
	at, err := CheckpointAt(v)
	encoded, _ := v.Get(journal.Records, RecordKey(at))
	if err != nil || len(encoded) == 0 {
		t.Fatal(at, err)
	}
	for _, damaged := range damages(r, encoded) {
		row := journal.Row{Table: journal.Records, Key: RecordKey(at), Value: damaged}
		var e *hexbid.Error
		if _, err := Restore(&damagedView{View: v, row: row}); !errors.As(err, &e) || e.Kind != hexbid.DataLoss {
			t.Errorf("%x instead of %x: %v", damaged, encoded, err)
		}
	}
}

// damages returns a row's value with bits flipped and bytes lost. The last is nil: the row is gone.
func damages(r *rand.Rand, value []byte) (all [][]byte) {
	for range 40 {
		flipped := slices.Clone(value)
		flipped[r.IntN(len(value))] ^= 1 << r.IntN(8)
		all = append(all, flipped)
	}
	for i := range min(len(value), 24) {
		flipped := slices.Clone(value)
		flipped[i] ^= 0xff
		all = append(all, flipped)
	}
	return append(all, value[:r.IntN(len(value))], append(slices.Clone(value), 0), nil)
}

// FuzzDecodeChunk reads bitmaps of tokens in use, as they are on disk.
func FuzzDecodeChunk(f *testing.F) {
	b := New()
	for i := range uint64(6000) {
		for _, sequence := range []uint64{i, 1<<chunkBits + 50*(i%9)} {
			b.use(useKind(hexbid.Click), &Event{Token: token.Name{Sequence: sequence}, Award: Award{ClickExpiry: 5}})
		}
	}
	for _, k := range b.uses.chunks {
		f.Add(k.value(nil))
	}
	key := (&chunk{chunkKey: chunkKey{kind: useKind(hexbid.Click)}}).key().append(nil)
	f.Fuzz(func(t *testing.T, value []byte) {
		k, err := decodeChunk(key, value)
		if err == nil && k.used.GetCardinality() > 1<<chunkBits {
			t.Errorf("%d tokens in one chunk", k.used.GetCardinality())
		}
	})
}
