package server

import (
	"fmt"
	"testing"

	"github.com/hexbid/hexbid"
)

func TestConnectionsOfOneClientAreOneParty(t *testing.T) {
	var p parties
	first, second, other, unknown := new(connection), new(connection), new(connection), new(connection)
	p.join(first, &superapp)
	p.join(second, &superapp)
	p.join(other, &alice)
	p.join(unknown, &hexbid.Principal{Role: hexbid.Operator})
	if first.party() != second.party() || first.party() == other.party() || unknown.party() != &unknown.alone {
		t.Error("the parties are not those of the callers")
	}
	if p.join(second, &alice); second.party() != other.party() {
		t.Error("a connection with another caller's credential stays with the first one's party")
	}
}

func TestIdlePartiesAreDropped(t *testing.T) {
	var p parties
	busy := new(connection)
	p.join(busy, &superapp)
	busy.party().underWay.Add(1)
	for i := range 3 * mostParties {
		p.join(new(connection), &hexbid.Principal{ID: fmt.Sprintf("users/u%d", i)})
	}
	if len(p.of) > mostParties || p.of[superapp.ID] != busy.party() {
		t.Errorf("%d parties are kept", len(p.of))
	}
}
