package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"tallyman"
)

func TestAFastReaderDoesNotWaitForASlowOneAndTheSlowOneLosesNothing(t *testing.T) {
	s := mustOpen(t, small(t.TempDir()))
	defer s.Close()
	fast, slow := mustReader(t, s, "fast"), mustReader(t, s, "slow")
	want := texts(1, 200)
	for i := 0; i < len(want); i += 10 {
		id := mustCommit(t, s, want[i:i+10]...)
		same(t, "fast", drain(t, s, fast), want[i:i+10])
		if err := fast.Commit(id); err != nil {
			t.Fatal(err)
		}
	}
	st := s.Status()
	if st.Oldest.Seq != 1 || st.Readers[0].Behind != 0 || st.Readers[1].Behind != 200 {
		t.Fatalf("%+v", st)
	}
	got := entries(t, s, slow)
	if len(got) != 200 || string(got[199].Payload) != want[199] {
		t.Fatal(len(got))
	}
	if err := slow.Commit(got[99].ID); err != nil {
		t.Fatal(err)
	}
	waitFor(t, s, func() bool { return s.segments[0].first > 1 })
	if first := s.Status().Oldest.Seq; first > 101 {
		t.Fatal("an entry that the slow reader needs is gone; the oldest is", first)
	}
	if err := slow.Commit(got[199].ID); err != nil {
		t.Fatal(err)
	}
	waitFor(t, s, func() bool { return len(s.segments) == 1 })
}

func TestAReaderGoesOnBehindItsMark(t *testing.T) {
	dir := t.TempDir()
	want := texts(1, 100)
	s := mustOpen(t, small(dir))
	mustCommit(t, s, want...)
	for at := 0; at < 100; at += 25 {
		r := mustReader(t, s, "join")
		es := entries(t, s, r)
		if len(es) != 100-at || string(es[0].Payload) != want[at] {
			t.Fatalf("at %d: %d entries, the first is %q", at, len(es), es[0].Payload)
		}
		if err := r.Commit(es[24].ID); err != nil {
			t.Fatal(err)
		}
		if err := r.Commit(es[0].ID); err != nil {
			t.Fatal("an older mark changes nothing:", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := r.Commit(es[0].ID); !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
		if _, err := r.Next(t.Context(), 1); !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
		s = mustOpen(t, small(dir))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAReaderKnowsNothingThatIsNotSynced(t *testing.T) {
	cfg := small(t.TempDir())
	atSync, goOn := make(chan struct{}), make(chan struct{})
	armed := false
	cfg.Step = func(op, _ string) error {
		if op == "sync" && armed {
			armed = false
			atSync <- struct{}{}
			<-goOn
		}
		return nil
	}
	s := mustOpen(t, cfg)
	defer s.Close()
	r := mustReader(t, s, "join")
	mustCommit(t, s, "one")
	s.writing.Lock()
	armed = true
	s.writing.Unlock()
	id, err := s.Append([]byte("two"))
	if err != nil {
		t.Fatal(err)
	}
	s.wake()
	<-atSync // it is written, and not synced
	same(t, "not synced", drain(t, s, r), []string{"one"})
	if err := r.Commit(id); err == nil {
		t.Fatal("a mark cannot be ahead of the disk")
	}
	close(goOn)
	if err := s.Sync(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	same(t, "synced", drain(t, s, r), []string{"two"})
}

func TestNextWaitsAndEndsWithItsContext(t *testing.T) {
	s := mustOpen(t, small(t.TempDir()))
	r := mustReader(t, s, "join")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Next(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := r.Next(context.Background(), 1)
		done <- err
	}()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

func TestANameHasOneReaderAndClosingGivesItFree(t *testing.T) {
	s := mustOpen(t, small(t.TempDir()))
	defer s.Close()
	r := mustReader(t, s, "join")
	if _, err := s.Reader("join"); err == nil {
		t.Fatal("two readers of one name")
	}
	if _, err := s.Reader(""); err == nil {
		t.Fatal("a reader without a name")
	}
	id := mustCommit(t, s, "one")
	r.Close()
	if err := r.Commit(id); err == nil {
		t.Fatal("a closed reader has moved a mark")
	}
	if err := r.Seek(id); err == nil {
		t.Fatal("a closed reader has moved")
	}
	again := mustReader(t, s, "join")
	r.Close()
	if err := again.Commit(id); err != nil {
		t.Fatal("closing an old reader has closed the new one:", err)
	}
}

func TestAForgottenReaderHoldsBackNothing(t *testing.T) {
	s := mustOpen(t, small(t.TempDir()))
	defer s.Close()
	mustReader(t, s, "gone")
	r := mustReader(t, s, "join")
	id := mustCommit(t, s, texts(1, 150)...)
	if err := r.Commit(id); err != nil {
		t.Fatal(err)
	}
	if n := s.Status().Segments; n < 3 {
		t.Fatal(n)
	}
	s.Forget("gone")
	waitFor(t, s, func() bool { return len(s.segments) == 1 })
	if st := s.Status(); len(st.Readers) != 1 {
		t.Fatalf("%+v", st)
	}
}

func TestSeekGoesBackAndForth(t *testing.T) {
	s := mustOpen(t, small(t.TempDir()))
	defer s.Close()
	mustReader(t, s, "behind") // holds back the removal of what is sought again
	r := mustReader(t, s, "join")
	want := texts(1, 100)
	id := mustCommit(t, s, want...)
	for _, after := range []uint64{0, 99, 50, 1, 100} {
		id.Seq = after
		if after == 0 {
			id = tallyman.ID{}
		} else {
			id = tallyman.ID{Agent: s.Agent(), Epoch: 1, Seq: after}
		}
		if err := r.Seek(id); err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprint("after ", after), drain(t, s, r), want[after:])
	}
	if err := r.Seek(tallyman.ID{Agent: tallyman.Agent{1}, Epoch: 1, Seq: 1}); err == nil {
		t.Fatal("an ID of another agent says nothing about this spool")
	}
}

func TestSeekBehindRemovedEntriesDeliversThemAsAHole(t *testing.T) {
	s := mustOpen(t, small(t.TempDir()))
	defer s.Close()
	r := mustReader(t, s, "join")
	want := texts(1, 150)
	id := mustCommit(t, s, want...)
	if err := r.Commit(id); err != nil {
		t.Fatal(err)
	}
	waitFor(t, s, func() bool { return len(s.segments) == 1 })
	gone := s.Status().Oldest.Seq - 1
	if err := r.Seek(tallyman.ID{Agent: s.Agent(), Epoch: 1, Seq: 10}); err != nil {
		t.Fatal(err)
	}
	same(t, "restored ledger", drain(t, s, r), append([]string{fmt.Sprint("hole ", gone-10)}, want[gone:]...))
	if got := s.Status().Readers[0].Lost; got != gone-10 {
		t.Fatal("lost", got)
	}
}

func TestAMarkAheadOfTheSpoolBeginsANewEpochWithAHole(t *testing.T) {
	s := mustOpen(t, small(t.TempDir()))
	defer s.Close()
	r, other := mustReader(t, s, "ledger"), mustReader(t, s, "other")
	mustCommit(t, s, "one")
	if err := r.Seek(tallyman.ID{Agent: s.Agent(), Epoch: 3, Seq: 500}); err != nil {
		t.Fatal(err)
	}
	if id := mustCommit(t, s, "two"); id.Epoch != 4 || id.Seq != 2 {
		t.Fatal(id)
	}
	same(t, "ledger", drain(t, s, r), []string{"hole 1", "two"})
	same(t, "other", drain(t, s, other), []string{"one", "hole 1", "two"})
}

func TestANewEpochCountsFromOneAndKeepsWhatWasThere(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, small(dir))
	mustReader(t, s, "join")
	mustCommit(t, s, "old")
	if _, err := s.Append([]byte("old, not synced")); err != nil {
		t.Fatal(err)
	}
	if err := s.NewEpoch("a backup of the ledger was restored"); err != nil {
		t.Fatal(err)
	}
	if id, err := s.Commit(t.Context()); err != nil || id.Epoch != 2 || id.Seq != 0 {
		t.Fatal("an epoch without an entry is synced:", id, err)
	}
	if id := mustCommit(t, s, "new"); id.Epoch != 2 || id.Seq != 1 || s.Epoch() != 2 {
		t.Fatal(id)
	}
	if err := s.NewEpoch("twice"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, small(dir))
	defer s.Close()
	if id := mustCommit(t, s, "newer"); id.Epoch != 3 || id.Seq != 1 {
		t.Fatal(id)
	}
	r := mustReader(t, s, "join")
	same(t, "epochs", drain(t, s, r), []string{"old", "old, not synced", "new", "newer"})
	if err := r.Commit(s.Status().Newest); err != nil {
		t.Fatal(err)
	}
	waitFor(t, s, func() bool { return len(s.segments) == 1 })
}

func TestAnUnreadableBlockIsAHoleAndTheRestIsDelivered(t *testing.T) {
	cfg := small(t.TempDir())
	cfg.SegmentSize, cfg.MaxSize = 64<<10, 1<<20
	var f faults
	cfg.Step = f.step
	s := mustOpen(t, cfg)
	defer s.Close()
	r := mustReader(t, s, "join")
	mustCommit(t, s, texts(1, 20)...)
	f.set("read", syscall.EIO)
	same(t, "unreadable", drain(t, s, r), []string{"hole 20"})
	f.set("read", nil)
	mustCommit(t, s, "readable")
	same(t, "next", drain(t, s, r), []string{"readable"})
}

func TestTheNewestPlaceIsReachedWithoutAnotherEntry(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, small(dir))
	f := func(what string, want ...string) {
		t.Helper()
		r := mustReader(t, s, "join")
		defer r.Close()
		var got []string
		for newest := s.Status().Newest; len(got) == 0 || r.at.before(place{newest.Epoch, newest.Seq + 1}); {
			es, err := r.Next(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range es {
				if e.Lost > 0 {
					got = append(got, fmt.Sprint("hole ", e.Lost))
				} else {
					got = append(got, string(e.Payload))
				}
			}
		}
		same(t, what, got, want)
	}
	mustCommit(t, s, "one", "two")
	f("one epoch", "one", "two")
	if err := s.NewEpoch("test"); err != nil {
		t.Fatal(err)
	}
	f("an epoch without entries", "one", "two")
	r := mustReader(t, s, "ahead")
	if err := r.Seek(tallyman.ID{Agent: s.Agent(), Epoch: 2, Seq: 9}); err != nil {
		t.Fatal(err)
	}
	f("an epoch that begins with a loss", "one", "two", "hole 1")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, small(dir))
	defer s.Close()
	f("the same after a restart", "one", "two", "hole 1")
}

func TestASegmentThatSomebodyRemovedIsAHole(t *testing.T) {
	cfg := small(t.TempDir())
	s := mustOpen(t, cfg)
	defer s.Close()
	r := mustReader(t, s, "join")
	mustCommit(t, s, texts(1, 100)...)
	first := s.segments[0]
	if err := os.Remove(filepath.Join(cfg.Dir, first.name())); err != nil {
		t.Fatal(err)
	}
	same(t, "removed", drain(t, s, r), append([]string{fmt.Sprint("hole ", first.last)}, texts(int(first.last)+1, 100-int(first.last))...))
}
