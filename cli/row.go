package cli

import (
	"fmt"
	"hash/maphash"
	"path/filepath"
	"sort"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// upload is a document on its way to the server. The document holds its own errors. The server only checks the row of a
// document with errors, and may find further ones.
type upload struct {
	doc    *document
	name   string
	fields *messageFields // of its kind
	row    *pb.ImportRow
}

// newUpload converts a document. It returns nil when the kind of the document is unknown.
func newUpload(d *document) *upload {
	u := &upload{doc: d, row: &pb.ImportRow{}}
	kind := strings.ToLower(d.scalar("kind"))
	u.fields = fieldsByKind[kind]
	if u.fields == nil && d.isMarket() {
		d.failAt("", "are rules of the market, and apply takes advertisers, programs, places and campaigns: use "+
			"\"hexbid market update\" with this file")
		return nil
	}
	if u.fields == nil {
		d.failAt("kind", fmt.Sprintf("%q is not a kind: use %s", hexbid.Shorten(d.scalar("kind")), kindNames()))
		return nil
	}
	if u.name = d.scalar("name"); u.name == "" {
		d.failAt("name", "is missing: write it as advertisers/acme, advertisers/acme/programs/noodles and so on")
	}
	message := u.message(kind)
	for _, name := range sortedFields(d) {
		d.read(message, u.fields.byName[name], name)
	}
	u.row.ValidateOnly = len(d.wrong) > 0
	return u
}

// isMarket reports whether a document is a file of the market: it says so, or has no kind and a field of the market.
func (d *document) isMarket() bool {
	if kind := strings.ToLower(d.scalar("kind")); kind != "" {
		return kind == hexbid.MarketName
	}
	for name := range d.fields {
		if marketFields.byName[name] != nil {
			return true
		}
	}
	return false
}

// read reads a field into a message, and records an error of the field.
func (d *document) read(message protoreflect.Message, f *field, name string) {
	n := d.fields[name]
	switch {
	case isUnreadable(n):
		d.failAt(name, unreadableMessage)
	case name == "kind" || name == "name":
	case f == nil:
		kind := strings.ToLower(string(message.Descriptor().Name()))
		d.failAt(name, fmt.Sprintf("is not a field of %s: see hexbid apply --template yaml", article(kind)))
	default:
		if err := f.set(message, n, d.folder()); err != nil {
			d.failAt(name, err.Error())
		}
	}
}

// kindNames lists the kinds in words.
func kindNames() string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

func article(kind string) string {
	if kind == "advertiser" {
		return "an advertiser"
	}
	return "a " + kind
}

// folder returns the folder where relative paths of the document begin.
func (d *document) folder() string {
	if d.file == "-" {
		return "."
	}
	return filepath.Dir(d.file)
}

// scalar returns the text of a field, or "" when the document does not have it.
func (d *document) scalar(field string) string {
	n := d.fields[field]
	if n == nil {
		return ""
	}
	return strings.TrimSpace(n.Value)
}

// message makes the message of a kind and puts it into the row.
func (u *upload) message(kind string) protoreflect.Message {
	row := u.row.ProtoReflect()
	m := row.Mutable(row.Descriptor().Fields().ByName(protoreflect.Name(kind))).Message()
	m.Set(m.Descriptor().Fields().ByName("name"), protoreflect.ValueOfString(u.name))
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

// failAt records an error of a field, at its line.
func (d *document) failAt(field, message string) { d.fail(d.lineOf(field), field, message) }

// errors returns the errors of a row: those found in the file, then those that the server reports about other fields.
func (u *upload) errors(outcome *pb.ImportOutcome) []*rowError {
	all := u.doc.wrong
	if e := outcome.GetError(); e != nil {
		for _, e := range append([]*pb.RowError{e}, outcome.GetFurtherErrors()...) {
			field := u.written(fileField(e.GetField()))
			if !u.doc.isWrong(field) {
				all = append(all, &rowError{u.doc.file, u.doc.lineOf(field), field, fileWords(e.GetMessage())})
			}
		}
	}
	omitted := int(outcome.GetOmittedErrors())
	if most := hexbid.MaxErrors; len(all) > most {
		all, omitted = all[:most:most], omitted+len(all)-most
	}
	if omitted > 0 {
		all = append(all[:len(all):len(all)], &rowError{u.doc.file, u.doc.line, "",
			fmt.Sprintf("has %d more errors", omitted)})
	}
	return all
}

// isWrong reports whether the file has an error in this field, in a part of it, or in the field around it.
func (d *document) isWrong(field string) bool {
	for _, e := range d.wrong {
		if e.Field == field || strings.HasPrefix(e.Field, field+".") || strings.HasPrefix(field, e.Field+".") {
			return e.Field != ""
		}
	}
	return false
}

// written returns a field's name as the document writes it. A document may write its only creative as creative.title.
func (u *upload) written(field string) string {
	list, part, ok := strings.Cut(field, ".")
	if !ok || u.doc.fields[list] != nil {
		return field
	}
	if one := inSingular(list) + "." + part; u.fields.byName[one] != nil {
		return one
	}
	return field
}

// needsMore reports whether a row refers to something that may come later.
func needsMore(outcome *pb.ImportOutcome) bool {
	for _, e := range append([]*pb.RowError{outcome.GetError()}, outcome.GetFurtherErrors()...) {
		if e.GetCode() == "NOT_FOUND" {
			return true
		}
	}
	return false
}

// seen remembers the rows of an upload by name: where each first stood, and its content. It stores hashes, some 40
// bytes a row.
type seen struct {
	seed  maphash.Seed
	files []string
	rows  map[uint64]seenRow
}

type seenRow struct {
	content    uint64
	file, line int32
}

func newSeen() *seen { return &seen{seed: maphash.MakeSeed(), rows: map[uint64]seenRow{}} }

// has reports whether the upload has had a row of this name.
func (s *seen) has(name string) bool {
	_, ok := s.rows[maphash.String(s.seed, name)]
	return ok
}

// add adds a row. If there was one of that name before, it returns where that one stood, and whether it was equal.
func (s *seen) add(u *upload) (where string, same, before bool) {
	name := maphash.String(s.seed, u.name)
	content, err := proto.MarshalOptions{Deterministic: true}.Marshal(u.row)
	if err != nil {
		content = nil // a row with an error
	}
	if first, before := s.rows[name]; before {
		return fmt.Sprintf("%s:%d", s.files[first.file], first.line), first.content == maphash.Bytes(s.seed, content), true
	}
	if n := len(s.files); n == 0 || s.files[n-1] != u.doc.file {
		s.files = append(s.files, u.doc.file)
	}
	s.rows[name] = seenRow{maphash.Bytes(s.seed, content), int32(len(s.files) - 1), int32(u.doc.line)}
	return "", false, false
}
