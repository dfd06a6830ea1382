package cli

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/hexbid/hexbid"
)

// fileNames are the names that files have for fields of the contract, where
// they differ. "" leaves a part of a path out: files write such a part inside
// the field's own notation.
var fileNames = map[string]string{
	"bid_micros": "bid", "daily_budget_micros": "daily_budget", "total_budget_micros": "total_budget", "pricing_model": "pricing",
	"start_time": "start", "end_time": "end", "weekly_hours": "hours", "latitude": "lat", "longitude": "lng",
	"operating_systems": "os", "icon_uri": "icon", "image_uri": "image", "excluded_area": "exclude", "h3_cells": "cells",
	"excluded_interests": "not_interests", "valid_until_time": "valid_until",
	"weekly_hours.day": "hours", "host_bids.host": "host_bids", "host_bids.multiplier_ppm": "host_bids",
	"keywords.text": "keywords", "keywords.match": "keywords",
}

// fileField is the name that files have for a field of the contract:
// campaign.bid_micros is bid.
func fileField(path string) string {
	if kind, rest, ok := strings.Cut(path, "."); ok && fieldsByKind[kind] != nil {
		path = rest
	} else if fieldsByKind[path] != nil {
		return ""
	}
	if name, ok := fileNames[path]; ok {
		return name
	}
	parts := strings.Split(path, ".")
	for i, part := range parts {
		if name, ok := fileNames[part]; ok {
			parts[i] = name
		}
	}
	return strings.Join(parts, ".")
}

var (
	quoted     = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	amount     = regexp.MustCompile(`(-?\d+) micros\b`)
	ppm        = regexp.MustCompile(`(-?\d+) ppm\b`)
	identifier = regexp.MustCompile(`[a-z0-9_]*[a-z_]+[a-z0-9_.]*`)
)

// fileNotice says a notice of the server as fileWords does. One about a field begins
// with the field's path.
func fileNotice(notice string) string {
	field, words, found := strings.Cut(notice, ": ")
	if !found || strings.Contains(field, " ") {
		return fileWords(notice)
	}
	return fileField(field) + ": " + fileWords(words)
}

// fileWords says a message of the server in the words and units of files:
// amounts in currency, parts per million in percent, fields by their names
// there. What is in quotes stays as the file has it.
func fileWords(message string) string {
	var out strings.Builder
	from := 0
	for _, at := range quoted.FindAllStringIndex(message, -1) {
		out.WriteString(translate(message[from:at[0]]))
		out.WriteString(message[at[0]:at[1]])
		from = at[1]
	}
	out.WriteString(translate(message[from:]))
	return out.String()
}

func translate(text string) string {
	text = amount.ReplaceAllStringFunc(text, func(match string) string {
		micros, err := strconv.ParseInt(strings.TrimSuffix(match, " micros"), 10, 64)
		if err != nil {
			return match
		}
		return hexbid.Money(micros).String()
	})
	text = ppm.ReplaceAllStringFunc(text, func(match string) string {
		parts, err := strconv.ParseInt(strings.TrimSuffix(match, " ppm"), 10, 64)
		if err != nil {
			return match
		}
		return strconv.FormatFloat(float64(parts)/10_000, 'f', -1, 64) + "%"
	})
	return identifier.ReplaceAllStringFunc(text, func(word string) string {
		path := strings.TrimRight(word, ".")
		if fileNames[path] == "" && !strings.HasPrefix(path, "campaign.") {
			return word
		}
		return fileField(path) + word[len(path):]
	})
}
