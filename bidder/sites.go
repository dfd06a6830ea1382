package bidder

import (
	"github.com/hexbid/hexbid/geoindex"
)

// sites is the room of where places are: the tree of all approved places, which nearby
// lists walk, and a tree of its own for each program that has many, which finds the
// nearest of its places. Both stand on what records say of places and programs.
type sites struct {
	records   *records
	tree      *geoindex.Tree // as published; nil is an empty one
	edit      *geoindex.Edit // of tree since; nil when nothing has changed
	trees     sparseWriter[geoindex.Tree]
	treeEdits map[uint32]*geoindex.Edit // of trees since, by program
}

func newSites(r *records) *sites {
	return &sites{records: r, treeEdits: map[uint32]*geoindex.Edit{}}
}

// come takes in a place that records have from now on.
func (s *sites) come(place uint32) {
	s.insert(place)
	s.growTree(place)
}

// leave takes out a place that records still have.
func (s *sites) leave(place uint32) {
	s.remove(place)
	s.shrinkTree(place)
}

// retag gives a place the tags that its program has now.
func (s *sites) retag(place uint32) {
	s.remove(place)
	s.insert(place)
}

func (s *sites) insert(at uint32) {
	p := s.records.places.at(at)
	parent := s.records.programs.at(p.program)
	s.editSites().Insert(geoindex.Site{Rank: uint64(parent.uid), Tie: uint64(p.uid), Note: uint64(parent.gate), Ordinal: at, Group: p.program},
		p.vec, p.cell, geoindex.Marks{Tags: parent.tags, Has: parent.text.Bits() | p.text.Bits()})
}

func (s *sites) remove(at uint32) { s.editSites().Delete(at, s.records.places.at(at).cell) }

func (s *sites) editSites() *geoindex.Edit {
	if s.edit == nil {
		s.edit = s.tree.Edit()
	}
	return s.edit
}

// fewPlaces is the most places of a program that are looked at one by one; more stand
// in a tree of its own, as long as half as many are left.
const fewPlaces = 4

// growTree puts a place that has just joined its program's chain into the program's
// tree, if there is one or should be.
func (s *sites) growTree(i uint32) {
	number := s.records.places.at(i).program
	if p := s.records.programs.at(number); p.tree == 0 && s.treeEdits[number] == nil {
		if p.placed > fewPlaces {
			for place := range s.records.placesOf(number) {
				s.insertInTree(number, place)
			}
		}
		return
	}
	s.insertInTree(number, i)
}

func (s *sites) insertInTree(program, place uint32) {
	p := s.records.places.at(place)
	s.editTree(program).Insert(geoindex.Site{Rank: uint64(p.uid), Ordinal: place}, p.vec, p.cell, geoindex.Marks{})
}

func (s *sites) editTree(program uint32) *geoindex.Edit {
	if s.treeEdits[program] == nil {
		s.treeEdits[program] = s.trees.get(s.records.programs.at(program).tree).Edit()
	}
	return s.treeEdits[program]
}

// shrinkTree takes a place that is still in its program's chain out of the program's
// tree, or lets go of the tree.
func (s *sites) shrinkTree(i uint32) {
	number := s.records.places.at(i).program
	p := s.records.programs.edit(number)
	if p.tree == 0 && s.treeEdits[number] == nil {
		return
	}
	if p.placed-1 > fewPlaces/2 {
		s.editTree(number).Delete(i, s.records.places.at(i).cell)
		return
	}
	delete(s.treeEdits, number)
	s.trees.set(&p.tree, nil)
}

// endEdits makes the trees as they are the ones of the next snapshot. Programs then lead
// to their trees, so it comes before the records are frozen: freezeInto of an endedSites
// is the only way on.
func (s *sites) endEdits() endedSites {
	for program, edit := range s.treeEdits {
		s.trees.set(&s.records.programs.edit(program).tree, edit.Tree())
	}
	s.treeEdits = emptied(s.treeEdits)
	if s.edit != nil {
		s.tree, s.edit = s.edit.Tree(), nil
	}
	return endedSites{s}
}

// endedSites are sites whose edits have ended.
type endedSites struct{ *sites }

// freezeInto gives records and sites to a snapshot.
func (s endedSites) freezeInto(to *Snapshot) {
	s.records.freezeInto(to)
	to.sites, to.trees = s.tree, s.trees.freeze()
}
