package cli

import (
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/hexbid/hexbid"
)

// fileField returns the name that files have for a field of the contract: campaign.bid_micros is bid.
func fileField(path string) string {
	first, rest, _ := strings.Cut(path, ".")
	for _, k := range kinds {
		if k.name == first {
			name, _ := pathInFiles(k.message, rest)
			return name
		}
	}
	for _, k := range kinds {
		if name, ok := pathInFiles(k.message, path); ok {
			return name
		}
	}
	return path
}

// pathInFiles returns the name that files have for the path of a field in a message, or false when the message has no
// such field. If files write an entry of a list as one text, a part of the entry has the list's name.
func pathInFiles(d protoreflect.MessageDescriptor, path string) (name string, ok bool) {
	var names []string
	for path != "" {
		part, rest, _ := strings.Cut(path, ".")
		var f protoreflect.FieldDescriptor
		if d != nil {
			f = d.Fields().ByName(protoreflect.Name(part))
		}
		if f == nil {
			return strings.Join(append(names, path), "."), false
		}
		names = append(names, fileName(f))
		if d = f.Message(); d != nil && f.IsList() && listNotations[d.FullName()].isText() {
			break
		}
		path = rest
	}
	return strings.Join(names, "."), true
}

// renamed maps names of the contract to names of files, where a name stands alone in a message and differs.
var renamed = renamedFields()

func renamedFields() map[string]string {
	names := map[string]string{}
	var add func(protoreflect.MessageDescriptor)
	add = func(d protoreflect.MessageDescriptor) {
		for i := range d.Fields().Len() {
			f := d.Fields().Get(i)
			if in := fileName(f); in != string(f.Name()) {
				names[string(f.Name())] = in
			}
			if f.Message() != nil {
				add(f.Message())
			}
		}
	}
	for _, k := range kinds {
		add(k.message)
	}
	return names
}

var (
	quoted     = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	amount     = regexp.MustCompile(`(-?\d+) micros\b`)
	ppm        = regexp.MustCompile(`(-?\d+) ppm\b`)
	identifier = regexp.MustCompile(`[a-z0-9_]*[a-z_]+[a-z0-9_.]*`)
)

// fileNotice rewrites a notice of the server as fileWords does. It also replaces the field path that a notice may begin
// with.
func fileNotice(notice string) string {
	field, words, found := strings.Cut(notice, ": ")
	if !found || strings.Contains(field, " ") {
		return fileWords(notice)
	}
	return fileField(field) + ": " + fileWords(words)
}

// fileWords rewrites a message of the server in the words and units of files: amounts in currency, parts per million in
// percent, and fields by their names in files. It leaves text in quotes as it is.
func fileWords(message string) string { return outsideQuotes(message, translate) }

// inCurrency rewrites the amounts of a message of the server as currency. It leaves text in quotes as it is.
func inCurrency(message string) string { return outsideQuotes(message, translateAmounts) }

// outsideQuotes rewrites the parts of a message that do not stand in quotes.
func outsideQuotes(message string, rewrite func(string) string) string {
	var out strings.Builder
	from := 0
	for _, at := range quoted.FindAllStringIndex(message, -1) {
		out.WriteString(rewrite(message[from:at[0]]))
		out.WriteString(message[at[0]:at[1]])
		from = at[1]
	}
	out.WriteString(rewrite(message[from:]))
	return out.String()
}

func translateAmounts(text string) string {
	return amount.ReplaceAllStringFunc(text, func(match string) string {
		micros, err := strconv.ParseInt(strings.TrimSuffix(match, " micros"), 10, 64)
		if err != nil {
			return match
		}
		return hexbid.Money(micros).String()
	})
}

func translate(text string) string {
	text = ppm.ReplaceAllStringFunc(translateAmounts(text), func(match string) string {
		parts, err := strconv.ParseInt(strings.TrimSuffix(match, " ppm"), 10, 64)
		if err != nil {
			return match
		}
		return strconv.FormatFloat(float64(parts)/10_000, 'f', -1, 64) + "%"
	})
	return identifier.ReplaceAllStringFunc(text, func(word string) string {
		path := strings.TrimRight(word, ".")
		if name, ok := renamed[path]; ok {
			return name + word[len(path):]
		}
		if !strings.Contains(path, ".") {
			return word
		}
		return fileField(path) + word[len(path):]
	})
}
