package cli

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// grownCampaign returns the contract's campaign with additional fields for which nobody has written code.
func grownCampaign(t *testing.T) protoreflect.MessageDescriptor {
	t.Helper()
	type kind = descriptorpb.FieldDescriptorProto_Type
	made := func(number int32, name string, k kind, message string, many bool) *descriptorpb.FieldDescriptorProto {
		f := &descriptorpb.FieldDescriptorProto{Name: &name, Number: &number, Type: &k,
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
		if message != "" {
			f.TypeName = &message
		}
		if many {
			f.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		}
		return f
	}
	const text, amount, enum, message = descriptorpb.FieldDescriptorProto_TYPE_STRING,
		descriptorpb.FieldDescriptorProto_TYPE_INT64,
		descriptorpb.FieldDescriptorProto_TYPE_ENUM, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	campaign := protodesc.ToDescriptorProto((&pb.Campaign{}).ProtoReflect().Descriptor())
	campaign.Field = append(campaign.Field,
		made(1001, "slogan", text, "", false),
		made(1002, "deposit_micros", amount, "", false),
		made(1003, "discount_ppm", amount, "", false),
		made(1004, "lead", enum, ".hexbid.v1.Host", false),
		made(1005, "holidays_time", message, ".google.protobuf.Timestamp", true),
		made(1006, "quiet_hours", message, ".hexbid.v1.WeeklyHours", true),
		made(1007, "tenure", message, ".made.Tenure", false),
		made(1008, "offers", message, ".made.Offer", true),
		made(1009, "grade", text, "", false),
	)
	hidden := campaign.Field[len(campaign.Field)-1]
	hidden.Options = &descriptorpb.FieldOptions{}
	proto.SetExtension(hidden.Options, pb.E_OutputOnly, true)
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("made.proto"), Package: proto.String("made"), Syntax: proto.String("proto3"),
		Dependency: []string{"hexbid/v1/catalog.proto", "hexbid/v1/search.proto", "google/protobuf/timestamp.proto",
			"google/protobuf/duration.proto"},
		MessageType: []*descriptorpb.DescriptorProto{campaign,
			{Name: proto.String("Tenure"),
				Field: []*descriptorpb.FieldDescriptorProto{made(1, "least", message, ".google.protobuf.Duration", false),
					made(2, "levels", amount, "", true)}},
			{Name: proto.String("Offer"), Field: []*descriptorpb.FieldDescriptorProto{made(1, "title", text, "", false),
				made(2, "price_micros", amount, "", false),
				made(3, "tenure", message, ".made.Tenure", false), made(4, "around", message, ".hexbid.v1.Circle", true)}},
		},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return file.Messages().ByName("Campaign")
}

// TestAFieldThatTheContractGrowsIsReadAndWrittenWithoutFurtherCode adds fields of every kind to the contract, and some
// that programs may not set.
func TestAFieldThatTheContractGrowsIsReadAndWrittenWithoutFurtherCode(t *testing.T) {
	const text = `bid: 1.20
hours: [mon-fri 9-18]
area:
    around_places_m: 1500
    circles:
        - 30.5 120 800
creatives:
    - {title: soup, coupon: {text: less, valid_until: '2030-01-01T00:00:00Z'}}
slogan: no
deposit: 12.50
discount: 0.80
lead: alipay
holidays: ['2026-10-01T00:00:00Z', '2027-01-01T00:00:00Z']
quiet_hours: [sat-sun 0-7]
tenure:
    least: 720h0m0s
    levels: [1, 2, 3]
offers:
    - {title: first, price: 9.99, tenure: {least: 1h0m0s}, around: [30.1 120.2 50, 31 121 60 gcj02]}
    - {title: second}
`
	d := grownCampaign(t)
	fields, m := resourceFields(d), dynamicpb.NewMessage(d)
	readDocuments("x.yaml", strings.NewReader(text), func(doc *document) {
		for _, name := range sortedFields(doc) {
			doc.read(m, fields.byName[name], name)
		}
		for _, wrong := range doc.wrong {
			t.Error(wrong)
		}
	}, func(e *rowError) { t.Error(e) }, func(int, string) {})
	mapping := &yaml.Node{Kind: yaml.MappingNode}
	fields.put(mapping, m)
	written, err := yaml.Marshal(mapping)
	if err != nil || string(written) != text {
		t.Errorf("%v\n got %s\nwant %s", err, written, text)
	}
	if got := m.Get(d.Fields().ByName("deposit_micros")).Int(); got != 12_500_000 {
		t.Errorf("a deposit of 12.50 is %d micros", got)
	}
	if fields.byName["offer.price"] == nil || fields.byName["grade"] != nil || fields.byName["uid"] != nil ||
		fields.byName["etag"] != nil {
		t.Errorf("the fields of files are %q", fields.names())
	}
	for path, want := range map[string]string{"deposit_micros": "deposit", "offers.price_micros": "offers.price",
		"quiet_hours.day": "quiet_hours", "offers.around.radius_m": "offers.around.radius_m"} {
		if got, ok := pathInFiles(d, path); !ok || got != want {
			t.Errorf("%q is %q in files, %v", path, got, ok)
		}
	}
}

// TestFilesHaveTheseFields holds the names of the fields in people's files, in the order of columns.
func TestFilesHaveTheseFields(t *testing.T) {
	for kind, want := range map[string]string{
		"advertiser": "display_name state frequency_cap.impressions frequency_cap.window frequency_cap.serve_uncapped",
		"program":    "display_name alternative_names category hosts os minimum_age path icon keywords",
		"place":      "display_name lat lng datum address opening_hours",
		"campaign": "display_name program state pricing bid host_bids daily_budget total_budget pacing goal " +
			"target_cost start end time_zone hours area.around_places_m area.circles area.cells area.regions " +
			"area.everywhere area.polygons " +
			"exclude.around_places_m exclude.circles exclude.cells exclude.regions exclude.everywhere exclude.polygons " +
			"audience.ages audience.genders audience.os audience.hosts audience.scenes audience.networks " +
			"audience.interests audience.not_interests audience.credit_bands audience.residences " +
			"audience.include_unknown keywords frequency_cap.impressions frequency_cap.window " +
			"frequency_cap.serve_uncapped creatives creative.host creative.title creative.promotion creative.path " +
			"creative.image creative.coupon.text creative.coupon.terms creative.coupon.valid_until " +
			"creative.coupon.total_count",
	} {
		// additional fields come after these
		if got := strings.Join(fieldsByKind[kind].names(), " "); !strings.HasPrefix(got, want) {
			t.Errorf("a %s has\n got %s\nwant %s", kind, got, want)
		}
	}
}

func TestWhatIsWrongInAListOfMappingsIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"creatives: [{colour: red}]":                 "creatives: colour is not one of host, title,",
		"creatives: [{title: a, title: b}]":          "creatives: title stands twice",
		"creatives: [{coupon: {valid_until: soon}}]": `creatives: coupon.valid_until: "soon" is not an instant`,
		"creatives: [{coupon: {colour: red}}]":       "creatives: coupon.colour is not one of",
		"creatives: [{host: {a: b}}]":                "creatives: host: is a list or a mapping",
		"creatives: [soup]":                          "creatives: has an entry that is not a mapping",
		"creatives: soup": "creatives: is not a list: write a list of mappings, or " +
			"for one creative.host",
		"area: {circles: [{lat: 1, radius_m: 5}]}":               "area.circles: lacks lng",
		"area: {circles: [{lat: x, lng: 1, radius_m: 5}]}":       `area.circles: lat: "x" is not a number`,
		"area: {circles: [[1, 2, 3]]}":                           "area.circles: is a list or a mapping",
		"audience: {credit_bands: [x]}":                          `or for several 550+, 600+, 650+, 700+`,
		"keywords: [{text: a, negative: perhaps}]":               `keywords: negative: "perhaps" is not true or false`,
		"x: &a [1]\ncreatives: *a":                               "creatives: has an entry that is not a mapping",
		"audience: {ages: [{min_age: 18, max_age: 30, age: 1}]}": "audience.ages: age is not one of min_age, max_age",
	} {
		_, failures := read("x.yaml", "kind: campaign\nname: advertisers/a/campaigns/c\n"+text+"\n")
		if all := strings.Join(failures, "\n"); !strings.Contains(all, want) {
			t.Errorf("%s: %q", text, all)
		}
	}
	for _, text := range []string{"creatives: [{title: ~, coupon: ~}]", "keywords: [{text: a, negative: yes}]",
		"area: {circles: [{lat: 1, lng: 2, radius_m: 3, datum: ~}]}",
		"area: {circles: [&a {lat: 1, lng: 2, radius_m: 3}, *a]}", "audience: {ages: [{min_age: 18, max_age: 30}, 35]}"} {
		if names, failures := read("x.yaml", "kind: campaign\nname: advertisers/a/campaigns/c\n"+text+"\n"); len(names) != 1 {
			t.Errorf("%s: %q", text, failures)
		}
	}
}

// FuzzDocument reads any text as a file. It never panics. What reads without an error is written as a document that
// reads back as the same.
func FuzzDocument(f *testing.F) {
	f.Add("kind: campaign\nname: n\nbid: 1.20\nhost_bids: [alipay 120%]\nhours: fri 22-2\narea: {circles: [{lat: 1, " +
		"lng: 2, radius_m: 3}], polygons: [{a: 1}]}\n")
	f.Add("kind: campaign\nname: n\ncreatives: [{title: a, coupon: {text: b, total_count: 1}}]\nkeywords: [-a, '[b]', " +
		"{text: '-c'}]\naudience: {credit_bands: 650+, ages: 18-30}\n")
	f.Add("kind: campaign\nname: n\ncreative: {title: a, coupon: {valid_until: 2030-01-01T00:00:00Z}}\nfrequency_cap: " +
		"{window: 24h}\n")
	f.Add("kind: place\nname: n\nlat: 1\nlng: .5\n---\nkind: program\nname: n\nhosts: baidu_open_league\n")
	uploads := func(text string, visit func(*upload)) {
		readDocuments("x.yaml", strings.NewReader(text), func(d *document) {
			if u := newUpload(d); u != nil && len(d.wrong) == 0 {
				visit(u)
			}
		}, func(*rowError) {}, func(int, string) {})
	}
	f.Fuzz(func(t *testing.T, text string) {
		uploads(text, func(u *upload) {
			row := u.row.ProtoReflect()
			m := row.Get(row.WhichOneof(row.Descriptor().Oneofs().Get(0))).Message().Interface()
			written, err := documentOf(m)
			if err != nil {
				t.Fatal(err)
			}
			read := 0
			uploads(string(written), func(again *upload) {
				read++
				other := again.row.ProtoReflect()
				got := other.Get(other.WhichOneof(other.Descriptor().Oneofs().Get(0))).Message()
				if !proto.Equal(without(got), without(m.ProtoReflect())) {
					t.Fatalf("got  %v\nwant %v\n%s", got, m, written)
				}
			})
			if read != 1 {
				t.Fatalf("%d documents of\n%s", read, written)
			}
		})
	})
}
