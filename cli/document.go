package cli

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// document is one resource of a file. It holds fields by dotted name, as YAML nodes that know their lines. YAML, JSON
// lines and CSV all become documents, so that they mean the same.
type document struct {
	file   string
	line   int
	fields map[string]*yaml.Node
	wrong  []*rowError // errors found while reading
}

// rowError is an error in a line and a field of a file.
type rowError struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

// Error writes the error as file:line: field: message.
func (e *rowError) Error() string {
	where := e.File
	if e.Line > 0 {
		where = fmt.Sprintf("%s:%d", e.File, e.Line)
	}
	if e.Field != "" {
		where += ": " + e.Field
	}
	return where + ": " + e.Message
}

// reader reads the documents of one file.
type reader struct {
	file  string
	lines *lines
	visit func(*document) // receives every document, in order
	fail  func(*rowError) // receives an error for every document that cannot be read
}

// readDocuments reads a file. The name of the file chooses the format: CSV for .csv and .tsv, JSON lines for .jsonl and
// .ndjson, CSV for .txt with tabs, otherwise YAML.
func readDocuments(file string, text io.Reader, visit func(*document), fail func(*rowError),
	notice func(line int, text string)) {
	r := &reader{file, newLines(text, notice), visit, fail}
	switch strings.ToLower(filepath.Ext(file)) {
	case ".csv", ".tsv":
		r.readCSV()
	case ".jsonl", ".ndjson":
		r.readJSONLines()
	case ".txt":
		first, ok := r.lines.next()
		if ok {
			r.lines.pushBack([]line{first})
		}
		if strings.Contains(first.text, "\t") { // Excel calls this format Unicode text
			r.readCSV()
			break
		}
		r.readYAML()
	default:
		r.readYAML()
	}
	if err := r.lines.err; err != nil {
		fail(&rowError{file, r.lines.number + 1, "", "cannot be read any further: " + err.Error()})
	}
}

// readYAML reads a file in pieces separated by lines of ---, so that a syntax error spoils only its own document.
func (r *reader) readYAML() {
	var piece []string
	first := 1
	for {
		next, ok := r.lines.next()
		if marker := next.text == "---" || strings.HasPrefix(next.text, "--- "); !ok || marker {
			r.readPiece(strings.Join(piece, "\n"), first)
			piece, first = nil, next.number
		}
		if !ok {
			return
		}
		piece = append(piece, next.text)
	}
}

var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?((?s).*)$`)

// readPiece reads a piece of YAML that begins at the given line of the file.
func (r *reader) readPiece(text string, first int) {
	decoder := yaml.NewDecoder(strings.NewReader(text))
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			r.fail(r.syntaxError(err, first))
			return
		}
		if len(node.Content) > 0 && node.Content[0].Tag != "!!null" {
			r.visitNode(node.Content[0], first-1)
		}
	}
}

func (r *reader) syntaxError(err error, first int) *rowError {
	at, message := first, err.Error()
	if parts := yamlError.FindStringSubmatch(message); parts != nil {
		if n, err := strconv.Atoi(parts[1]); err == nil {
			at = first - 1 + n
		}
		message = parts[2]
	}
	return &rowError{r.file, at, "", "is not YAML: " + message}
}

// readJSONLines reads one object from each line. JSON is YAML.
func (r *reader) readJSONLines() {
	for next, ok := r.lines.next(); ok; next, ok = r.lines.next() {
		text := strings.TrimSpace(next.text)
		if text == "" || text[0] == '#' {
			continue
		}
		if text == unreadable {
			r.fail(&rowError{r.file, next.number, "", unreadableMessage})
			continue
		}
		var node yaml.Node
		if err := yaml.Unmarshal([]byte(text), &node); err != nil || len(node.Content) == 0 {
			r.fail(&rowError{r.file, next.number, "", "is not a JSON object: " +
				strings.TrimPrefix(fmt.Sprint(err), "yaml: line 1: ")})
			continue
		}
		r.visitNode(node.Content[0], next.number-1)
	}
}

// visitNode flattens a mapping, or each mapping of a sequence.
func (r *reader) visitNode(node *yaml.Node, linesBefore int) {
	switch node.Kind {
	case yaml.SequenceNode:
		for _, item := range node.Content {
			r.visitNode(item, linesBefore)
		}
	case yaml.MappingNode:
		d := &document{file: r.file, line: linesBefore + node.Line, fields: map[string]*yaml.Node{}}
		d.flatten("", node, linesBefore)
		r.visit(d)
	default:
		r.fail(&rowError{r.file, linesBefore + node.Line, "", "is not a resource: write a mapping with kind and name"})
	}
}

// Limits of a document. Without them aliases could make one endless.
const (
	maxDepth  = 8
	maxFields = 1000
)

// flatten stores nested fields under dotted names.
func (d *document) flatten(prefix string, mapping *yaml.Node, linesBefore int) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if len(d.fields) >= maxFields {
			d.fail(d.line, "", fmt.Sprintf("has more than %d fields", maxFields))
			return
		}
		key, value := mapping.Content[i], mapping.Content[i+1]
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		name := prefix + key.Value
		// GeoJSON stays whole
		if value.Kind == yaml.MappingNode && key.Value != "polygons" && strings.Count(name, ".") < maxDepth {
			d.flatten(name+".", value, linesBefore)
			continue
		}
		if d.fields[name] != nil {
			d.fail(linesBefore+key.Line, name, "stands twice")
		}
		at := *value // an alias shares one node between several places
		at.Line = linesBefore + key.Line
		d.fields[name] = &at
	}
}

// fail records an error of a field.
func (d *document) fail(line int, field, message string) {
	d.wrong = append(d.wrong, &rowError{d.file, line, field, message})
}

// lineOf returns the line of a field. If the field has none it returns the line of the field around it, or of the
// document.
func (d *document) lineOf(field string) int {
	for field != "" {
		if n := d.fields[field]; n != nil {
			return n.Line
		}
		field = field[:max(0, strings.LastIndex(field, "."))]
	}
	return d.line
}

const unreadableMessage = "is neither UTF-8 nor GB18030, or a line of more than 16 MiB: save the file as UTF-8"

// isUnreadable reports whether a value contains bytes that could not be read.
func isUnreadable(n *yaml.Node) bool {
	if strings.Contains(n.Value, unreadable) {
		return true
	}
	for _, part := range n.Content {
		if isUnreadable(part) {
			return true
		}
	}
	return false
}
