package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/hexbid/hexbid"
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

// addBounds adds what a user or a client may ask of a server, by its own quota.
func addBounds(t *table, quota *pb.CallQuota) {
	for _, row := range []struct {
		what string
		most int64
	}{{"calls a second", int64(quota.GetCallsPerSecond())}, {"calls open", int64(quota.GetInFlight())},
		{"rows a day", quota.GetRowsPerDay()}} {
		most := "the server's default"
		if row.most > 0 {
			most = fmt.Sprint(row.most)
		}
		t.add(row.what, most)
	}
}

// quotaFlags say what one user or client may ask of a server.
type quotaFlags struct {
	CallsPerSecond *int32 `help:"Calls a second, on average; 0 for the server's default." placeholder:"N"`
	InFlight       *int32 `help:"Calls and streams at once; 0 for the server's default." placeholder:"N"`
	RowsPerDay     *int64 `help:"Resources written between two midnights of UTC; 0 for the server's default." placeholder:"N"`
	Clear          bool   `help:"Set what is not given to the server's default too, rather than leave it."`
	outputFlags    `embed:""`
}

// quota returns the quota that the flags set, and the fields of it that they name: none where they set nothing.
func (f *quotaFlags) quota() (quota *pb.CallQuota, fields []string) {
	quota = &pb.CallQuota{}
	fields = setIfGiven(fields, "quota.calls_per_second", f.CallsPerSecond, &quota.CallsPerSecond)
	fields = setIfGiven(fields, "quota.in_flight", f.InFlight, &quota.InFlight)
	fields = setIfGiven(fields, "quota.rows_per_day", f.RowsPerDay, &quota.RowsPerDay)
	if f.Clear {
		fields = []string{"quota"}
	}
	return quota, fields
}

// setIfGiven sets a field to the value of a flag and adds the field's name, unless the flag is not given.
func setIfGiven[N int32 | int64](fields []string, name string, flag, field *N) []string {
	if flag == nil {
		return fields
	}
	*field = *flag
	return append(fields, name)
}

// print shows a quota, after it was set.
func (f *quotaFlags) print(s *session, m proto.Message, name string, quota *pb.CallQuota) error {
	if f.Output == "json" {
		return printJSON(s, m)
	}
	var t table
	t.add("QUOTA OF "+name, "AT MOST")
	addBounds(&t, quota)
	t.print(s.Stdout)
	return nil
}

type usersQuotaCommand struct {
	User        string `arg:"" help:"The user."`
	quotaFlags  `embed:""`
	clientFlags `embed:""`
}

// Run shows a user's own quota, after it has set what the flags give.
func (c *usersQuotaCommand) Run(s *session) error {
	name := named("users", c.User)
	return c.call(s, func(ctx context.Context, conn *client) error {
		var user *pb.User
		var err error
		if quota, fields := c.quota(); len(fields) == 0 {
			user, err = conn.access.GetUser(ctx, &pb.GetUserRequest{Name: name})
		} else {
			user, err = conn.access.UpdateUser(ctx, &pb.UpdateUserRequest{User: &pb.User{Name: name, Quota: quota},
				UpdateMask: &fieldmaskpb.FieldMask{Paths: fields}})
		}
		if err != nil {
			return err
		}
		return c.print(s, user, name, user.GetQuota())
	})
}

type clientsQuotaCommand struct {
	Name        string `arg:"" name:"search-client" help:"The search client."`
	quotaFlags  `embed:""`
	clientFlags `embed:""`
}

// Run shows a search client's own quota, after it has set what the flags give.
func (c *clientsQuotaCommand) Run(s *session) error {
	name := named("clients", c.Name)
	return c.call(s, func(ctx context.Context, conn *client) error {
		var of *pb.Client
		var err error
		if quota, fields := c.quota(); len(fields) == 0 {
			of, err = conn.access.GetClient(ctx, &pb.GetClientRequest{Name: name})
		} else {
			of, err = conn.access.UpdateClient(ctx, &pb.UpdateClientRequest{Client: &pb.Client{Name: name, Quota: quota},
				UpdateMask: &fieldmaskpb.FieldMask{Paths: fields}})
		}
		if err != nil {
			return err
		}
		return c.print(s, of, name, of.GetQuota())
	})
}

// advertiserQuotaCommand shows and sets what an advertiser may have.
type advertiserQuotaCommand struct {
	Advertiser  string `arg:"" help:"The advertiser."`
	Campaigns   *int64 `help:"Campaigns." placeholder:"N"`
	Places      *int64 `help:"Places." placeholder:"N"`
	Vertices    *int64 `help:"Vertices of polygons in its campaigns." placeholder:"N"`
	Entries     *int64 `help:"Index entries." placeholder:"N"`
	Keywords    *int64 `help:"Keywords of its programs and campaigns." placeholder:"N"`
	MB          *int64 `name:"mb" help:"MiB of its programs, places and campaigns." placeholder:"N"`
	Clear       bool   `help:"Set what is not given to the market's default too, rather than leave it."`
	outputFlags `embed:""`
	clientFlags `embed:""`
}

// Help returns the text of --help.
func (*advertiserQuotaCommand) Help() string {
	return `Without a flag it shows what the advertiser has, and what it may have. Flags set its own quotas, and 0 stands for the
market's default. An advertiser that has more than its quota keeps it and may not grow. Operators alone set quotas.

  hexbid quota advertisers/acme
  hexbid quota advertisers/acme --campaigns 500 --mb 100
  hexbid quota advertisers/acme --clear`
}

// quota returns the quota that the flags set, and the fields of it that they name: none where they set nothing.
func (c *advertiserQuotaCommand) quota() (quota *pb.Holdings, fields []string, err error) {
	quota = &pb.Holdings{}
	fields = setIfGiven(fields, "quota.campaigns", c.Campaigns, &quota.Campaigns)
	fields = setIfGiven(fields, "quota.places", c.Places, &quota.Places)
	fields = setIfGiven(fields, "quota.vertices", c.Vertices, &quota.Vertices)
	fields = setIfGiven(fields, "quota.entries", c.Entries, &quota.Entries)
	fields = setIfGiven(fields, "quota.keywords", c.Keywords, &quota.Keywords)
	fields = setIfGiven(fields, "quota.bytes", c.MB, &quota.Bytes)
	if quota.Bytes < 0 || quota.Bytes > hexbid.MaxHoldings>>20 {
		return nil, nil, fmt.Errorf("--mb: %d is out of range: use 0 to %d", quota.Bytes, hexbid.MaxHoldings>>20)
	}
	quota.Bytes <<= 20
	if c.Clear {
		fields = []string{"quota"}
	}
	return quota, fields, nil
}

// Run shows an advertiser's quotas, after it has set those that the flags give.
func (c *advertiserQuotaCommand) Run(s *session) error {
	quota, fields, err := c.quota()
	if err != nil {
		return err
	}
	name := named("advertisers", c.Advertiser)
	return c.call(s, func(ctx context.Context, conn *client) error {
		if len(fields) > 0 {
			if _, err := conn.campaigns.UpdateAdvertiser(ctx, &pb.UpdateAdvertiserRequest{
				Advertiser: &pb.Advertiser{Name: name, Quota: quota},
				UpdateMask: &fieldmaskpb.FieldMask{Paths: fields}}); status.Code(err) == codes.PermissionDenied {
				return errors.New("operators alone set quotas; without flags this shows them")
			} else if err != nil {
				return err
			}
		}
		a, err := conn.campaigns.GetAdvertiser(ctx, &pb.GetAdvertiserRequest{Name: name}) // which tells holdings
		if err != nil {
			return err
		}
		if c.Output == "json" {
			return printJSON(s, a)
		}
		printHoldings(s.Stdout, a)
		return nil
	})
}

// printHoldings shows what an advertiser has and what it may have.
func printHoldings(w io.Writer, a *pb.Advertiser) {
	var t table
	t.add("QUOTA OF "+a.GetName(), "HAS", "AT MOST", "")
	has, limits, own := a.GetHoldings(), a.GetLimits(), a.GetQuota()
	for _, row := range []struct {
		what                string
		has, most, ownQuota int64
	}{{"campaigns", has.GetCampaigns(), limits.GetCampaigns(), own.GetCampaigns()},
		{"places", has.GetPlaces(), limits.GetPlaces(), own.GetPlaces()},
		{"vertices", has.GetVertices(), limits.GetVertices(), own.GetVertices()},
		{"index entries", has.GetEntries(), limits.GetEntries(), own.GetEntries()},
		{"keywords", has.GetKeywords(), limits.GetKeywords(), own.GetKeywords()},
		{"bytes", has.GetBytes(), limits.GetBytes(), own.GetBytes()}} {
		whose := "the market's default"
		if row.ownQuota > 0 {
			whose = "its own"
		}
		t.add(row.what, fmt.Sprint(row.has), fmt.Sprint(row.most), whose)
	}
	t.print(w)
}
