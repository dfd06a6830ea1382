package cli

import (
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// csvFile is a CSV file that is being read.
type csvFile struct {
	*reader
	comma      rune
	header     []string
	kind, name int // indexes of these columns
}

// readCSV reads a header and then one resource from each row. An empty cell is unset. Rows of empty cells and lines
// that begin with # are skipped. If the header has tabs and no commas, the separator is the tab.
func (r *reader) readCSV() {
	c := &csvFile{reader: r, comma: ','}
	if !c.readHeader() {
		return
	}
	for {
		cells, first, err := c.record()
		for len(cells) > len(c.header) && cells[len(cells)-1].text == "" {
			cells = cells[:len(cells)-1]
		}
		switch {
		case first == 0:
			return
		case err != nil:
			c.fail(&rowError{c.file, first, "", err.Error()})
		case len(cells) > len(c.header):
			c.fail(&rowError{c.file, first, "", fmt.Sprintf("has %d cells, the header %d", len(cells), len(c.header))})
		default:
			c.visitRow(cells, first)
		}
	}
}

func (c *csvFile) visitRow(cells []cell, first int) {
	d := &document{file: c.file, line: first, fields: map[string]*yaml.Node{}}
	for i, cell := range cells {
		if cell.text != "" {
			d.fields[c.header[i]] = &yaml.Node{Kind: yaml.ScalarNode, Value: cell.text, Line: cell.line}
		}
	}
	if len(d.fields) > 0 {
		c.visit(d)
	}
}

func (c *csvFile) readHeader() bool {
	c.kind, c.name = -1, -1
	for {
		next, ok := c.lines.next()
		if !ok {
			return false
		}
		if text := strings.TrimSpace(next.text); text == "" || text[0] == '#' {
			continue
		}
		if strings.Contains(next.text, "\t") && !strings.Contains(next.text, ",") {
			c.comma = '\t'
		}
		c.lines.pushBack([]line{next})
		break
	}
	cells, first, err := c.record()
	for _, cell := range cells {
		c.header = append(c.header, cell.text)
	}
	for len(c.header) > 0 && c.header[len(c.header)-1] == "" { // spreadsheets keep columns that were once used
		c.header = c.header[:len(c.header)-1]
	}
	if err == nil {
		err = checkHeader(c.header)
	}
	if err != nil {
		c.fail(&rowError{c.file, max(1, first), "", err.Error()})
		return false
	}
	c.kind, c.name = slices.Index(c.header, "kind"), slices.Index(c.header, "name")
	return true
}

// cell is the text of a cell, and its line.
type cell struct {
	text string
	line int
}

// record reads one record and returns the line at which it begins, or 0 at the end. A quote that nothing closes before
// the next row spoils only its own line.
func (c *csvFile) record() (cells []cell, first int, err error) {
	next, ok := c.lines.next()
	for ok && (strings.TrimSpace(next.text) == "" || next.text[0] == '#') {
		next, ok = c.lines.next()
	}
	if !ok {
		return nil, 0, nil
	}
	gathered, scan, size := []line{next}, quotes{comma: byte(c.comma)}, len(next.text)
	scan.line(next.text)
	for scan.open && ok && size <= maxLineBytes {
		if next, ok = c.lines.next(); !ok {
			break
		}
		gathered = append(gathered, next)
		if size += len(next.text); c.beginsRow(next.text) {
			break
		}
		scan.line(next.text)
	}
	first = gathered[0].number
	if scan.open {
		c.lines.pushBack(gathered[1:])
		return nil, first, errors.New(`has a quote " that nothing closes`)
	}
	if cells, err = c.parse(gathered); err != nil {
		c.lines.pushBack(gathered[1:])
	}
	return cells, first, err
}

// beginsRow reports whether a line inside quotes looks like a row of its own: it has a kind and a name in their
// columns.
func (c *csvFile) beginsRow(text string) bool {
	if c.kind < 0 {
		return false
	}
	cells := strings.SplitN(text, string(c.comma), max(c.kind, c.name)+2)
	return len(cells) > max(c.kind, c.name) && fieldsByKind[strings.ToLower(strings.TrimSpace(cells[c.kind]))] != nil &&
		strings.HasPrefix(strings.TrimSpace(cells[c.name]), "advertisers/")
}

func (c *csvFile) parse(gathered []line) (cells []cell, err error) {
	var text strings.Builder
	for _, l := range gathered {
		text.WriteString(l.text)
		text.WriteByte('\n')
	}
	r := csv.NewReader(strings.NewReader(text.String()))
	r.Comma, r.FieldsPerRecord, r.TrimLeadingSpace = c.comma, -1, c.comma == ','
	texts, err := r.Read()
	if err != nil {
		var syntax *csv.ParseError
		if errors.As(err, &syntax) {
			err = fmt.Errorf("column %d: %w", syntax.Column, syntax.Err)
		}
		return nil, fmt.Errorf("is not a row of CSV: %w", err)
	}
	for i, text := range texts {
		at, _ := r.FieldPos(i)
		cells = append(cells, cell{strings.TrimSpace(text), gathered[0].number + at - 1})
	}
	return cells, nil
}

// quotes tracks the open quote of a CSV record over its lines.
type quotes struct {
	comma byte
	open  bool // the last line ended inside quotes
}

func (q *quotes) line(text string) {
	begins := !q.open // at the start of a cell; a quote opens only there
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case q.open && b == '"' && i+1 < len(text) && text[i+1] == '"':
			i++
		case b == '"' && (q.open || begins):
			q.open, begins = !q.open, false
		case q.open:
		case b == q.comma:
			begins = true
		case b != ' ':
			begins = false
		}
	}
}

func checkHeader(header []string) error {
	known := map[string]bool{"kind": true, "name": true}
	for _, fields := range fieldsByKind {
		for _, field := range fields.list {
			known[field.name] = true
		}
	}
	named := map[string]bool{}
	for _, column := range header {
		if !known[column] {
			return fmt.Errorf("%q is not a column: see hexbid apply --template csv", column)
		}
		if named[column] {
			return fmt.Errorf("column %q stands twice", column)
		}
		named[column] = true
	}
	if !named["kind"] || !named["name"] {
		return errors.New("the header lacks kind or name: see hexbid apply --template csv")
	}
	return nil
}
