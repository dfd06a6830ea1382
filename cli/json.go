package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// contractJSON writes a message on one line. Names are those of the contract, as in answers over HTTP.
func contractJSON(m proto.Message) ([]byte, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	var line bytes.Buffer // the spacing of protojson differs between builds
	err = json.Compact(&line, text)
	return line.Bytes(), err
}

// printLine prints a message on a line of its own.
func printLine(w io.Writer, m proto.Message) error {
	text, err := contractJSON(m)
	if err == nil {
		_, err = fmt.Fprintf(w, "%s\n", text)
	}
	return err
}

// printJSON prints a message, indented.
func printJSON(s *session, m proto.Message) error {
	text, err := contractJSON(m)
	if err != nil {
		return err
	}
	return writeJSON(s.Stdout, json.RawMessage(text))
}

// writeJSON prints any value, indented.
func writeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}
