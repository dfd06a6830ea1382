package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"fmt"
	"slices"
	"strings"
)

// httpBodies sends bodies that are expensive or impossible to decode: deep, long, numerous, contradictory, not UTF-8,
// or not JSON at all. Each must be refused. Those of harmless size are sent to every kind of method.
func httpBodies(ctx context.Context, r *round) error {
	bombs, keys := jsonBombs(), r.attackerKeys()
	return r.inTurn(ctx, len(bombs)*len(keys), func(_ context.Context, i int) {
		b := bombs[i%len(bombs)]
		q := webRequest{method: cmp.Or(b.method, "POST"), target: bombTargets[i/len(bombs)%len(bombTargets)],
			headers: b.headers, key: keys[i%len(keys)], body: b.body}
		if b.target != "" {
			q.target = b.target
		}
		if a, ok := r.askOver(r.server, b.name, q); ok && a.status < 400 {
			r.tally.fall("%s: %s was answered with %d: %.300s", b.name, q.target, a.status, a.body)
		}
	})
}

// bombTargets are a method of our own, a generated one, one whose body is a field, and one that does not exist.
var bombTargets = []string{"/v1/nearby:search", "/v1/events:record", "/v1/advertisers?advertiser_id=bomb",
	"/v1/no:method"}

// jsonBomb is a body that no method takes. The one at target is chosen where it matters.
type jsonBomb struct {
	name, target string
	headers      []string
	body         string
	method       string // POST when empty
}

// millions is how often a bomb repeats what it repeats.
const millions = 2 << 20

func jsonBombs() []jsonBomb {
	return slices.Concat(searchBombs(), bodyBombs(), largeBombs(), typeBombs())
}

// searchBombs are searches with one thing wrong.
func searchBombs() []jsonBomb {
	const here = `"location":{"latitude":1,"longitude":1}`
	search := func(name, fields string) jsonBomb {
		return jsonBomb{name: name, target: searchPath, body: "{" + fields + "}"}
	}
	return []jsonBomb{
		search("deep objects in a field", `"location":`+strings.Repeat(`{"location":`, 4000)),
		search("deep arrays in a field", here+`,"words":`+strings.Repeat("[", 60_000)),
		search("a number of many digits", here+`,"nearby_limit":1`+strings.Repeat("0", 60_000)),
		search("a number of a vast exponent", here+`,"nearby_limit":1e999999999`),
		search("a coordinate of a vast exponent", `"location":{"latitude":1e308e308,"longitude":1}`),
		search("a coordinate that is no number", `"location":{"latitude":"NaN","longitude":"-Infinity"}`),
		search("a number of 64 bits and one more", here+`,"nearby_limit":9223372036854775808`),
		search("a number of 32 bits and one more", here+`,"nearby_limit":"2147483648"`),
		search("a field twice", here+`,"words":"a","words":"b"`),
		search("a field in both spellings", here+`,"nearby_limit":1,"nearbyLimit":2`),
		search("a field of nobody's", here+`,"hack":true`),
		search("a field of a long name", here+`,"`+strings.Repeat("x", 60_000)+`":1`),
		search("a value of a long name", here+`,"host":"`+strings.Repeat("H", 60_000)+`"`),
		search("a field of a long name twice", here+strings.Repeat(`,"`+strings.Repeat("y", 20_000)+`":1`, 2)),
		search("many fields of nobody's", here+manyFields(4000)),
		search("a word of a megabyte", here+`,"words":"`+strings.Repeat("w", 1<<20)+`"`),
		search("a word of sixty thousand", here+`,"words":"`+strings.Repeat("w", 60_000)+`"`),
		search("a key of sixty thousand", here+`,"viewer":{"user_key":"`+strings.Repeat("k", 60_000)+`"}`),
		search("bytes that are no text", here+`,"words":"`+"\xff\xfe\xc0\xaf"+`"`),
		search("half a surrogate", here+`,"words":"\ud800"`),
		search("an escape of nothing", here+`,"words":"\x41"`),
		search("a control character", here+",\"words\":\"a\x00b\""),
		search("a type of its own", `"@type":"type.googleapis.com/hexbid.v1.Key",`+here),
		search("a page of nobody's", here+`,"page_token":"`+strings.Repeat("QUJD", 10_000)+`"`),
	}
}

// bodyBombs are no JSON that any method takes.
func bodyBombs() []jsonBomb {
	any := func(name, body string) jsonBomb { return jsonBomb{name: name, body: body} }
	return []jsonBomb{
		any("a deep array", strings.Repeat("[", millions)),
		any("deep objects", strings.Repeat(`{"a":`, millions/2)+"1"),
		any("nothing whole", `{"location":{"latitude":`),
		any("two documents", `{}{}`),
		any("a document and more", `{} trailing`),
		any("an array", `[1,2,3]`),
		any("a text", `"text"`),
		any("a comment", `{/* a */}`),
		any("a mark of byte order", "\xef\xbb\xbf[]"),
		any("sixteen bits a character", "\xff\xfe{\x00}\x00"),
		any("zeros", strings.Repeat("\x00", 60_000)),
	}
}

// largeBombs have more of something than a method takes.
func largeBombs() []jsonBomb {
	return []jsonBomb{
		{name: "empty objects without end", target: "/v1/events:record",
			body: `{"events":[` + strings.Repeat("{},", millions) + `{}]}`},
		{name: "too many events", target: "/v1/events:record",
			body: `{"events":[` + strings.Repeat(`{"kind":1},`, 100_000) + `{}]}`},
		{name: "a name of a megabyte", target: bombTargets[2], body: `{"display_name":"` + strings.Repeat("n", 1<<20) + `"}`},
		{name: "an id of eight thousand", target: "/v1/advertisers?advertiser_id=" + strings.Repeat("i", 8000), body: `{}`},
		{name: "a mask of a thousand", target: "/v1/market?update_mask=" + strings.Repeat("a.", 1000) + "a", body: `{}`,
			method: "PATCH"},
		{name: "more than a body may have", target: bombTargets[2],
			body: `{"display_name":"` + strings.Repeat("n", 9<<20) + `"}`},
		{name: "chunks without end", target: bombTargets[2], headers: []string{"Transfer-Encoding: chunked"},
			body: strings.Repeat("10000\r\n"+strings.Repeat(" ", 1<<16)+"\r\n", 140)},
	}
}

// typeBombs are bodies that are no JSON by their headers.
func typeBombs() []jsonBomb {
	encoded := func(name, header string, body string) jsonBomb {
		return jsonBomb{name: name, headers: []string{header}, body: body}
	}
	return []jsonBomb{
		encoded("a compressed bomb", "Content-Encoding: gzip", gzipped(strings.Repeat(" ", 16<<20))),
		encoded("a form", "Content-Type: application/x-www-form-urlencoded", "display_name=form"),
		encoded("plain text", "Content-Type: text/plain", `{"display_name":"plain"}`),
		encoded("a charset", "Content-Type: application/json; charset=utf-16", `{"display_name":"wide"}`),
		encoded("a type that does not parse", "Content-Type: application/json;;;=", `{"display_name":"odd"}`),
		encoded("lines", "Content-Type: application/x-ndjson", "{}\n{}\n"),
	}
}

func manyFields(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, `,"f%d":%d`, i, i)
	}
	return text.String()
}

func gzipped(text string) string {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write([]byte(text)) // cannot fail, because it writes into memory
	_ = z.Close()
	return out.String()
}
