package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// docsTable reads the rows of the table under a header in the docs. It strips backquotes from the cells.
func docsTable(t *testing.T, file, header string) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), header+"\n")
	if !found {
		t.Fatalf("%s has no table %q", file, header)
	}
	for _, line := range strings.Split(rest, "\n")[1:] {
		if !strings.HasPrefix(line, "|") {
			return rows
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		rows = append(rows, cells)
	}
	return rows
}

const wordsDocument = `kind: advertiser
name: advertisers/words
display_name: W
---
kind: program
name: advertisers/words/programs/p
display_name: %s
category: %s
hosts: [wechat]
---
kind: place
name: advertisers/words/programs/p/places/l
lat: 30.2553
lng: 120.1640
---
kind: campaign
name: advertisers/words/campaigns/c
display_name: C
program: advertisers/words/programs/p
pricing: cpc
bid: 1
daily_budget: 10
area.everywhere: true
keywords: [%s]
`

// TestWordsMeetTextsAndKeywordsAsTheTablesOfTheDocsSay tries every row on the server.
func TestWordsMeetTextsAndKeywordsAsTheTablesOfTheDocsSay(t *testing.T) {
	s, ctx := boot(t, nil), testContext(t)
	try := func(name, category, keywords, words string) *pb.SearchNearbyResponse {
		if keywords != "" {
			keywords = "'" + keywords + "'"
		}
		s.mustRun(t, fmt.Sprintf(wordsDocument, name, category, keywords), "apply", "-f", "-")
		response, err := s.search.SearchNearby(ctx,
			&pb.SearchNearbyRequest{Location: &pb.Location{Latitude: 30.2553, Longitude: 120.1640}, Words: words,
				Viewer: &pb.Viewer{Age: proto.Int32(30)}})
		if err != nil {
			t.Fatal(err)
		}
		return response
	}
	keywords := docsTable(t, "advertisers.md", "| keywords | typed | competes | for |")
	for _, row := range keywords {
		response := try("Noodle House 面馆", "catering", row[0], row[1])
		if competes := len(response.GetSponsored()) == 1; competes != (row[2] == "yes") {
			t.Errorf("keywords %q, typed %q: competes %v, the docs say %s", row[0], row[1], competes, row[2])
		}
	}
	texts := docsTable(t, "search-clients.md", "| typed | program's name | category | found | for |")
	for _, row := range texts {
		for _, negative := range []string{"", "-hotpot"} { // only negative keywords count as none
			response := try(row[1], row[2], negative, row[0])
			if competes := len(response.GetSponsored()) == 1; competes != (row[3] == "yes") {
				t.Errorf("typed %q, name %q in %s: the ad competes %v, the docs say %s", row[0], row[1], row[2], competes, row[3])
			}
			s.mustRun(t, "", "delete", "advertisers/words/campaigns/c")
			response, err := s.search.SearchNearby(ctx,
				&pb.SearchNearbyRequest{Location: &pb.Location{Latitude: 30.2553, Longitude: 120.1640}, Words: row[0]})
			if err != nil {
				t.Fatal(err)
			}
			if found := len(response.GetNearby()) == 1; found != (row[3] == "yes") {
				t.Errorf("typed %q, name %q in %s: listed %v, the docs say %s", row[0], row[1], row[2], found, row[3])
			}
		}
	}
	if len(keywords) < 15 || len(texts) < 16 {
		t.Errorf("only %d and %d rows were read", len(keywords), len(texts))
	}
}
