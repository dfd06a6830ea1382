package targeting

import "math/bits"

// BlockSize is the number of rules in a full Block: one a bit.
const BlockSize = 64

// rowsFrom is the number of rules from which rows pay: below it a block keeps
// its rules as they are.
const rowsFrom = 8

// Block matches up to 64 rules at once.
//
// Bit i of the row of (dimension, value) says whether rule i admits the value.
// Only dimensions that some rule restricts have rows. Ages have 122 values but
// few that differ: they share rows through an index.
type Block struct {
	rules     []*Rule // of a short block; nil in a long one
	restricts uint16
	first     [DimCount]uint16 // row of a dimension's value 0
	ageRow    *[128]uint8      // row of an age, from first[Age]
	rows      []uint64
}

// CompileBlock compiles up to 64 rules.
func CompileBlock(rules []*Rule) Block {
	if len(rules) < rowsFrom {
		return Block{rules: append([]*Rule(nil), rules...)}
	}
	var b Block
	for _, r := range rules {
		b.restricts |= r.restricts
	}
	for left := b.restricts; left != 0; left &= left - 1 {
		d := Dim(bits.TrailingZeros16(left))
		b.first[d] = uint16(len(b.rows))
		if d == Age {
			b.addAgeRows(rules)
			continue
		}
		for value := range dimValues[d] {
			b.rows = append(b.rows, rowOf(rules, d, value))
		}
	}
	return b
}

func rowOf(rules []*Rule, d Dim, value int) (row uint64) {
	for i, r := range rules {
		if r.admits[d].Has(value) {
			row |= 1 << i
		}
	}
	return row
}

func (b *Block) addAgeRows(rules []*Rule) {
	b.ageRow = new([128]uint8)
	distinct := map[uint64]uint8{}
	for value := range dimValues[Age] {
		row := rowOf(rules, Age, value)
		n, known := distinct[row]
		if !known {
			n = uint8(len(distinct))
			distinct[row] = n
			b.rows = append(b.rows, row)
		}
		b.ageRow[value] = n
	}
}

// Match keeps those bits of alive whose rules match the profile.
func (b *Block) Match(p *Profile, alive uint64) uint64 {
	if b.rules != nil {
		return b.matchShort(p, alive)
	}
	for left := b.restricts &^ p.any; left != 0 && alive != 0; left &= left - 1 {
		d := bits.TrailingZeros16(left)
		switch first := int(b.first[d]); {
		case wantsAll(Dim(d)) && p.many>>d&1 == 1:
			alive &= b.intersection(first, p.values[d])
		case p.many>>d&1 == 1:
			alive &= b.union(first, p.values[d])
		case Dim(d) == Age:
			alive &= b.rows[first+int(b.ageRow[p.only[Age]&127])]
		default:
			alive &= b.rows[first+int(p.only[d])]
		}
	}
	return alive
}

// union is the OR of the rows of several values; they are all below 64.
func (b *Block) union(first int, values Set) (row uint64) {
	for left := values[0]; left != 0; left &= left - 1 {
		row |= b.rows[first+bits.TrailingZeros64(left)]
	}
	return row
}

// intersection is the AND of the rows of several values.
func (b *Block) intersection(first int, values Set) uint64 {
	row := ^uint64(0)
	for left := values[0]; left != 0; left &= left - 1 {
		row &= b.rows[first+bits.TrailingZeros64(left)]
	}
	return row
}

func (b *Block) matchShort(p *Profile, alive uint64) uint64 {
	for left := alive; left != 0; left &= left - 1 {
		i := bits.TrailingZeros64(left)
		if !b.rules[i].Matches(p) {
			alive &^= 1 << i
		}
	}
	return alive
}
