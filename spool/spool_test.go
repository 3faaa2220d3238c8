package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tallyman"
)

// small is a spool of few bytes, so that segments turn and bounds are met.
func small(dir string) Config {
	return Config{Dir: dir, SegmentSize: 4 << 10, MaxSize: 32 << 10, Buffer: 8 << 10}
}

func mustOpen(t testing.TB, cfg Config) *Spool {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustReader(t testing.TB, s *Spool, name string) *Reader {
	t.Helper()
	r, err := s.Reader(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// mustCommit stores texts and returns the last ID.
func mustCommit(t testing.TB, s *Spool, texts ...string) tallyman.ID {
	t.Helper()
	var last tallyman.ID
	for _, text := range texts {
		id, err := s.Commit(t.Context(), []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		last = id
	}
	return last
}

// texts are n payloads that tell their number.
func texts(from, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("evidence %04d %s", from+i, strings.Repeat("x", (from+i)%97))
	}
	return out
}

// drain reads all that is durable now, and says for each place what was delivered: its payload, or "hole N".
func drain(t testing.TB, s *Spool, r *Reader) []string {
	t.Helper()
	var got []string
	for _, e := range entries(t, s, r) {
		if e.Lost > 0 {
			got = append(got, fmt.Sprintf("hole %d", e.Lost))
		} else {
			got = append(got, string(e.Payload))
		}
	}
	return got
}

func entries(t testing.TB, s *Spool, r *Reader) []Entry {
	t.Helper()
	var got []Entry
	for {
		s.mu.Lock()
		more := !s.synced.before(r.at) && !s.newest().before(r.at)
		s.mu.Unlock()
		if !more {
			return got
		}
		es, err := r.Next(t.Context(), 7)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range es {
			e.Payload = bytes.Clone(e.Payload)
			got = append(got, e)
		}
	}
}

func same(t testing.TB, what string, got, want []string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) || len(got) != len(want) {
		t.Fatalf("%s: got %d %q\nwant %d %q", what, len(got), got, len(want), want)
	}
}

func TestWhatIsAppendedIsReadInOrder(t *testing.T) {
	s := mustOpen(t, small(t.TempDir()))
	defer s.Close()
	r := mustReader(t, s, "join")
	want := texts(1, 80)
	mustCommit(t, s, want...)
	got := entries(t, s, r)
	for i, e := range got {
		if e.ID != (tallyman.ID{Agent: s.Agent(), Epoch: 1, Seq: uint64(i + 1)}) || string(e.Payload) != want[i] {
			t.Fatalf("entry %d is %v %q", i, e.ID, e.Payload)
		}
	}
	if st := s.Status(); len(got) != 80 || st.Segments < 2 || st.Entries != 80 || st.Synced != got[79].ID || st.Appended != 80 {
		t.Fatalf("%d entries, %+v", len(got), st)
	}
}

func TestABatchTakesConsecutivePlacesAndEmptyPayloadsAreEntries(t *testing.T) {
	s := mustOpen(t, small(t.TempDir()))
	defer s.Close()
	r := mustReader(t, s, "join")
	id, err := s.Append([]byte("a"), nil, []byte("c"))
	if err != nil || id.Seq != 3 {
		t.Fatal(id, err)
	}
	if again, err := s.Append(); err != nil || again != id {
		t.Fatal("without payloads the newest place is returned:", again, err)
	}
	if err := s.Sync(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	same(t, "batch", drain(t, s, r), []string{"a", "", "c"})
}

func TestAReopenedSpoolGoesOnWhereItEnded(t *testing.T) {
	dir := t.TempDir()
	var want []string
	var agent tallyman.Agent
	for i := range 5 {
		s := mustOpen(t, small(dir))
		if i > 0 && s.Agent() != agent {
			t.Fatal("the agent has changed")
		}
		agent = s.Agent()
		want = append(want, texts(i*11, 11)...)
		id := mustCommit(t, s, texts(i*11, 11)...)
		if id.Epoch != 1 || id.Seq != uint64(len(want)) {
			t.Fatal("place", id)
		}
		r := mustReader(t, s, fmt.Sprint("reader", i))
		same(t, "reopened", drain(t, s, r), want)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnEntryWaitsNoLongerThanSyncEvery(t *testing.T) {
	cfg := small(t.TempDir())
	cfg.SyncEvery = time.Millisecond
	s := mustOpen(t, cfg)
	defer s.Close()
	r := mustReader(t, s, "join")
	if _, err := s.Append([]byte("nobody calls Sync")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if es, err := r.Next(ctx, 10); err != nil || len(es) != 1 {
		t.Fatal(es, err)
	}
}

func TestCloseStoresWhatWasAppended(t *testing.T) {
	cfg := small(t.TempDir())
	cfg.SyncEvery = time.Hour
	s := mustOpen(t, cfg)
	if _, err := s.Append([]byte("one"), []byte("two")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append([]byte("late")); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if err := s.Close(); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	s = mustOpen(t, cfg)
	defer s.Close()
	same(t, "after close", drain(t, s, mustReader(t, s, "join")), []string{"one", "two"})
}

func TestAFolderHasOneHolderAndTheErrorNamesIt(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, small(dir))
	_, err := Open(small(dir))
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("in use by pid %d", os.Getpid())) {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := mustOpen(t, small(dir)).Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatCannotWorkIsRefusedAtOpen(t *testing.T) {
	f := func(cfg Config, word string) {
		t.Helper()
		if s, err := Open(cfg); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("got %v %v, want an error with %q", s, err, word)
		}
	}
	dir := t.TempDir()
	f(Config{}, "no folder")
	f(Config{Dir: dir, SegmentSize: 100}, "segment_size")
	f(Config{Dir: dir, SegmentSize: 1 << 20, MaxSize: 1 << 20}, "max_size")
	f(Config{Dir: dir, Buffer: 10}, "buffer")
	f(Config{Dir: dir, SyncEvery: -1}, "sync_every")
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f(Config{Dir: file}, "open spool")
}

func TestAPayloadThatNoSegmentHoldsIsRefusedAndCounted(t *testing.T) {
	s := mustOpen(t, small(t.TempDir()))
	defer s.Close()
	most := s.cfg.maxPayload()
	if _, err := s.Append(make([]byte, most+1)); !errors.Is(err, ErrTooLarge) {
		t.Fatal(err)
	}
	if _, err := s.Append(make([]byte, most), make([]byte, most), make([]byte, most)); !errors.Is(err, ErrTooLarge) {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), make([]byte, most)); err != nil {
		t.Fatal(err)
	}
	if st := s.Status(); st.Refused != 4 || st.Appended != 1 {
		t.Fatalf("%+v", st)
	}
}

func TestSyncOfAForeignOrFutureIDIsAnError(t *testing.T) {
	s := mustOpen(t, small(t.TempDir()))
	defer s.Close()
	id := mustCommit(t, s, "one")
	id.Seq++
	if err := s.Sync(t.Context(), id); err == nil {
		t.Fatal("an entry that does not exist cannot be synced")
	}
	if err := s.Sync(t.Context(), tallyman.ID{Epoch: 1, Seq: 1}); err == nil {
		t.Fatal("another agent's entry cannot be synced")
	}
}

func TestTheLogIsSilentWithoutALogger(t *testing.T) {
	cfg, err := Config{Dir: t.TempDir()}.complete()
	if err != nil || cfg.Log.Enabled(t.Context(), slog.LevelError) {
		t.Fatal(err)
	}
}
