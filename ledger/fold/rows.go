package fold

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/token"
)

// Digest is the sum of the hashes of a set of rows, modulo 2^256. Changing a row costs two hashes, of the old and of
// the new row, however many others there are. A digest reveals damage and faults. A forger could find other rows with
// the same sum, so a verifier folds the records again instead of trusting the rows.
type Digest [32]byte

func (d *Digest) add(print Hash) { d.combine(print, bits.Add64) }

func (d *Digest) subtract(print Hash) { d.combine(print, bits.Sub64) }

func (d *Digest) combine(print Hash, with func(a, b, carry uint64) (uint64, uint64)) {
	var carry uint64
	for i := 0; i < len(d); i += 8 {
		var word uint64
		word, carry = with(binary.LittleEndian.Uint64(d[i:]), binary.LittleEndian.Uint64(print[i:]), carry)
		binary.LittleEndian.PutUint64(d[i:], word)
	}
}

// stateRow is a part of the state that is one row of a checkpoint.
type stateRow interface {
	key() stateKey
	// value appends the row's value to b. It appends nothing for a row that has gone.
	value(b []byte) []byte
	mark() *marks
	// print returns where a large row keeps its hash in the digest. It is nil for a small row, which is hashed again.
	print() *Hash
}

// stateKey is the key of a row of state, as comparable fields.
type stateKey struct {
	table  journal.Table // Accounts or Uses
	kind   byte          // of Accounts: 'c', 'a', 'k', 's' or 't'; of Uses: a useKind
	issuer token.Issuer  // of Uses
	number uint64        // uid, sequence or chunk
}

func (k stateKey) append(b []byte) []byte {
	if k.table == journal.Uses {
		b = append(append(b, k.issuer[:]...), k.kind)
		return binary.BigEndian.AppendUint64(b, k.number)
	}
	if b = append(b, k.kind); k.kind == 's' || k.kind == 't' {
		return b
	}
	return binary.BigEndian.AppendUint64(b, k.number)
}

// marks says what has been done about a row since it last changed.
type marks struct {
	hashed    bool // the digest includes its present hash
	unhashed  bool // rows.unhashed lists it
	unwritten bool // rows.unwritten lists it
}

func (m *marks) mark() *marks { return m }

// print says that a row is small.
func (m *marks) print() *Hash { return nil }

// block is what is left of a piece of memory that many rows of batches share. An allocation for each key and each value
// would cost more than making the row.
type block []byte

// cut returns an empty slice with room for n bytes.
func (b *block) cut(n int) []byte {
	const blockBytes = 32 << 10
	if n > blockBytes/4 {
		return make([]byte, 0, n)
	}
	if len(*b) < n {
		*b = make([]byte, blockBytes)
	}
	cut := (*b)[:0:n]
	*b = (*b)[n:]
	return cut
}

// rows follows which rows of state differ from the digest and from the disk.
type rows struct {
	digest    Digest // of the rows that are hashed
	unhashed  []stateRow
	unwritten []stateRow
	scratch   []byte
	block     block // for rows that are written
}

// touch prepares a row for a change. Call it before the change, while the row still has the hash in the digest.
func (s *rows) touch(r stateRow) {
	m := r.mark()
	if m.unhashed && m.unwritten {
		return
	}
	if m.hashed {
		s.digest.subtract(s.printOf(r))
		m.hashed = false
	}
	if !m.unhashed {
		m.unhashed, s.unhashed = true, append(s.unhashed, r)
	}
	if !m.unwritten {
		m.unwritten, s.unwritten = true, append(s.unwritten, r)
	}
}

// printOf returns the hash of a row that is in the digest.
func (s *rows) printOf(r stateRow) Hash {
	if print := r.print(); print != nil {
		return *print
	}
	print, _ := s.hash(r)
	return print
}

// encodeRow writes a row into an empty b as it is hashed: table, length of the key, key, value. at is where the value
// starts; a row that has gone ends there.
func encodeRow(r stateRow, b []byte) (row []byte, at int) {
	key := r.key()
	b = key.append(append(b, byte(key.table), 0))
	b[1] = byte(len(b) - 2)
	return r.value(b), len(b)
}

// hash returns the hash of a row as it is; false when the row has gone.
func (s *rows) hash(r stateRow) (Hash, bool) {
	row, at := encodeRow(r, s.scratch[:0])
	s.scratch = row
	return sha256.Sum256(row), len(row) > at
}

// printOfRow returns the hash of a row on disk, the same as hash returns of it.
func printOfRow(t journal.Table, key, value []byte) Hash {
	return sha256.Sum256(slices.Concat([]byte{byte(t), byte(len(key))}, key, value))
}

// sum brings the digest up to date and returns it.
func (s *rows) sum() Digest {
	for _, r := range s.unhashed {
		if r.mark().unhashed {
			print, exists := s.hash(r)
			s.account(r, print, exists)
		}
	}
	s.unhashed = s.unhashed[:0]
	return s.digest
}

// account adds the hash of a row to the digest.
func (s *rows) account(r stateRow, print Hash, exists bool) {
	m := r.mark()
	if m.unhashed = false; !exists {
		return
	}
	s.digest.add(print)
	if m.hashed = true; r.print() != nil {
		*r.print() = print
	}
}

// write hands each row that differs from the disk to put, takes it as written, and returns the digest. A row that has
// gone has no value. Each row is encoded once, for both.
func (s *rows) write(put func(t journal.Table, key, value []byte)) Digest {
	for _, r := range s.unwritten {
		r.mark().unwritten = false
		row, at := encodeRow(r, s.scratch[:0])
		s.scratch = row
		row = append(s.block.cut(len(row)), row...)
		if r.mark().unhashed {
			s.account(r, sha256.Sum256(row), len(row) > at)
		}
		if len(row) > at {
			put(journal.Table(row[0]), row[2:at:at], row[at:])
		} else {
			put(journal.Table(row[0]), row[2:at:at], nil)
		}
	}
	s.unwritten = nil
	return s.sum()
}
