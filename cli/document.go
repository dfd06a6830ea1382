package cli

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// document is one resource of a file: its fields by dotted name, as YAML nodes
// that know their lines. YAML, JSON lines and CSV all become documents, so that
// they mean the same.
type document struct {
	file   string
	line   int
	fields map[string]*yaml.Node
}

// rowError is an error of a file, a line and a field.
type rowError struct {
	file  string
	line  int
	field string
	err   string
}

// Error is file:line: field: what.
func (e *rowError) Error() string {
	if e.field == "" {
		return fmt.Sprintf("%s:%d: %s", e.file, e.line, e.err)
	}
	return fmt.Sprintf("%s:%d: %s: %s", e.file, e.line, e.field, e.err)
}

// readDocuments calls visit for every document of a file, in order, and fail
// for every one that cannot be read. The file's name chooses the format: .csv,
// .jsonl or .ndjson, else YAML.
func readDocuments(file string, r io.Reader, visit func(*document), fail func(error)) {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".csv":
		readCSV(file, r, visit, fail)
	case ".jsonl", ".ndjson":
		readJSONLines(file, r, visit, fail)
	default:
		readYAML(file, r, visit, fail)
	}
}

func readYAML(file string, r io.Reader, visit func(*document), fail func(error)) {
	decoder := yaml.NewDecoder(r)
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil { // what follows a syntax error cannot be trusted
			fail(fmt.Errorf("%s: %s", file, strings.TrimPrefix(err.Error(), "yaml: ")))
			return
		}
		if len(node.Content) == 0 || node.Content[0].Tag == "!!null" {
			continue
		}
		visitNode(file, node.Content[0], 0, visit, fail)
	}
}

// readJSONLines reads an object a line; JSON is YAML.
func readJSONLines(file string, r io.Reader, visit func(*document), fail func(error)) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for n := 1; lines.Scan(); n++ {
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 || text[0] == '#' {
			continue
		}
		var node yaml.Node
		if err := yaml.Unmarshal(text, &node); err != nil || len(node.Content) == 0 {
			fail(&rowError{file, n, "", fmt.Sprintf("is not a JSON object: %v", err)})
			continue
		}
		visitNode(file, node.Content[0], n-1, visit, fail)
	}
	if err := lines.Err(); err != nil {
		fail(fmt.Errorf("%s: %w", file, err))
	}
}

// visitNode flattens a mapping, or each of a sequence of mappings.
func visitNode(file string, node *yaml.Node, linesBefore int, visit func(*document), fail func(error)) {
	switch node.Kind {
	case yaml.SequenceNode:
		for _, item := range node.Content {
			visitNode(file, item, linesBefore, visit, fail)
		}
	case yaml.MappingNode:
		d := &document{file: file, line: linesBefore + node.Line, fields: map[string]*yaml.Node{}}
		flatten(d, "", node, linesBefore)
		visit(d)
	default:
		fail(&rowError{file, linesBefore + node.Line, "", "is not a resource: write a mapping with kind and name"})
	}
}

// flatten gives nested fields dotted names.
func flatten(d *document, prefix string, mapping *yaml.Node, linesBefore int) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		if value.Kind == yaml.MappingNode && key.Value != "polygons" { // GeoJSON stays whole
			flatten(d, prefix+key.Value+".", value, linesBefore)
			continue
		}
		value.Line = linesBefore + key.Line
		d.fields[prefix+key.Value] = value
	}
}

// readCSV reads a header and a resource a row; empty cells are unset, lines
// that begin with # are comments.
func readCSV(file string, r io.Reader, visit func(*document), fail func(error)) {
	rows := csv.NewReader(r)
	rows.Comment, rows.FieldsPerRecord, rows.TrimLeadingSpace = '#', -1, true
	header, err := rows.Read()
	if err != nil {
		if !errors.Is(err, io.EOF) {
			fail(fmt.Errorf("%s: %w", file, err))
		}
		return
	}
	if err := checkHeader(header); err != nil {
		fail(&rowError{file, 1, "", err.Error()})
		return
	}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			fail(fmt.Errorf("%s: %w", file, err))
			return
		}
		line, _ := rows.FieldPos(0)
		if len(row) > len(header) {
			fail(&rowError{file, line, "", fmt.Sprintf("has %d cells, the header %d", len(row), len(header))})
			continue
		}
		d := &document{file: file, line: line, fields: map[string]*yaml.Node{}}
		for i, cell := range row {
			if cell != "" {
				cellLine, _ := rows.FieldPos(i)
				d.fields[header[i]] = &yaml.Node{Kind: yaml.ScalarNode, Value: cell, Line: cellLine}
			}
		}
		visit(d)
	}
}

func checkHeader(header []string) error {
	header[0] = strings.TrimPrefix(header[0], "\ufeff") // spreadsheets begin with it
	known := map[string]bool{"kind": true, "name": true}
	for _, fields := range fieldsByKind {
		for name := range fields {
			known[name] = true
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
