package main

import (
	"context"
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// desk is where clerks work: the services over one connection.
type desk struct {
	campaigns pb.CampaignServiceClient
	access    pb.AccessServiceClient
	market    pb.MarketServiceClient
	history   pb.AuditServiceClient
}

func newDesk(conn *grpc.ClientConn) *desk {
	return &desk{pb.NewCampaignServiceClient(conn), pb.NewAccessServiceClient(conn), pb.NewMarketServiceClient(conn),
		pb.NewAuditServiceClient(conn)}
}

// drawer says how papers of one kind are written. What a kind cannot is nil.
type drawer struct {
	field   string // that holds the mark, as the history names it
	first   string // mark before the first write of a clerk; empty where nothing is
	undoes  bool   // its changes can be undone
	create  func(ctx context.Context, d *desk, name, mark string) (made record, credential string, err error)
	update  func(ctx context.Context, d *desk, name, mark string) (record, error)
	remove  func(ctx context.Context, d *desk, name string) error
	get     func(ctx context.Context, d *desk, name string) (record, error)
	newMark func(serial int64) string
}

// markIn returns the mark in a record, none when there is no record.
func (*drawer) markIn(r record) string {
	switch v := r.(type) {
	case nil:
		return ""
	case *pb.Market:
		return strconv.FormatInt(v.GetIncrementMicros(), 10)
	case interface{ GetDisplayName() string }:
		return v.GetDisplayName()
	}
	panic(fmt.Sprintf("%T has no mark", r)) // cannot happen: drawers get records of the kinds above
}

const displayName = "display_name"

func mask(fields ...string) *fieldmaskpb.FieldMask { return &fieldmaskpb.FieldMask{Paths: fields} }

func nameMark(serial int64) string { return fmt.Sprint("mark ", serial) }

// taken returns a record of the kind, nil when there was an error.
func taken[T record](r T, err error) (record, error) {
	if err != nil {
		return nil, err
	}
	return r, nil
}

func taken3[T record](r T, err error) (record, string, error) {
	made, err := taken(r, err)
	return made, "", err
}

// marketDrawer writes the least increment of prices, which no charge of the crowd depends on: awards tell their price.
// The server's flags set the first one.
var marketDrawer = &drawer{field: "increment_micros", first: "10000", undoes: true,
	newMark: func(serial int64) string { return strconv.FormatInt(1+serial%9_000, 10) },
	get: func(ctx context.Context, d *desk, name string) (record, error) {
		return taken(d.market.GetMarket(ctx, &pb.GetMarketRequest{Name: name}))
	},
	update: func(ctx context.Context, d *desk, name, mark string) (record, error) {
		micros, err := strconv.ParseInt(mark, 10, 64)
		if err != nil {
			return nil, err
		}
		return taken(d.market.UpdateMarket(ctx, &pb.UpdateMarketRequest{UpdateMask: mask("increment_micros"),
			Market: &pb.Market{Name: name, IncrementMicros: micros}}))
	},
}

var userDrawer = &drawer{field: displayName, newMark: nameMark,
	create: func(ctx context.Context, d *desk, name, mark string) (record, string, error) {
		return taken3(d.access.CreateUser(ctx, &pb.CreateUserRequest{UserId: path.Base(name),
			User: &pb.User{DisplayName: mark, Role: pb.Role_ROLE_AUDITOR}}))
	},
	update: func(ctx context.Context, d *desk, name, mark string) (record, error) {
		return taken(d.access.UpdateUser(ctx, &pb.UpdateUserRequest{UpdateMask: mask(displayName),
			User: &pb.User{Name: name, DisplayName: mark}}))
	},
	remove: func(ctx context.Context, d *desk, name string) error {
		_, err := d.access.DeleteUser(ctx, &pb.DeleteUserRequest{Name: name})
		return err
	},
	get: func(ctx context.Context, d *desk, name string) (record, error) {
		return taken(d.access.GetUser(ctx, &pb.GetUserRequest{Name: name}))
	},
}

var clientDrawer = &drawer{field: displayName, newMark: nameMark,
	create: func(ctx context.Context, d *desk, name, mark string) (record, string, error) {
		return taken3(d.access.CreateClient(ctx, &pb.CreateClientRequest{ClientId: path.Base(name),
			Client: &pb.Client{DisplayName: mark}}))
	},
	update: func(ctx context.Context, d *desk, name, mark string) (record, error) {
		return taken(d.access.UpdateClient(ctx, &pb.UpdateClientRequest{UpdateMask: mask(displayName),
			Client: &pb.Client{Name: name, DisplayName: mark}}))
	},
	remove: func(ctx context.Context, d *desk, name string) error {
		_, err := d.access.DeleteClient(ctx, &pb.DeleteClientRequest{Name: name})
		return err
	},
	get: func(ctx context.Context, d *desk, name string) (record, error) {
		return taken(d.access.GetClient(ctx, &pb.GetClientRequest{Name: name}))
	},
}

// keyDrawer writes keys of a user who stays.
var keyDrawer = &drawer{field: displayName, newMark: nameMark,
	create: func(ctx context.Context, d *desk, name, mark string) (record, string, error) {
		issued, err := d.access.CreateKey(ctx, &pb.CreateKeyRequest{Parent: path.Dir(path.Dir(name)),
			KeyId: path.Base(name), Key: &pb.Key{DisplayName: mark}})
		if err != nil {
			return nil, "", err
		}
		return issued.GetKey(), issued.GetCredential(), nil
	},
	update: func(ctx context.Context, d *desk, name, mark string) (record, error) {
		return taken(d.access.UpdateKey(ctx, &pb.UpdateKeyRequest{UpdateMask: mask(displayName),
			Key: &pb.Key{Name: name, DisplayName: mark}}))
	},
	remove: func(ctx context.Context, d *desk, name string) error {
		_, err := d.access.DeleteKey(ctx, &pb.DeleteKeyRequest{Name: name})
		return err
	},
	get: func(ctx context.Context, d *desk, name string) (record, error) {
		return taken(d.access.GetKey(ctx, &pb.GetKeyRequest{Name: name}))
	},
}

var placeDrawer = &drawer{field: displayName, undoes: true, newMark: nameMark,
	create: func(ctx context.Context, d *desk, name, mark string) (record, string, error) {
		return taken3(d.campaigns.CreatePlace(ctx, &pb.CreatePlaceRequest{Parent: path.Dir(path.Dir(name)),
			PlaceId: path.Base(name), Place: &pb.Place{DisplayName: mark, Latitude: 10, Longitude: 10}}))
	},
	update: func(ctx context.Context, d *desk, name, mark string) (record, error) {
		return taken(d.campaigns.UpdatePlace(ctx, &pb.UpdatePlaceRequest{UpdateMask: mask(displayName),
			Place: &pb.Place{Name: name, DisplayName: mark}}))
	},
	remove: func(ctx context.Context, d *desk, name string) error {
		_, err := d.campaigns.DeletePlace(ctx, &pb.DeletePlaceRequest{Name: name})
		return err
	},
	get: func(ctx context.Context, d *desk, name string) (record, error) {
		return taken(d.campaigns.GetPlace(ctx, &pb.GetPlaceRequest{Name: name}))
	},
}

// campaignDrawer writes campaigns with vertices and keywords, as many as the mark is long, for these are counted.
var campaignDrawer = &drawer{field: displayName, undoes: true, newMark: nameMark,
	create: func(ctx context.Context, d *desk, name, mark string) (record, string, error) {
		c := officeCampaign(name, mark)
		return taken3(d.campaigns.CreateCampaign(ctx, &pb.CreateCampaignRequest{Parent: path.Dir(path.Dir(name)),
			CampaignId: path.Base(name), Campaign: c}))
	},
	update: func(ctx context.Context, d *desk, name, mark string) (record, error) {
		return taken(d.campaigns.UpdateCampaign(ctx, &pb.UpdateCampaignRequest{
			UpdateMask: mask(displayName, "area", "keywords"), Campaign: officeCampaign(name, mark)}))
	},
	remove: func(ctx context.Context, d *desk, name string) error {
		_, err := d.campaigns.DeleteCampaign(ctx, &pb.DeleteCampaignRequest{Name: name})
		return err
	},
	get: func(ctx context.Context, d *desk, name string) (record, error) {
		return taken(d.campaigns.GetCampaign(ctx, &pb.GetCampaignRequest{Name: name}))
	},
}

func officeCampaign(name, mark string) *pb.Campaign {
	c := &pb.Campaign{Name: name, DisplayName: mark, Program: path.Dir(path.Dir(name)) + "/programs/p",
		PricingModel: pb.PricingModel_PRICING_MODEL_CPC, BidMicros: yuan, DailyBudgetMicros: yuan,
		Area: &pb.Area{Polygons: []string{polygonOf(positionsOf(mark) - 1)}}}
	for i := range numberOf(mark) % 4 {
		c.Keywords = append(c.Keywords, &pb.Keyword{Text: fmt.Sprint("word", i)})
	}
	return c
}

// positionsOf returns how many positions the polygon of a campaign has, the last of which is the first again.
func positionsOf(mark string) int { return 4 + numberOf(mark)%5 }

// numberOf returns the number of a mark.
func numberOf(mark string) int {
	number, err := strconv.Atoi(mark[strings.LastIndexByte(mark, ' ')+1:])
	if err != nil {
		panic(fmt.Sprintf("%q: %v", mark, err)) // cannot happen: nameMark made it
	}
	return number
}

// polygonOf returns a regular polygon as GeoJSON, far from what the crowd searches.
func polygonOf(vertices int) string {
	var corners []string
	for i := range vertices + 1 { // the last is the first
		turn := 2 * math.Pi * float64(i%vertices) / float64(vertices)
		corners = append(corners, fmt.Sprintf("[%.4f,%.4f]", 10+0.01*math.Cos(turn), 10+0.01*math.Sin(turn)))
	}
	return `{"type":"Polygon","coordinates":[[` + strings.Join(corners, ",") + `]]}`
}
