package targeting

import (
	"math/bits"
	"slices"
)

// BlockSize is the number of rules in a full Block: one a bit.
const BlockSize = 64

// Block matches up to 64 rules at once.
//
// Bit i of the row of (dimension, value) says whether rule i admits the value.
// Only dimensions that some rule restricts have rows. Ages have 122 values but
// few that differ: they share rows through an index.
type Block struct {
	restricts uint16
	first     [DimCount]uint16 // row of a dimension's value 0
	ageRow    *[128]uint8      // row of an age, from first[Age]
	rows      []uint64
}

// CompileBlock compiles up to 64 rules.
func CompileBlock(rules []*Rule) Block {
	var b Block
	for _, r := range rules {
		b.restricts |= r.restricts
	}
	for left := b.restricts; left != 0; left &= left - 1 {
		d := Dim(bits.TrailingZeros16(left))
		b.first[d] = uint16(len(b.rows))
		if rows := rowsOf(rules, d); d == Age {
			b.addAgeRows(rows)
		} else {
			b.rows = append(b.rows, rows...)
		}
	}
	b.rows = slices.Clip(b.rows)
	return b
}

// rowsOf returns the rows of one dimension, one for each value.
func rowsOf(rules []*Rule, d Dim) []uint64 {
	var free uint64 // rules that admit every value
	rows := make([]uint64, dimValues[d])
	for i, r := range rules {
		if r.restricts>>d&1 == 0 {
			free |= 1 << i
			continue
		}
		for half, left := range r.admits[d] {
			for ; left != 0; left &= left - 1 {
				if value := 64*half + bits.TrailingZeros64(left); value < len(rows) {
					rows[value] |= 1 << i
				}
			}
		}
	}
	for value := range rows {
		rows[value] |= free
	}
	return rows
}

// addAgeRows stores one row for each run of equal ages, because the rows of neighbouring ages are mostly equal.
func (b *Block) addAgeRows(rows []uint64) {
	b.ageRow = new([128]uint8)
	first := len(b.rows)
	for value, row := range rows {
		known := slices.Index(b.rows[first:], row)
		if known < 0 {
			known = len(b.rows) - first
			b.rows = append(b.rows, row)
		}
		b.ageRow[value] = uint8(known)
	}
}

// Match clears the bits of alive whose rules do not match the profile.
func (b *Block) Match(p *Profile, alive uint64) uint64 {
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
