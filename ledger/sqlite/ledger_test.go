package sqlite

import (
	"path/filepath"
	"testing"

	"tallyman"
	"tallyman/test/corpus"
)

func open(t testing.TB) *Ledger {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "tallyman.db"))
}

func openAt(t testing.TB, path string) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func TestLedgerKeepsItsContract(t *testing.T) {
	corpus.RunLedger(t, func(t testing.TB) tallyman.Ledger { return open(t) })
}
