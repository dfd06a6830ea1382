package bidder

import (
	"github.com/hexbid/hexbid/geoindex"
)

// sites is the room of where places are. It has a tree of all approved places, which nearby lists walk. It also has a
// tree for each program with many places, which finds the nearest of them. Both are built from the records of places
// and programs.
type sites struct {
	records   *records
	tree      *geoindex.Tree // as published; nil when empty
	edit      *geoindex.Edit // of tree since then; nil when nothing has changed
	trees     sparseWriter[geoindex.Tree]
	treeEdits map[uint32]*geoindex.Edit // of trees since then, by program
}

func newSites(r *records) *sites {
	return &sites{records: r, treeEdits: map[uint32]*geoindex.Edit{}}
}

// come adds a place that records now have.
func (s *sites) come(place uint32) {
	s.insert(place)
	s.growTree(place)
}

// leave removes a place that records still have.
func (s *sites) leave(place uint32) {
	s.remove(place)
	s.shrinkTree(place)
}

// retag gives a place the present tags of its program.
func (s *sites) retag(place uint32) {
	s.remove(place)
	s.insert(place)
}

func (s *sites) insert(at uint32) {
	p := s.records.places.at(at)
	parent := s.records.programs.at(p.program)
	s.editSites().Insert(geoindex.Site{Rank: uint64(parent.uid), Tie: uint64(p.uid), Note: uint64(parent.gate),
		Ordinal: at, Group: p.program},
		p.vec, p.cell, geoindex.Marks{Tags: parent.tags, Has: parent.text.Bits() | p.text.Bits()})
}

func (s *sites) remove(at uint32) { s.editSites().Delete(at, s.records.places.at(at).cell) }

func (s *sites) editSites() *geoindex.Edit {
	if s.edit == nil {
		s.edit = s.tree.Edit()
	}
	return s.edit
}

// fewPlaces is the most places of a program that a search compares one by one. A program that comes to have more gets a
// tree of them, and keeps it until half of fewPlaces or fewer are left.
const fewPlaces = 4

// growTree adds a place, which has just joined its program's chain, to the program's tree. It makes the tree if the
// program now needs one.
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

// shrinkTree removes a place, which is still in its program's chain, from the program's tree. It drops the tree if too
// few places are left.
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

// endEdits turns the edited trees into the ones of the next snapshot and points programs at them. It must therefore run
// before the records are frozen: only the endedSites that it returns has freezeInto.
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

// endedSites is sites whose edits have ended.
type endedSites struct{ *sites }

// freezeInto shares records and sites with a snapshot.
func (s endedSites) freezeInto(to *Snapshot) {
	s.records.freezeInto(to)
	to.sites, to.trees = s.tree, s.trees.freeze()
}
