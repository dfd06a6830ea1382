package hexbid

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Limits on every text and list, so that no record is unbounded.
const (
	maxNameBytes = 200
	maxURIBytes  = 1024
)

func checkText(field, s string, least, most int) error {
	if !utf8.ValidString(s) {
		return Invalidf(field, "%q is not valid UTF-8", Shorten(strings.ToValidUTF8(s, "?")))
	}
	if len(s) < least {
		return Invalidf(field, "is empty: give a text of at most %d bytes", most)
	}
	if len(s) > most {
		return Invalidf(field, "%q is too long: at most %d bytes", Shorten(s), most)
	}
	return nil
}

func checkTexts(field string, texts []string, count, most int) error {
	if len(texts) > count {
		return Invalidf(field, "has %d entries: at most %d", len(texts), count)
	}
	var errs []error
	for _, s := range texts {
		errs = append(errs, checkText(field, s, 1, most))
	}
	return JoinErrors(errs...)
}

func checkRange[T int | int32 | int64](field string, value, low, high T) error {
	if value < low || value > high {
		return Invalidf(field, "%d is out of range: use %d to %d", value, low, high)
	}
	return nil
}

// checkInstant refuses an instant whose nanoseconds since 1970 do not fit in 64 bits. The zero instant means unset.
func checkInstant(field string, at time.Time) error {
	if !at.IsZero() && (at.Year() < 1970 || at.Year() > 2200) {
		return Invalidf(field, "%d s is not an instant between 1970 and 2200", at.Unix())
	}
	return nil
}

func checkEnum[T ~uint8](field string, value, count T, mayBeUnstated bool) error {
	if value == 0 && !mayBeUnstated {
		return Invalidf(field, "is not stated: choose one")
	}
	if value >= count {
		return Invalidf(field, "%d is not a known value: use 1 to %d", value, count-1)
	}
	return nil
}

func checkEnums[T ~uint8](field string, values []T, count T, least int) error {
	if len(values) < least {
		return Invalidf(field, "is empty: give at least %d", least)
	}
	if len(values) > int(count) {
		return Invalidf(field, "has %d entries: at most %d, each once", len(values), count)
	}
	var errs []error
	for _, v := range values {
		errs = append(errs, checkEnum(field, v, count, false))
	}
	return JoinErrors(errs...)
}
