package audit

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

var tableNames = map[journal.Table]string{
	journal.Answers: "first answer to an event", journal.Charges: "charge of a campaign", journal.Accounts: "account",
	journal.Uses: "used tokens", journal.Hours: "totals of an hour", journal.Days: "totals of a day",
	journal.Movements: "movement of an advertiser", journal.AdvertiserDays: "day of a statement",
	journal.Members: "name of a uid", journal.Tiles: "tile of an hour's tree", journal.Roots: "root of an hour",
	journal.Requests: "request id", journal.Names: "uid of a name",
}

func tableName(t journal.Table) string { return tableNames[t] }

// String names the row for people.
func (r row) String() string {
	key := []byte(r.key)
	what := tableName(r.table)
	switch {
	case r.table == journal.Accounts && len(key) == 9:
		kinds := map[byte]string{'a': "account of advertiser", 'c': "account of campaign", 'k': "credited charge"}
		return fmt.Sprintf("%s %d", kinds[key[0]], number(key[1:]))
	case r.table == journal.Accounts && string(key) == "s":
		return "state of the ledger"
	case r.table == journal.Accounts && string(key) == "t":
		return "tree of the open hour"
	case r.table == journal.Hours && len(key) == 12:
		return fmt.Sprintf("%s, from %s, of campaign %d", what, hourText(key), number(key[4:]))
	case r.table == journal.Roots && len(key) == 4, r.table == journal.Tiles && len(key) == 13:
		return fmt.Sprintf("%s, from %s (key %x)", what, hourText(key), key)
	case r.table == journal.Days && len(key) == 12:
		return fmt.Sprintf("%s, %s, of campaign %d", what, dateText(key), number(key))
	case r.table == journal.AdvertiserDays && len(key) == 12:
		return fmt.Sprintf("%s, %s, of advertiser %d", what, dateText(key), number(key))
	case r.table == journal.AdvertiserDays && len(key) == 20:
		return fmt.Sprintf("%s, %s, of advertiser %d, campaign %d", what, dateText(key), number(key), number(key[12:]))
	case r.table == journal.Charges && len(key) == 16:
		return fmt.Sprintf("charge of campaign %d, record %d", number(key), number(key[8:]))
	case r.table == journal.Movements && len(key) == 20:
		return fmt.Sprintf("movement of advertiser %d, record %d", number(key), number(key[12:]))
	}
	return fmt.Sprintf("%s (key %x)", what, key)
}

// show writes a value for people.
func (r row) show(value []byte) string {
	switch r.table {
	case journal.Hours, journal.Days:
		if t, err := fold.DecodeTotals(value); err == nil {
			return fmt.Sprintf("%+v", t)
		}
	case journal.AdvertiserDays:
		if t, err := fold.DecodeAdvertiserTotals(value); err == nil {
			return fmt.Sprintf("%+v", t)
		}
	case journal.Names, journal.Movements:
		if len(value) == 0 {
			return "the row"
		}
	case journal.Answers, journal.Requests:
		if sequence, err := fold.DecodeIndex(value); err == nil {
			return recordName(sequence)
		}
	case journal.Members:
		return fmt.Sprintf("%q", value)
	}
	return fmt.Sprintf("%.128x", value)
}

// recordOf returns the record that a row names, 0 for none.
func recordOf(r row, value []byte) uint64 {
	switch key := []byte(r.key); {
	case r.table == journal.Charges && len(key) == 16:
		return number(key[8:])
	case r.table == journal.Movements && len(key) == 20:
		return number(key[12:])
	case (r.table == journal.Answers || r.table == journal.Requests) && len(value) == 8:
		return number(value)
	}
	return 0
}

func number(b []byte) uint64 { return binary.BigEndian.Uint64(b) }

func hourText(key []byte) string {
	return time.Unix(int64(binary.BigEndian.Uint32(key))*3600, 0).UTC().Format(time.RFC3339)
}

func dateText(key []byte) string { return hexbid.Date(binary.BigEndian.Uint32(key[8:])).String() }
