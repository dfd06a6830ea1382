package cli

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// addQuota adds what a caller may ask of the server and what of it is used. Where there is no bound it adds nothing.
func addQuota(t *table, quota, used *pb.CallQuota) {
	for _, row := range []struct {
		what      string
		most, has int64
	}{{"calls a second", int64(quota.GetCallsPerSecond()), int64(used.GetCallsPerSecond())},
		{"calls open", int64(quota.GetInFlight()), int64(used.GetInFlight())},
		{"rows today", quota.GetRowsPerDay(), used.GetRowsPerDay()}} {
		if row.most > 0 {
			t.add(row.what, fmt.Sprintf("%d of %d", row.has, row.most))
		}
	}
}

// quotaFlags say what one user or client may ask of a server.
type quotaFlags struct {
	CallsPerSecond int32 `help:"Calls a second, on average; 0 for the server's default." placeholder:"N"`
	InFlight       int32 `help:"Calls and streams at once; 0 for the server's default." placeholder:"N"`
	RowsPerDay     int64 `help:"Resources written between two midnights of UTC; 0 for the server's default." placeholder:"N"`
}

func (f *quotaFlags) quota() *pb.CallQuota {
	return &pb.CallQuota{CallsPerSecond: f.CallsPerSecond, InFlight: f.InFlight, RowsPerDay: f.RowsPerDay}
}

// tell says that a quota is set, unless setting it failed.
func (*quotaFlags) tell(s *session, name string, failed error) error {
	if failed != nil {
		return failed
	}
	_, err := fmt.Fprintf(s.Stderr, "the quota of %s is set: hexbid whoami shows it to its owner\n", name)
	return err
}

type usersQuotaCommand struct {
	User        string `arg:"" help:"The user."`
	quotaFlags  `embed:""`
	clientFlags `embed:""`
}

// Run sets a user's quota.
func (c *usersQuotaCommand) Run(s *session) error {
	name := named("users", c.User)
	return c.tell(s, name, c.update(s, &pb.User{Name: name, Quota: c.quota()}, "quota"))
}

type clientsQuotaCommand struct {
	Name        string `arg:"" name:"search-client" help:"The search client."`
	quotaFlags  `embed:""`
	clientFlags `embed:""`
}

// Run sets a search client's quota.
func (c *clientsQuotaCommand) Run(s *session) error {
	name := named("clients", c.Name)
	return c.tell(s, name, c.updateClient(s, &pb.Client{Name: name, Quota: c.quota()}, "quota"))
}

// advertiserQuotaCommand sets what an advertiser may have.
type advertiserQuotaCommand struct {
	Advertiser  string `arg:"" help:"The advertiser."`
	Campaigns   int64  `help:"Campaigns." placeholder:"N"`
	Places      int64  `help:"Places." placeholder:"N"`
	Vertices    int64  `help:"Vertices of polygons in its campaigns." placeholder:"N"`
	Entries     int64  `help:"Index entries." placeholder:"N"`
	Keywords    int64  `help:"Keywords of its programs and campaigns." placeholder:"N"`
	MB          int64  `name:"mb" help:"MiB of its programs, places and campaigns." placeholder:"N"`
	clientFlags `embed:""`
}

// Help returns the text of --help.
func (*advertiserQuotaCommand) Help() string {
	return `What is not given, or 0, is the market's default. An advertiser that has more than its quota keeps it and may not grow.

  hexbid quota advertisers/acme --campaigns 500 --mb 100
  hexbid get advertisers/acme`
}

// Run sets an advertiser's quota.
func (c *advertiserQuotaCommand) Run(s *session) error {
	quota := &pb.Holdings{Campaigns: c.Campaigns, Places: c.Places, Vertices: c.Vertices, Entries: c.Entries,
		Keywords: c.Keywords, Bytes: c.MB << 20}
	return c.call(s, func(ctx context.Context, conn *client) error {
		_, err := conn.campaigns.UpdateAdvertiser(ctx, &pb.UpdateAdvertiserRequest{
			Advertiser: &pb.Advertiser{Name: named("advertisers", c.Advertiser), Quota: quota},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"quota"}}})
		if err == nil {
			_, err = fmt.Fprintf(s.Stderr, "the quota of %s is set: hexbid get %[1]s shows its limits\n",
				named("advertisers", c.Advertiser))
		}
		return err
	})
}
