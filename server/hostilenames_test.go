package server

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// disguises write the name of an advertiser in other ways, from its id of one letter.
var disguises = map[string]func(id string) string{
	"upper case":       func(id string) string { return "advertisers/" + strings.ToUpper(id) },
	"upper collection": func(id string) string { return "Advertisers/" + id },
	"full width":       func(id string) string { return "advertisers/" + string(rune(id[0]-'a')+'ａ') },
	"mathematical":     func(id string) string { return "advertisers/" + string(rune(id[0]-'a')+'𝚊') },
	"combining":        func(id string) string { return "advertisers/" + id + "\u0301" },
	"invisible":        func(id string) string { return "advertisers/" + id + "\u200b" },
	"right to left":    func(id string) string { return "advertisers/\u202e" + id },
	"byte order mark":  func(id string) string { return "\ufeffadvertisers/" + id },
	"soft hyphen":      func(id string) string { return "adver\u00adtisers/" + id },
	"another slash":    func(id string) string { return "advertisers\u2215" + id },
	"a backslash":      func(id string) string { return `advertisers\` + id },
	"a dot":            func(id string) string { return "advertisers/" + id + "." },
	"a slash":          func(id string) string { return "advertisers/" + id + "/" },
	"two slashes":      func(id string) string { return "advertisers//" + id },
	"a slash before":   func(id string) string { return "/advertisers/" + id },
	"a host":           func(id string) string { return "//hexbid/advertisers/" + id },
	"here":             func(id string) string { return "advertisers/./" + id },
	"up":               func(id string) string { return "advertisers/a/../" + id },
	"up again":         func(id string) string { return "advertisers/" + id + "/.." },
	"percent":          func(id string) string { return fmt.Sprintf("advertisers/%%%x", id) },
	"a percent slash":  func(id string) string { return "advertisers%2f" + id },
	"NUL":              func(id string) string { return "advertisers/" + id + "\x00" },
	"a line":           func(id string) string { return "advertisers/" + id + "\n" },
	"a space":          func(id string) string { return "advertisers/" + id + " " },
	"a space before":   func(id string) string { return " advertisers/" + id },
	"a hyphen":         func(id string) string { return "advertisers/" + id + "-" },
	"two at once":      func(id string) string { return "advertisers/a,advertisers/" + id },
	"one's own in it":  func(id string) string { return "advertisers/a/advertisers/" + id },
	"a query":          func(id string) string { return "advertisers/" + id + "?name=advertisers/a" },
	"long":             func(id string) string { return "advertisers/" + strings.Repeat(id, 63) },
	"too long":         func(id string) string { return "advertisers/" + strings.Repeat(id, 64) },
	"far too long":     func(id string) string { return "advertisers/" + strings.Repeat(id, 50_000) },
	"many segments":    func(id string) string { return "advertisers/" + strings.Repeat(id+"/", 25_000) },
	"as it is":         func(id string) string { return "advertisers/" + id },
}

// rename changes every text of a message.
func rename(m protoreflect.Message, to func(string) string) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				rename(v.List().Get(i).Message(), to)
			}
		case f.IsMap() || f.IsList():
		case f.Message() != nil:
			rename(v.Message(), to)
		case f.Kind() == protoreflect.StringKind:
			m.Set(f, protoreflect.ValueOfString(to(v.String())))
		}
		return true
	})
}

// quoted are the caller's own words in an answer.
var quoted = regexp.MustCompile(`"(\\.|[^"\\])*"`)

// said returns what an answer says without the caller's own words. Of an upload it returns what became of its row.
func said(m protoreflect.MethodDescriptor, answer string) string {
	var r pb.ImportResponse
	if m.Name() == "Import" && proto.Unmarshal([]byte(answer), &r) == nil && len(r.GetOutcomes()) == 1 {
		row := r.GetOutcomes()[0]
		answer = fmt.Sprint(row.GetAction(), row.GetError(), len(row.GetFurtherErrors()))
	}
	return quoted.ReplaceAllString(answer, "")
}

// TestADisguisedNameIsNobodys: however a member writes a rival's name, the answer is as about nobody's in the same
// writing, and nothing is found.
func TestADisguisedNameIsNobodys(t *testing.T) {
	x := openMatrix(t)
	methods := methodsOf()
	for _, name := range slices.Sorted(maps.Keys(methods)) {
		m := methods[name]
		plain := requestOf(t, m, x.other)
		if !strings.Contains(fmt.Sprint(plain), `"`+x.other.advertiser) {
			continue // it names no advertiser
		}
		for _, role := range []string{"viewer", "admin", "client"} {
			p, _ := x.callerOf(role)
			for what, disguise := range disguises {
				ask := func(id string) (codes.Code, string) {
					request := proto.Clone(plain)
					rename(request.ProtoReflect(), func(text string) string {
						return strings.Replace(text, x.other.advertiser, disguise(id), 1)
					})
					return x.call(t, p, m, request)
				}
				code, text := ask("b")
				alike, words := ask("z")
				if text, words = said(m, text), said(m, words); code != alike || text != words {
					t.Errorf("%s by %s, %s:\n%s %.300q\nand of nobody's\n%s %.300q", name, role, what, code, text, alike, words)
				}
				if code == codes.OK && text != "" && what != "as it is" && name != "CampaignService/Import" {
					t.Errorf("%s by %s, %s: answered %.300q", name, role, what, text)
				}
				if len(text) > 4<<10 {
					t.Errorf("%s by %s, %s: an answer of %d bytes", name, role, what, len(text))
				}
			}
		}
	}
}
