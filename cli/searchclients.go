package cli

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// clientsCommand groups the commands about search clients.
type clientsCommand struct {
	Create  clientsCreateCommand  `cmd:"" help:"Add a search client."`
	List    clientsListCommand    `cmd:"" help:"List search clients."`
	Update  clientsUpdateCommand  `cmd:"" help:"Change what a search client may see and return. Rights that are not given end."`
	Quota   clientsQuotaCommand   `cmd:"" help:"Show and set what a search client may ask of a server."`
	Suspend clientsSuspendCommand `cmd:"" help:"Refuse a client's credentials, or with --resume take them again."`
	Delete  clientsDeleteCommand  `cmd:"" help:"Delete a search client with all keys. Its tokens can then be returned by nobody."`
}

// clientRights are the flags of what a search client may do.
type clientRights struct {
	SeesPrices    bool     `help:"It sees what a sponsored result costs."`
	SeesCampaigns bool     `help:"It sees which campaign a sponsored result is of."`
	RendersOnly   bool     `help:"It reports an impression as soon as it is drawn, rather than when it is seen."`
	EventsOf      []string `help:"Another client whose tokens it may return." placeholder:"CLIENT"`
}

// rightsFields are the fields that clientRights set.
var rightsFields = []string{"sees_prices", "sees_campaigns", "renders_only", "events_of"}

func (r *clientRights) set(c *pb.Client) *pb.Client {
	c.SeesPrices, c.SeesCampaigns, c.RendersOnly = r.SeesPrices, r.SeesCampaigns, r.RendersOnly
	for _, other := range r.EventsOf {
		c.EventsOf = append(c.EventsOf, &pb.ClientGrant{Client: named("clients", other)})
	}
	return c
}

type clientsCreateCommand struct {
	ID              string `arg:"" help:"Last part of the client's name: 1 to 63 of a-z, 0-9 and '-'. Tokens carry it."`
	Title           string `help:"What people read." placeholder:"TEXT"`
	clientRights    `embed:""`
	credentialFlags `embed:""`
	clientFlags     `embed:""`
}

// Run adds a search client.
func (c *clientsCreateCommand) Run(s *session) error {
	m := c.set(&pb.Client{DisplayName: c.Title, CertificateNames: c.Certificates})
	var err error
	if m.Identities, err = c.identities(); err != nil {
		return err
	}
	return c.call(s, func(ctx context.Context, conn *client) error {
		made, err := conn.access.CreateClient(ctx, &pb.CreateClientRequest{ClientId: c.ID, Client: m})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.Stderr, "%s is there. Issue a key: hexbid keys create %[1]s\n", made.GetName())
		return err
	})
}

type clientsListCommand struct {
	clientFlags `embed:""`
	outputFlags `embed:""`
}

// Run lists search clients.
func (c *clientsListCommand) Run(s *session) error {
	return c.call(s, func(ctx context.Context, conn *client) error {
		all := &pb.ListClientsResponse{}
		for page := ""; ; {
			r, err := conn.access.ListClients(ctx, &pb.ListClientsRequest{PageSize: 1000, PageToken: page})
			if err != nil {
				return err
			}
			all.Clients = append(all.Clients, r.GetClients()...)
			if page = r.GetNextPageToken(); page == "" {
				break
			}
		}
		if c.Output == "json" {
			return printJSON(s, all)
		}
		t := table{}
		t.add("NAME", "TITLE", "RIGHTS")
		for _, m := range all.GetClients() {
			t.add(m.GetName(), m.GetDisplayName(), strings.Join(rightsOf(m), ", "))
		}
		t.print(s.Stdout)
		return nil
	})
}

// rightsOf describes what a search client may do.
func rightsOf(c *pb.Client) (rights []string) {
	for _, right := range []struct {
		words string
		has   bool
	}{{"suspended", c.GetSuspended()}, {"sees prices", c.GetSeesPrices()}, {"sees campaigns", c.GetSeesCampaigns()},
		{"renders only", c.GetRendersOnly()}} {
		if right.has {
			rights = append(rights, right.words)
		}
	}
	for _, g := range c.GetEventsOf() {
		rights = append(rights, "events of "+g.GetClient())
	}
	return rights
}

type clientsUpdateCommand struct {
	Name         string `arg:"" name:"search-client" help:"The search client."`
	clientRights `embed:""`
	clientFlags  `embed:""`
}

// Run changes the rights of a search client.
func (c *clientsUpdateCommand) Run(s *session) error {
	return c.updateClient(s, c.set(&pb.Client{Name: named("clients", c.Name)}), rightsFields...)
}

// updateClient changes fields of a search client.
func (f *clientFlags) updateClient(s *session, m *pb.Client, fields ...string) error {
	return f.call(s, func(ctx context.Context, conn *client) error {
		_, err := conn.access.UpdateClient(ctx, &pb.UpdateClientRequest{Client: m,
			UpdateMask: &fieldmaskpb.FieldMask{Paths: fields}})
		return err
	})
}

type clientsSuspendCommand struct {
	Name        string `arg:"" name:"search-client" help:"The search client."`
	Resume      bool   `help:"Take the client's credentials again."`
	clientFlags `embed:""`
}

// Run suspends a search client, or resumes.
func (c *clientsSuspendCommand) Run(s *session) error {
	return c.updateClient(s, &pb.Client{Name: named("clients", c.Name), Suspended: !c.Resume}, "suspended")
}

type clientsDeleteCommand struct {
	Name        string `arg:"" name:"search-client" help:"The search client."`
	clientFlags `embed:""`
}

// Run deletes a search client.
func (c *clientsDeleteCommand) Run(s *session) error {
	return c.call(s, func(ctx context.Context, conn *client) error {
		_, err := conn.access.DeleteClient(ctx, &pb.DeleteClientRequest{Name: named("clients", c.Name)})
		return err
	})
}
