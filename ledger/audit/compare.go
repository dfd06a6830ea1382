package audit

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

// compared are the tables whose rows follow from records, apart from those of the state. What lies outside the chain is
// not among them.
var compared = []journal.Table{journal.Answers, journal.Charges, journal.Hours, journal.Days, journal.Movements,
	journal.AdvertiserDays, journal.Members, journal.Tiles, journal.Roots, journal.Requests, journal.Names}

// compareRows compares the tables of the journal with what the records say.
func (a *auditor) compareRows() error {
	if err := a.compareState(); err != nil {
		return err
	}
	found, err := a.tallyRows()
	if err != nil {
		return err
	}
	suspects := map[part]bool{}
	for p, t := range found {
		if want := a.rows.parts[p]; want == nil || *want != *t {
			suspects[p] = true
		}
	}
	for p, t := range a.rows.parts {
		if found[p] == nil && t.rows > 0 && !a.forgotten(p) {
			suspects[p] = true
		}
	}
	if err := a.compareTotals(); err != nil {
		return err
	}
	return a.locate(a.few(suspects))
}

// exact reports whether the records that are retained tell every row of a table.
func (a *auditor) exact(t journal.Table) bool {
	return a.base.Sequence == 0 || !isTotals(t)
}

// forgotten reports whether all rows of a part may be missing: answers that nobody is given any more.
func (a *auditor) forgotten(p part) bool {
	return p.table == journal.Answers && p.number < fold.HourOf(a.Now.Add(-fold.AnswersLast).UnixMicro())
}

// tallyRows adds up the rows of the journal.
func (a *auditor) tallyRows() (map[part]*tally, error) {
	found := map[part]*tally{}
	a.at = 0
	for _, t := range compared {
		if !a.exact(t) {
			continue
		}
		a.doing = tableName(t)
		err := a.View.Scan(t, nil, nil, func(key, value []byte) (bool, error) {
			if t == journal.Answers && len(value) == 8 && number(value) <= a.base.Sequence {
				return true, nil // of a record that compaction has reached
			}
			p := partOf(t, key)
			if found[p] == nil {
				found[p] = new(tally)
			}
			found[p].add(printOf(t, key, value))
			a.Rows++
			return true, a.pauseRows()
		})
		if err != nil {
			return nil, err
		}
	}
	for p := range a.rows.parts {
		if !a.exact(p.table) {
			delete(a.rows.parts, p)
		}
	}
	return found, nil
}

func (a *auditor) pauseRows() error {
	if a.Rows%progressEvery != 0 {
		return nil
	}
	return a.ctx.Err()
}

// compareState compares the rows of accounts and used tokens with those of the last checkpoint.
func (a *auditor) compareState() error {
	a.at = 0
	found := map[row]bool{}
	for _, t := range []journal.Table{journal.Accounts, journal.Uses} {
		a.doing = tableName(t)
		err := a.View.Scan(t, nil, nil, func(key, value []byte) (bool, error) {
			at := row{t, string(key)}
			found[at] = true
			a.compareRow(at, a.rows.state, bytes.Clone(value))
			a.Rows++
			return true, a.pauseRows()
		})
		if err != nil {
			return err
		}
	}
	for _, at := range sortedRows(a.rows.state) {
		if !found[at] {
			a.missing(at, a.rows.state[at])
		}
	}
	return nil
}

func (a *auditor) compareRow(at row, want map[row][]byte, value []byte) {
	switch expected, ok := want[at]; {
	case !ok:
		a.fault(Fault{Sequence: recordOf(at, value), Place: at.String(), Expected: "no such row",
			Found: at.show(value)})
	case !bytes.Equal(expected, value):
		a.fault(Fault{Sequence: recordOf(at, expected), Place: at.String(), Expected: at.show(expected),
			Found: at.show(value)})
	}
}

func (a *auditor) missing(at row, want []byte) {
	a.fault(Fault{Sequence: recordOf(at, want), Place: at.String(), Expected: at.show(want), Found: "no such row"})
}

func sortedRows(rows map[row][]byte) []row {
	return slices.SortedFunc(maps.Keys(rows), func(a, b row) int {
		if a.table != b.table {
			return int(a.table) - int(b.table)
		}
		return strings.Compare(a.key, b.key)
	})
}

// maxSuspects is the most parts that a second pass keeps the rows of.
const maxSuspects = 64

// few returns the first of the suspects. A report says how many there are more.
func (a *auditor) few(suspects map[part]bool) map[part]bool {
	sorted := slices.SortedFunc(maps.Keys(suspects), func(a, b part) int {
		if a.table != b.table {
			return int(a.table) - int(b.table)
		}
		return int(int64(a.number) - int64(b.number))
	})
	for _, p := range sorted[min(len(sorted), maxSuspects):] {
		delete(suspects, p)
		a.OmittedFaults++
	}
	return suspects
}

// locate folds the journal again, and compares the rows of suspect parts one by one.
func (a *auditor) locate(suspects map[part]bool) error {
	if len(suspects) == 0 {
		return nil
	}
	options := a.Options
	options.Progress = nil
	second := newAuditor(a.ctx, options, suspects)
	if _, err := second.foldAll(); err != nil {
		return err
	}
	faults := len(a.Faults) + a.OmittedFaults
	found := map[row]bool{}
	for _, t := range compared {
		err := a.View.Scan(t, nil, nil, func(key, value []byte) (bool, error) {
			if suspects[partOf(t, key)] {
				at := row{t, string(key)}
				found[at] = true
				a.compareRow(at, second.rows.rows, bytes.Clone(value))
			}
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	for _, at := range sortedRows(second.rows.rows) {
		if !found[at] {
			a.missing(at, second.rows.rows[at])
		}
	}
	if faults == len(a.Faults)+a.OmittedFaults {
		return fmt.Errorf("rows differed when they were added up, and not when they were compared one by one")
	}
	return nil
}
