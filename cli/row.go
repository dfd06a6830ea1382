package cli

import (
	"fmt"
	"sort"
	"strings"

	"google.golang.org/protobuf/proto"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// upload is a document on its way to the server.
type upload struct {
	doc   *document
	name  string
	needs []string // names that it refers to
	row   *pb.ImportRow
}

// newUpload converts a document; its error is a *rowError.
func newUpload(d *document) (*upload, error) {
	u := &upload{doc: d, row: &pb.ImportRow{}}
	kind := u.take("kind")
	fields, known := fieldsByKind[strings.ToLower(kind)]
	if !known {
		return nil, d.wrong("kind", fmt.Sprintf("%q is not a kind: use advertiser, program, place or campaign", kind))
	}
	u.name = u.take("name")
	if u.name == "" {
		return nil, d.wrong("name", "is missing: write it as advertisers/acme, advertisers/acme/programs/noodles and so on")
	}
	message := u.message(strings.ToLower(kind))
	for _, name := range sortedFields(d) {
		set, known := fields[name]
		if !known {
			return nil, d.wrong(name, fmt.Sprintf("is not a field of a %s: see hexbid apply --template yaml", kind))
		}
		if err := set(message, d.fields[name]); err != nil {
			return nil, d.wrong(name, err.Error())
		}
	}
	if cut := strings.LastIndex(u.name, "/"); cut > 0 {
		if cut = strings.LastIndex(u.name[:cut], "/"); cut > 0 {
			u.needs = append(u.needs, u.name[:cut])
		}
	}
	return u, nil
}

// take removes a scalar field and returns it.
func (u *upload) take(field string) string {
	n := u.doc.fields[field]
	delete(u.doc.fields, field)
	if n == nil {
		return ""
	}
	return strings.TrimSpace(n.Value)
}

// message makes the message of a kind and puts it into the row.
func (u *upload) message(kind string) proto.Message {
	switch kind {
	case "advertiser":
		m := &pb.Advertiser{Name: u.name}
		u.row.Resource = &pb.ImportRow_Advertiser{Advertiser: m}
		return m
	case "program":
		m := &pb.Program{Name: u.name}
		u.row.Resource = &pb.ImportRow_Program{Program: m}
		return m
	case "place":
		m := &pb.Place{Name: u.name}
		u.row.Resource = &pb.ImportRow_Place{Place: m}
		return m
	}
	m := &pb.Campaign{Name: u.name}
	u.row.Resource = &pb.ImportRow_Campaign{Campaign: m}
	if n := u.doc.fields["program"]; n != nil {
		u.needs = append(u.needs, strings.TrimSpace(n.Value))
	}
	return m
}

func sortedFields(d *document) []string {
	names := make([]string, 0, len(d.fields))
	for name := range d.fields {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// wrong is an error of a field, at its line.
func (d *document) wrong(field, what string) error {
	line := d.line
	if n := d.fields[field]; n != nil {
		line = n.Line
	}
	return &rowError{d.file, line, field, what}
}

// fileField is the name that files have for a field of the contract.
func fileField(field string) string {
	field = field[strings.Index(field, ".")+1:] // campaign.bid_micros is bid_micros
	renamed := map[string]string{"bid_micros": "bid", "daily_budget_micros": "daily_budget", "total_budget_micros": "total_budget",
		"pricing_model": "pricing", "start_time": "start", "end_time": "end", "weekly_hours": "hours", "latitude": "lat", "longitude": "lng",
		"operating_systems": "os", "icon_uri": "icon", "audience.excluded_interests": "audience.not_interests"}
	if name, ok := renamed[field]; ok {
		return name
	}
	return strings.NewReplacer("excluded_area", "exclude", "h3_cells", "cells", "operating_systems", "os").Replace(field)
}
