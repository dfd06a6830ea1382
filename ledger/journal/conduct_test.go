package journal_test

import (
	"testing"

	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/ledgertest"
)

func memory() ledgertest.Engine {
	return ledgertest.Engine{
		Open: func(testing.TB) journal.Journal { return journal.NewMemory() },
		Crash: func(_ testing.TB, j journal.Journal) journal.Journal {
			return j.(*journal.Memory).Restart()
		},
	}
}

func TestMemory(t *testing.T) { ledgertest.Run(t, memory()) }
