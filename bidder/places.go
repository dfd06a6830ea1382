package bidder

import (
	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/targeting"
)

func (x *Indexer) putPlace(p *hexbid.Place) error {
	parent, err := x.parentOf(p.Name)
	if err != nil {
		return err
	}
	if i, there := x.placeOf.get(p.UID); there {
		x.deletePlace(p.UID, i)
	}
	if p.Review == hexbid.Approved {
		x.addPlace(p, parent)
	}
	return nil
}

// addPlace shows an approved place.
func (x *Indexer) addPlace(p *hexbid.Place, parent uint32) {
	i, v := x.ordinals.places.take(), geoindex.VecOf(p.Point)
	x.placeOf.set(p.UID, i)
	*x.places.edit(i) = place{uid: p.UID, version: p.Version, program: parent, vec: v, cell: geoindex.CellAt(v), text: targeting.NewText(p.DisplayName)}
	of := x.programs.edit(parent)
	join(&x.places, &of.places, i)
	of.placed++
	x.insertSite(i)
	x.growTree(i)
	x.noteMove(i, true)
	x.next.Places++
}

func (x *Indexer) deletePlace(uid hexbid.UID, i uint32) {
	x.noteMove(i, false)
	x.removeSite(i)
	x.shrinkTree(i)
	of := x.programs.edit(x.places.at(i).program)
	leave(&x.places, &of.places, i)
	of.placed--
	*x.places.edit(i) = place{}
	x.ordinals.places.giveBack(i)
	x.placeOf.drop(uid)
	x.next.Places--
}

// onlyPlaceOf is the one place of a program, if it has one.
func (x *Indexer) onlyPlaceOf(number uint32) onlyPlace {
	if p := x.programs.at(number); p.placed == 1 {
		return onlyPlace{true, x.places.at(p.places - 1).vec}
	}
	return onlyPlace{}
}

// fewPlaces is the most places of a program that are looked at one by one; more stand
// in a tree of its own, as long as half as many are left.
const fewPlaces = 4

// growTree puts a place that has just joined its program's chain into the program's
// tree, if there is one or should be.
func (x *Indexer) growTree(i uint32) {
	number := x.places.at(i).program
	if p := x.programs.at(number); p.tree == 0 && x.treeEdits[number] == nil {
		if p.placed > fewPlaces {
			for at := p.places; at != 0; at = x.places.at(at - 1).next {
				x.insertPlace(number, at-1)
			}
		}
		return
	}
	x.insertPlace(number, i)
}

func (x *Indexer) insertPlace(number, i uint32) {
	p := x.places.at(i)
	x.editTree(number).Insert(geoindex.Site{Rank: uint64(p.uid), Ordinal: i}, p.vec, p.cell, geoindex.Marks{})
}

func (x *Indexer) editTree(number uint32) *geoindex.Edit {
	if x.treeEdits[number] == nil {
		x.treeEdits[number] = x.trees.get(x.programs.at(number).tree).Edit()
	}
	return x.treeEdits[number]
}

// shrinkTree takes a place that is still in its program's chain out of the program's
// tree, or lets go of the tree.
func (x *Indexer) shrinkTree(i uint32) {
	number := x.places.at(i).program
	p := x.programs.edit(number)
	if p.tree == 0 && x.treeEdits[number] == nil {
		return
	}
	if p.placed-1 > fewPlaces/2 {
		x.editTree(number).Delete(i, x.places.at(i).cell)
		return
	}
	delete(x.treeEdits, number)
	x.trees.set(&p.tree, nil)
}

// setTrees ends the edits of trees.
func (x *Indexer) setTrees() {
	for number, edit := range x.treeEdits {
		x.trees.set(&x.programs.edit(number).tree, edit.Tree())
	}
	x.treeEdits = emptied(x.treeEdits)
}

func (x *Indexer) insertSite(at uint32) {
	p := x.places.at(at)
	parent := x.programs.at(p.program)
	x.editSites().Insert(geoindex.Site{Rank: uint64(parent.uid), Tie: uint64(p.uid), Note: uint64(parent.gate), Ordinal: at, Group: p.program},
		p.vec, p.cell, geoindex.Marks{Tags: parent.tags, Has: parent.text.Bits() | p.text.Bits()})
}

func (x *Indexer) removeSite(at uint32) { x.editSites().Delete(at, x.places.at(at).cell) }

func (x *Indexer) editSites() *geoindex.Edit {
	if x.siteEdit == nil {
		x.siteEdit = x.next.sites.Edit()
	}
	return x.siteEdit
}
