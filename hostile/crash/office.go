package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// office is where the deployment's own papers are written beside the crowd: the rules of the market, users, search
// clients, keys, and an advertiser with places and campaigns that never serve. Each paper has one clerk.
type office struct {
	tally  *tally
	trays  [][]*paper // one for each clerk
	owner  string     // the office's advertiser
	keeper string     // the user whose keys clerks write
	serial atomic.Int64
}

const (
	clerkCount   = 4
	papersOfKind = 2 // of each kind that a clerk writes
	marketName   = "market"
)

func newOffice(t *tally) *office {
	o := &office{tally: t, owner: "advertisers/office", keeper: "users/keeper"}
	for clerk := range clerkCount {
		var tray []*paper
		for i := range papersOfKind {
			id := fmt.Sprintf("%d-%d", clerk, i)
			tray = append(tray, &paper{name: "users/u-" + id, drawer: userDrawer},
				&paper{name: "clients/c-" + id, drawer: clientDrawer},
				&paper{name: o.keeper + "/keys/k-" + id, drawer: keyDrawer},
				&paper{name: o.owner + "/programs/p/places/l-" + id, drawer: placeDrawer},
				&paper{name: o.owner + "/campaigns/c-" + id, drawer: campaignDrawer})
		}
		o.trays = append(o.trays, tray)
	}
	o.trays[0] = append(o.trays[0], &paper{name: marketName, drawer: marketDrawer})
	return o
}

// fill makes what stays.
func (o *office) fill(ctx context.Context, d *desk) error {
	if _, err := d.campaigns.CreateAdvertiser(ctx, &pb.CreateAdvertiserRequest{AdvertiserId: "office",
		Advertiser: &pb.Advertiser{DisplayName: "office"}}); err != nil {
		return err
	}
	if _, err := d.campaigns.CreateProgram(ctx, &pb.CreateProgramRequest{Parent: o.owner, ProgramId: "p",
		Program: &pb.Program{DisplayName: "p", Category: pb.Category_CATEGORY_PETS, Hosts: hosts}}); err != nil {
		return err
	}
	_, err := d.access.CreateUser(ctx, &pb.CreateUserRequest{UserId: "keeper",
		User: &pb.User{DisplayName: "keeper", Role: pb.Role_ROLE_AUDITOR}})
	return err
}

// writeOne makes one write of a clerk's papers.
func (o *office) writeOne(ctx context.Context, d *desk, clerk int, random *rand.Rand) error {
	tray := o.trays[clerk]
	p := tray[random.IntN(len(tray))]
	done, open := p.inForce()
	if open != nil {
		return status.Error(codes.Unavailable, "nobody knows what became of the last write")
	}
	ctx, cancel := context.WithTimeout(ctx, victim.Patience)
	defer cancel()
	there := p.markAfter(done) != ""
	switch draw := random.IntN(10); {
	case draw < 4 && p.drawer.undoes && len(done) > 0:
		return o.undo(ctx, d, p, done)
	case !there:
		return o.create(ctx, d, p)
	case draw < 6 && p.drawer.remove != nil:
		return o.remove(ctx, d, p)
	default:
		return o.update(ctx, d, p)
	}
}

// nextMark returns a mark that no other write has.
func (o *office) nextMark(p *paper) string { return p.drawer.newMark(o.serial.Add(1)) }

func (o *office) create(ctx context.Context, d *desk, p *paper) error {
	w := p.begin(&write{mark: o.nextMark(p)})
	made, credential, err := p.drawer.create(ctx, d, p.name, w.mark)
	w.credential = credential
	return o.end(p, w, made, err)
}

func (o *office) update(ctx context.Context, d *desk, p *paper) error {
	w := p.begin(&write{mark: o.nextMark(p)})
	written, err := p.drawer.update(ctx, d, p.name, w.mark)
	return o.end(p, w, written, err)
}

func (o *office) remove(ctx context.Context, d *desk, p *paper) error {
	w := p.begin(&write{})
	return o.end(p, w, nil, p.drawer.remove(ctx, d, p.name))
}

// undo takes the last change of a paper back: what was before it is there again.
func (o *office) undo(ctx context.Context, d *desk, p *paper, done []*write) error {
	newest, err := d.history.ListChanges(ctx, &pb.ListChangesRequest{Resource: p.name, PageSize: 1})
	if err != nil {
		return err
	}
	if len(newest.GetChanges()) != 1 {
		o.tally.fall(lost, "%s has no history, after %d writes", p.name, len(done))
		return nil
	}
	w := p.begin(&write{mark: p.markAfter(done[:len(done)-1]), undoes: done[len(done)-1]})
	_, err = d.history.UndoChange(ctx, &pb.UndoChangeRequest{Name: newest.GetChanges()[0].GetName()})
	if err == nil {
		o.tally.undone.Add(1)
	}
	return o.end(p, w, nil, err)
}

// end notes how a write ended. A call that the server has refused has changed nothing.
func (o *office) end(p *paper, w *write, answer record, err error) error {
	switch {
	case err == nil:
		p.acknowledge(w, answer)
		o.tally.papers.Add(1)
	case status.Code(err) == codes.ResourceExhausted:
		p.refuse(w)
	}
	return err
}
