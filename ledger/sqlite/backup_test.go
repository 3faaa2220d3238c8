package sqlite

import (
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/test/corpus"
)

// count counts what a list yields.
func count[T any](list iter.Seq2[T, error]) (n int, err error) {
	for _, err := range list {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func TestBackupIsOneMomentOfALedgerThatIsWritten(t *testing.T) {
	l := open(t)
	fillLedger(t, l, 2000)
	stop, stopped := make(chan struct{}), make(chan error)
	go func() {
		for n := uint64(2001); ; n++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			b := tallyman.Batch{Mark: tallyman.ID{Agent: victimAgent, Epoch: 1, Seq: n}, Records: []tallyman.Record{ofVictim(n, tallyman.Complete)}}
			if err := l.Write(t.Context(), b); err != nil {
				stopped <- err
				return
			}
		}
	}()
	path := filepath.Join(t.TempDir(), "copy.db")
	err := l.Backup(t.Context(), path)
	close(stop)
	if err := errors.Join(err, <-stopped); err != nil {
		t.Fatal(err)
	}
	copied := openAt(t, path)
	mark, err := copied.Committed(t.Context(), victimAgent)
	if err != nil {
		t.Fatal(err)
	}
	n, err := count(copied.Transfers(t.Context(), tallyman.Query{}))
	if err != nil || uint64(n) != max(mark.Seq, 2000) {
		t.Errorf("the copy has %d records and the mark %d (%v)", n, mark.Seq, err)
	}
	now, err := l.Committed(t.Context(), victimAgent)
	if err != nil || now.Compare(mark) < 0 {
		t.Errorf("the ledger is at %v, its copy at %v (%v): the copy cannot be told", now, mark, err)
	}
	r, err := copied.Recount(t.Context(), ofVictim(1, tallyman.Complete).Start)
	if err != nil || len(r.Differences) > 0 || r.Transfers == 0 {
		t.Errorf("recount of the copy: %+v, %v", r, err)
	}
}

func TestBackupReplacesNothingAndLeavesNothingHalf(t *testing.T) {
	l := open(t)
	folder := t.TempDir()
	path := filepath.Join(folder, "copy.db")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.Backup(t.Context(), path); err == nil {
		t.Error("a file was replaced")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "mine" {
		t.Errorf("the file says %q (%v)", got, err)
	}
	if err := l.Backup(t.Context(), filepath.Join(folder, "missing", "copy.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
	ended, cancel := contextThatEnded(t)
	defer cancel()
	if err := l.Backup(ended, filepath.Join(folder, "other.db")); err == nil {
		t.Error("a backup went on behind the end of its context")
	}
	files, err := os.ReadDir(folder)
	if err != nil || len(files) != 1 {
		t.Errorf("%d files stay (%v)", len(files), err)
	}
}

func TestStatusTellsOfTheFile(t *testing.T) {
	l := open(t)
	fillLedger(t, l, 500)
	st, err := l.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st.Transfers != 500 || st.Used <= 0 || st.Bytes+st.Log < st.Used || !st.Floor.IsZero() || st.Late != 0 || !strings.HasSuffix(st.Path, "tallyman.db") {
		t.Errorf("%+v", st)
	}
}

func TestRecountFindsWhatDoesNotAddUp(t *testing.T) {
	l := open(t)
	fillLedger(t, l, 100)
	at := ofVictim(1, tallyman.Complete).Start
	if r, err := l.Recount(t.Context(), at); err != nil || len(r.Differences) != 0 || r.Transfers != 100 {
		t.Fatalf("%+v, %v", r, err)
	}
	l.Store.Close()
	if _, err := l.writes.ExecContext(t.Context(), "UPDATE rollup SET bytes = bytes + 1 WHERE series = 2"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.writes.ExecContext(t.Context(), "DELETE FROM rollup WHERE series = 4 AND item = (SELECT id FROM file WHERE name = CAST('file-3' AS BLOB))"); err != nil {
		t.Fatal(err)
	}
	r, err := l.Recount(t.Context(), at)
	if err != nil || len(r.Differences) != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	host, file := r.Differences[0], r.Differences[1]
	if host.By != "host" || host.Item != "h" || host.Stored[1] != host.Counted[1]+1 || host.Verdict != tallyman.Complete || host.Direction != "download" {
		t.Errorf("%+v", host)
	}
	if file.By != "file" || file.Item != "file-3" || file.Stored[0] != 0 || file.Counted[0] == 0 || !file.Slot.Equal(corpus.Day) {
		t.Errorf("%+v", file)
	}
}

func TestRecentGivesWhatWasLearntSince(t *testing.T) {
	l := open(t)
	at := corpus.Day
	add := func(n uint64, start, seen time.Duration) *tallyman.Transfer {
		tr := ofVictim(n, tallyman.Complete)
		tr.Start, tr.Seen = at.Add(start), at.Add(seen)
		if err := l.Write(t.Context(), tallyman.Batch{Records: []tallyman.Record{tr}}); err != nil {
			t.Fatal(err)
		}
		return tr
	}
	add(1, -time.Hour, -time.Minute)
	long := add(2, -time.Hour, 0)
	quick := add(3, -time.Second, time.Second)
	add(4, -time.Second, -time.Millisecond)
	late := add(5, time.Second, time.Hour)
	united := add(6, 0, time.Second)
	gone := *united
	gone.Rev, gone.Merged = gone.Rev+1, quick.ID
	if err := l.Write(t.Context(), tallyman.Batch{Records: []tallyman.Record{&gone}}); err != nil {
		t.Fatal(err)
	}
	var got []tallyman.UUID
	for tr, err := range l.Recent(t.Context(), at) {
		if err != nil {
			t.Fatal(err)
		}
		if len(tr.Evidence) != 1 {
			t.Errorf("%s has %d pieces of evidence", tr.ID, len(tr.Evidence))
		}
		got = append(got, tr.ID)
	}
	if len(got) != 3 || got[0] != late.ID || got[1] != quick.ID || got[2] != long.ID {
		t.Errorf("recent are %v", got)
	}
}
