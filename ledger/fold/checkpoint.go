package fold

import (
	"crypto/sha256"
	"fmt"
	"unique"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/merkle"
)

// Keys of the rows that say which record other rows are as of.
const (
	checkpointKey = "checkpoint" // in journal.Meta: of the rows in Accounts and Uses
	settledKey    = "settled"    // in journal.Meta: of the rows of totals; a sequence alone
	// In journal.Base: of the rows there. Their keys begin with the number of their table, so this key is the first.
	baseKey = "\x00point"
)

// CheckpointAt returns the sequence of the record that the rows of accounts and used tokens are as of, 0 for none.
func CheckpointAt(v journal.View) (uint64, error) {
	value, err := v.Get(journal.Meta, []byte(checkpointKey))
	if value == nil || err != nil {
		return 0, err
	}
	at, _, err := decodePoint(value)
	return at.Sequence, err
}

// SettledAt returns the sequence of the last record that the rows of totals include, 0 for none. Records after it may
// have changed totals that are not written yet.
func SettledAt(v journal.View) (uint64, error) {
	value, err := v.Get(journal.Meta, []byte(settledKey))
	if value == nil || err != nil {
		return 0, err
	}
	return DecodeIndex(value)
}

// Checkpoint puts the rows of state that changed since the last checkpoint, and returns the body of a record that
// commits to them. The owner applies that record next, at the same instant and in the same batch. version is that of
// the catalogue that the ledger has taken in, at least CatalogueVersion. Rows of totals may stay
// behind (see unsettled).
func (b *Books) Checkpoint(version uint64, w *journal.Batch) *Checkpoint {
	b.putUnsettled(w)
	b.rows.touch(&b.state)
	b.state.catalogueVersion = version
	digest := b.rows.write(func(t journal.Table, key, value []byte) { put(w, t, key, value) })
	return &Checkpoint{Digest: digest, CatalogueVersion: version, Campaigns: uint64(len(b.campaigns)),
		Advertisers: uint64(len(b.advertisers))}
}

// CheckpointBase puts the rows of state that changed since RestoreBase into journal.Base, and returns the digest of the
// state. The owner has applied the records up to the one that compaction has reached.
func (b *Books) CheckpointBase(w *journal.Batch) Digest {
	digest := b.rows.write(func(t journal.Table, key, value []byte) {
		put(w, journal.Base, append([]byte{byte(t)}, key...), value)
	})
	put(w, journal.Base, []byte(baseKey), encodePoint(&b.last, digest))
	return digest
}

// Digest returns the digest of the state, as a checkpoint at the present instant would have it.
func (b *Books) Digest() Digest { return b.rows.sum() }

// encodePoint encodes a point, the digest of the rows as of it, and a hash of both.
func encodePoint(p *Point, digest Digest) []byte {
	var c codec
	p.fields(&c, &digest)
	print := sha256.Sum256(c.bytes)
	array(&c, 5, print[:])
	return c.bytes
}

func (p *Point) fields(c *codec, digest *Digest) {
	number(c, 1, &p.Sequence)
	array(c, 2, p.Tail[:])
	number(c, 3, &p.At)
	array(c, 4, digest[:])
}

func decodePoint(value []byte) (p Point, digest Digest, err error) {
	c := codec{decoding: true, bytes: value}
	p.fields(&c, &digest)
	var stated Hash
	print := sha256.Sum256(value[:len(value)-len(c.bytes)])
	array(&c, 5, stated[:])
	if stated != print {
		c.fail()
	}
	return p, digest, c.end("checkpoint")
}

// Restore returns the books of the last checkpoint, those before the first record if there is none. The owner applies
// the records after Last. Restore returns a DataLoss error if the rows are not what the checkpoint's record commits to.
func Restore(v journal.View) (*Books, error) {
	value, err := v.Get(journal.Meta, []byte(checkpointKey))
	if value == nil || err != nil {
		return New(), err
	}
	at, digest, err := decodePoint(value)
	if err != nil {
		return nil, err
	}
	if err := checkRecord(v, at, digest); err != nil {
		return nil, err
	}
	b, err := load(at, digest, func(take func(t journal.Table, key, value []byte) error) error {
		for _, t := range []journal.Table{journal.Accounts, journal.Uses} {
			if err := v.Scan(t, nil, nil, func(key, value []byte) (bool, error) {
				return true, take(t, key, value)
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return b, b.unsettle(v)
}

// checkRecord checks that the record of a checkpoint is there and commits to a digest.
func checkRecord(v journal.View, at Point, digest Digest) error {
	encoded, err := v.Get(journal.Records, RecordKey(at.Sequence))
	if err != nil {
		return err
	}
	if HashOf(encoded) != at.Tail {
		return faulty(at.Sequence, "is a checkpoint, and is not there or has another hash than its row says")
	}
	r, err := Decode(encoded)
	if err != nil {
		return err
	}
	if body, ok := r.Body.(*Checkpoint); !ok || body.Digest != digest {
		return faulty(at.Sequence, "is not the checkpoint that its row says")
	}
	return nil
}

// RestoreBase returns the books as at the record that compaction has reached, those before the first record if there is
// none.
func RestoreBase(v journal.View) (*Books, error) {
	value, err := v.Get(journal.Base, []byte(baseKey))
	if value == nil || err != nil {
		return New(), err
	}
	at, digest, err := decodePoint(value)
	if err != nil {
		return nil, err
	}
	return load(at, digest, func(take func(t journal.Table, key, value []byte) error) error {
		return v.Scan(journal.Base, []byte{1}, nil, func(key, value []byte) (bool, error) {
			return true, take(journal.Table(key[0]), key[1:], value)
		})
	})
}

// loader makes books of rows of state.
type loader struct {
	*Books
	tiles []merkle.Tile
}

// load makes the books of a point from the rows that scan hands out.
func load(at Point, want Digest, scan func(take func(t journal.Table, key, value []byte) error) error) (*Books, error) {
	l := &loader{Books: New()}
	l.last, l.at = at, at.At
	if err := scan(l.take); err != nil {
		return nil, err
	}
	tree, err := merkle.Restore(l.state.leaves, l.tiles)
	if err != nil {
		return nil, &hexbid.Error{Kind: hexbid.DataLoss, Field: "tree of an hour", Detail: "does not decode", Err: err}
	}
	l.tree.Tree = tree
	for _, c := range l.campaigns {
		if c.activity != nil && c.activity.hour == l.state.hour {
			l.activeThisHour = append(l.activeThisHour, c)
		}
	}
	if l.rows.digest != want {
		return nil, faulty(at.Sequence, "commits to the state %x; the rows on disk make %x", want, l.rows.digest)
	}
	return l.Books, nil
}

// take loads a row.
func (l *loader) take(t journal.Table, key, value []byte) error {
	print := printOfRow(t, key, value)
	l.rows.digest.add(print)
	r, err := l.decode(t, key, value)
	if err != nil {
		return err
	}
	if r.mark().hashed = true; r.print() != nil {
		*r.print() = print
	}
	return nil
}

func (l *loader) decode(t journal.Table, key, value []byte) (stateRow, error) {
	if t == journal.Uses {
		k, err := decodeChunk(key, value)
		if err == nil {
			l.uses.chunks[k.chunkKey] = k
		}
		return k, err
	}
	if t != journal.Accounts || len(key) != 1 && len(key) != 9 {
		return nil, damaged("key of an account", len(key), 9)
	}
	c := codec{decoding: true, bytes: value}
	if len(key) == 1 {
		return l.decodeOwn(key[0], &c)
	}
	number, err := DecodeIndex(key[1:])
	if err != nil {
		return nil, err
	}
	return l.decodeAccount(key[0], number, &c)
}

// decodeOwn loads the state that belongs to no account, or the tree of the open hour.
func (l *loader) decodeOwn(kind byte, c *codec) (stateRow, error) {
	switch kind {
	case 's':
		l.state.fields(c)
		return &l.state, c.end("state of the ledger")
	case 't':
		repeated(c, 1, &l.tiles, tileFields)
		for i := range l.tiles {
			l.tiles[i].Hashes = append([]byte(nil), l.tiles[i].Hashes...)
		}
		return &l.tree, c.end("tree of an hour")
	}
	return nil, hexbid.Errorf(hexbid.DataLoss, "account", "is of the unknown kind %q", kind)
}

func (l *loader) decodeAccount(kind byte, number uint64, c *codec) (stateRow, error) {
	switch kind {
	case 'a':
		a := l.advertiserOf(hexbid.UID(number))
		a.fields(c)
		return a, c.end(fmt.Sprintf("account of advertiser %d", number))
	case 'c':
		row := l.campaignSlab.make()
		row.uid = hexbid.UID(number)
		var advertiser hexbid.UID
		var zone string
		row.fields(c, &advertiser, &zone)
		row.advertiser, row.zone = l.advertiserOf(advertiser), unique.Make(zone)
		l.campaigns[row.uid] = row
		l.campaignOrder.add(row.uid)
		return row, c.end(fmt.Sprintf("account of campaign %d", number))
	case 'k':
		row := &creditedCharge{sequence: number}
		row.fields(c)
		l.credited[number] = row
		return row, c.end(fmt.Sprintf("credited charge %d", number))
	}
	return nil, hexbid.Errorf(hexbid.DataLoss, "account", "is of the unknown kind %q", kind)
}

// advertiserOf returns an advertiser, whose own row may be loaded later. If there is none the digest differs.
func (l *loader) advertiserOf(uid hexbid.UID) *advertiser {
	a := l.advertisers[uid]
	if a == nil {
		a = l.advertiserSlab.make()
		a.Advertiser = uid
		l.advertisers[uid] = a
		l.advertiserOrder.add(uid)
	}
	return a
}
