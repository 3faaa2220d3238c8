package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/ledger/sqlstore"
	"tallyman/query"
	"tallyman/test/corpus"
)

// handle opens the file as any program would.
func handle(t *testing.T, path string) *sql.DB {
	t.Helper()
	d, err := newDriver()
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector{d, source(path, "mode=rwc")})
	t.Cleanup(func() { db.Close() })
	return db
}

func run(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func TestNewLedgerIsNotReadableByOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "with space?&%41.db")
	openAt(t, path)
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if fi.Mode().Perm()&0o007 != 0 {
		t.Errorf("mode %v", fi.Mode())
	}
}

func TestCommitIsOnStableStorage(t *testing.T) {
	l := open(t)
	is := func(pragma, want string) {
		t.Helper()
		var got string
		if err := l.writes.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, want %q (%v)", pragma, got, want, err)
		}
	}
	is("journal_mode", "wal")
	is("synchronous", "2") // FULL: the log is synced at each commit (sqlite.org/pragma.html#pragma_synchronous)
}

func TestReadersCannotWrite(t *testing.T) {
	l := open(t)
	if _, err := l.read.ExecContext(t.Context(), "DELETE FROM ledger"); err == nil {
		t.Error("a reader deleted a row")
	}
}

func TestLedgerOfTheFirstMigrationIsUpgraded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old.db")
	db := handle(t, path)
	run(t, db, fmt.Sprintf("PRAGMA application_id = %d", applicationID))
	first, err := os.ReadFile("testdata/00001_records.sql")
	if err != nil {
		t.Fatal(err)
	}
	up, _, _ := strings.Cut(string(first), "-- +goose Down")
	run(t, db, up)
	run(t, db, "CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL, is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')))")
	run(t, db, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1), (1, 1)")
	old, err := os.ReadFile("testdata/rows_of_00001.sql")
	if err != nil {
		t.Fatal(err)
	}
	run(t, db, string(old))
	// A deletion that an older version called complete (2), for the reason closed (5).
	run(t, db, "INSERT INTO transfer SELECT x'019ccfeb24a07509bd46b06d2addb2d3', rev, NULL, start, took, seen, host, proto, 6, 2, 5, 1, flags, client, port, server, "+
		"server_port, file, path, new_path, expected, bytes, digest, trait, login, pid, proc_start, shape, details, pk + 1 FROM transfer")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	l := openAt(t, path)
	st, err := l.Status(t.Context())
	if err != nil || st.Migration != st.Newest || st.Newest < 2 {
		t.Fatalf("migration %d of %d: %v", st.Migration, st.Newest, err)
	}
	want := ofVictim(7, tallyman.Complete)
	got, err := l.Transfer(t.Context(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	corpus.CheckTile(t, l, []*tallyman.Transfer{want}, tallyman.StatsQuery{By: "file"})
	finding := &tallyman.Finding{ID: tallyman.UUID{1}, Rule: "request-rate"}
	if err := l.Write(t.Context(), tallyman.Batch{Records: []tallyman.Record{finding, ofVictim(8, tallyman.Failed)}}); err != nil {
		t.Errorf("the upgraded ledger takes no records: %v", err)
	}
	// By an index that a later migration made anew.
	failed, err := query.Parse("verdict:failed", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if n, err := count(l.Transfers(t.Context(), tallyman.Query{Where: failed})); n != 1 || err != nil {
		t.Errorf("%d failed transfers, %v", n, err)
	}
	deleted, err := query.Parse("op:delete outcome:success -verdict:*", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if n, err := count(l.Transfers(t.Context(), tallyman.Query{Where: deleted})); n != 1 || err != nil {
		t.Errorf("%d deletions without a verdict, %v", n, err)
	}
}

// TestIndexOfOddVerdictsIsTaken asks as a list of failed transfers does: walking all rows instead finds the same, a thousand times slower.
func TestIndexOfOddVerdictsIsTaken(t *testing.T) {
	l := open(t)
	for v := tallyman.NoVerdict; v <= tallyman.Contradicted; v++ {
		var id, parent, unused int
		var detail string
		ask := fmt.Sprintf("EXPLAIN QUERY PLAN SELECT t.pk FROM transfer t WHERE t.verdict = %d AND %s ORDER BY t.start DESC", v, sqlstore.Odd)
		if err := l.read.QueryRowContext(t.Context(), ask).Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(detail, "USING COVERING INDEX transfer_odd (verdict=?)") {
			t.Errorf("verdict %v: %s", v, detail)
		}
	}
}

func TestEveryMigrationGoesDownAgain(t *testing.T) {
	l := open(t)
	l.Store.Close()
	p, err := provider(l.writes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.DownTo(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	var tables int
	row := l.writes.QueryRowContext(t.Context(), "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' AND name <> 'goose_db_version'")
	if err := row.Scan(&tables); err != nil || tables != 0 {
		t.Errorf("%d tables and indices stay (%v)", tables, err)
	}
	if _, err := p.Up(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestMigrationsAreNumberedFromOneOn(t *testing.T) {
	p, err := provider(open(t).writes)
	if err != nil {
		t.Fatal(err)
	}
	sources := p.ListSources()
	for i, s := range sources {
		if s.Version != int64(i+1) {
			t.Errorf("%s has number %d, want %d", s.Path, s.Version, i+1)
		}
	}
	if n, err := target(); err != nil || n != int64(len(sources)) {
		t.Errorf("target %d of %d (%v)", n, len(sources), err)
	}
}

func TestFileOfAnotherProgramIsRefusedAndLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "firefox.db")
	run(t, handle(t, path), "CREATE TABLE bookmark (x)")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, readOnly := range []bool{false, true} {
		if _, err := Open(t.Context(), Config{Path: path, ReadOnly: readOnly}); !errors.Is(err, errForeign) {
			t.Errorf("read only %v: %v", readOnly, err)
		}
	}
	after, err := os.ReadFile(path)
	if err != nil || string(after) != string(before) {
		t.Errorf("the file was changed (%v)", err)
	}
}

func TestFileThatIsNoDatabaseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(path, []byte(strings.Repeat("this is text\n", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{Path: path}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("the error is %v", err)
	}
}

func TestLedgerOfANewerProgramIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tallyman.db")
	if err := openAt(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	run(t, handle(t, path), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)")
	for _, readOnly := range []bool{false, true} {
		if _, err := Open(t.Context(), Config{Path: path, ReadOnly: readOnly}); !errors.Is(err, errNewer) {
			t.Errorf("read only %v: %v", readOnly, err)
		}
	}
}

func TestReadOnlyLedgerAnswersBesideTheWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tallyman.db")
	if _, err := Open(t.Context(), Config{Path: path, ReadOnly: true}); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("a ledger that is not there: %v", err)
	}
	l := openAt(t, path)
	fillLedger(t, l, 10)
	r, err := Open(t.Context(), Config{Path: path, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for n := 10; n < 13; n++ {
		st, err := r.Stats(t.Context(), tallyman.StatsQuery{By: "verdict"})
		if err != nil || st[0].Transfers != int64(n) {
			t.Errorf("%v, %v, want %d", st, err, n)
		}
		fillLedger(t, l, 1)
	}
	if err := r.Write(t.Context(), tallyman.Batch{}); !errors.Is(err, sqlstore.ErrReadOnly) {
		t.Errorf("write: %v", err)
	}
}

func TestReadOnlyLedgerOpensWithoutAWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tallyman.db")
	l := openAt(t, path)
	fillLedger(t, l, 3)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Open(t.Context(), Config{Path: path, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := count(r.Transfers(t.Context(), tallyman.Query{})); n != 3 || err != nil {
		t.Errorf("%d records, %v", n, err)
	}
}

func TestWriteWaitsForALockUntilItsContextEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tallyman.db")
	l := openAt(t, path)
	fillLedger(t, l, 1)
	other := handle(t, path)
	other.SetMaxOpenConns(1)
	run(t, other, "BEGIN IMMEDIATE")
	ctx, cancel := context.WithTimeout(t.Context(), 1300*time.Millisecond) // longer than the driver waits by itself
	defer cancel()
	batch := tallyman.Batch{Mark: tallyman.ID{Agent: victimAgent, Epoch: 1, Seq: 2}, Records: []tallyman.Record{ofVictim(2, tallyman.Complete)}}
	if err := l.Write(ctx, batch); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the write ended in %v", err)
	}
	if n, err := count(l.Transfers(t.Context(), tallyman.Query{})); n != 1 || err != nil {
		t.Errorf("%d records, %v", n, err)
	}
	written := make(chan error)
	go func() { written <- l.Write(t.Context(), batch) }()
	run(t, other, "ROLLBACK")
	if err := <-written; err != nil {
		t.Errorf("the write that found the lock gone: %v", err)
	}
}

func TestConfigWithoutAPathIsRefused(t *testing.T) {
	for _, c := range []Config{{}, {Path: "x", Readers: -1}, {Path: "x", CacheMiB: -1}} {
		if _, err := Open(t.Context(), c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

func contextThatEnded(t *testing.T) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx, cancel
}
