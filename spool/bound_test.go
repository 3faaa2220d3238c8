package spool

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tallyman"
)

// faults is a step that fails an operation with an error while one is set, and counts operations.
type faults struct {
	mu    sync.Mutex
	fail  map[string]error
	count map[string]int
}

func (f *faults) step(op, _ string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count == nil {
		f.count = map[string]int{}
	}
	f.count[op]++
	return f.fail[op]
}

func (f *faults) set(op string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = map[string]error{op: err}
}

func (f *faults) counted(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count[op]
}

func TestAFailedSyncPoisonsTheSpoolForEverAndIsNotTriedAgain(t *testing.T) {
	var f faults
	cfg := small(t.TempDir())
	cfg.Step = f.step
	s := mustOpen(t, cfg)
	r := mustReader(t, s, "join")
	mustCommit(t, s, "acknowledged")
	f.set("sync", syscall.EIO)
	_, first := s.Commit(t.Context(), []byte("not acknowledged"))
	if !errors.Is(first, syscall.EIO) || !strings.Contains(first.Error(), "poisoned") {
		t.Fatal(first)
	}
	f.set("sync", nil)
	syncs, writes := f.counted("sync"), f.counted("write")
	for range 3 {
		if _, err := s.Append([]byte("later")); err != first { //nolint:errorlint // the very same error
			t.Fatal(err)
		}
		if _, err := s.Commit(t.Context(), []byte("later")); !errors.Is(err, first) {
			t.Fatal(err)
		}
	}
	if err := s.NewEpoch("test"); !errors.Is(err, first) {
		t.Fatal(err)
	}
	if es, err := r.Next(t.Context(), 10); err != nil || len(es) != 1 {
		t.Fatal("what is durable is still delivered:", es, err)
	}
	if _, err := r.Next(t.Context(), 10); !errors.Is(err, first) {
		t.Fatal(err)
	}
	if st := s.Status(); st.Err == nil || st.Refused != 6 || st.Synced.Seq != 1 {
		t.Fatalf("%+v", st)
	}
	if err := s.Close(); !errors.Is(err, first) {
		t.Fatal(err)
	}
	if f.counted("sync") != syncs || f.counted("write") != writes {
		t.Fatal("a poisoned spool has written or synced")
	}
	s = mustOpen(t, small(cfg.Dir))
	defer s.Close()
	if got := drain(t, s, mustReader(t, s, "again")); len(got) == 0 || got[0] != "acknowledged" {
		t.Fatal(got)
	}
}

func TestAFailedSyncOfTheFolderPoisonsToo(t *testing.T) {
	var f faults
	cfg := small(t.TempDir())
	cfg.Step = f.step
	s := mustOpen(t, cfg)
	f.set("syncdir", syscall.EIO)
	var err error
	for i := 0; err == nil && i < 100; i++ {
		_, err = s.Commit(t.Context(), make([]byte, 200))
	}
	if !errors.Is(err, syscall.EIO) || s.Status().Segments != 1 {
		t.Fatal(err, s.Status())
	}
	if err := s.Close(); err == nil {
		t.Fatal("a poisoned spool says so when it is closed")
	}
}

func TestAnIOErrorOfAWritePoisons(t *testing.T) {
	var f faults
	cfg := small(t.TempDir())
	cfg.Step = f.step
	s := mustOpen(t, cfg)
	f.set("write", syscall.EIO)
	if _, err := s.Commit(t.Context(), []byte("x")); !errors.Is(err, syscall.EIO) || s.Status().Err == nil {
		t.Fatal(err)
	}
	if err := s.Close(); err == nil {
		t.Fatal("closed without an error")
	}
}

func TestAFullDiskIsSaidAndNothingIsLostWhenThereIsRoomAgain(t *testing.T) {
	for _, op := range []string{"write", "create"} {
		var f faults
		cfg := small(t.TempDir())
		cfg.Step = f.step
		s := mustOpen(t, cfg)
		r := mustReader(t, s, "join")
		var want []string
		f.set(op, syscall.ENOSPC)
		var err error
		for i := 0; err == nil; i++ {
			p := fmt.Sprintf("%d %s", i, strings.Repeat("y", 200))
			want = append(want, p)
			_, err = s.Commit(t.Context(), []byte(p))
		}
		if !errors.Is(err, syscall.ENOSPC) || s.Status().Err != nil || s.Status().Stalled == nil {
			t.Fatal(op, err)
		}
		if _, err := s.Append([]byte("recorded, not promised")); err != nil {
			t.Fatal(op, err)
		}
		want = append(want, "recorded, not promised")
		f.set(op, nil)
		mustCommit(t, s, "there is room")
		same(t, op, drain(t, s, r), append(want, "there is room"))
		if st := s.Status(); st.Stalled != nil || st.Refused != 0 {
			t.Fatalf("%+v", st)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCloseOnAFullDiskSaysWhatIsNotStored(t *testing.T) {
	var f faults
	cfg := small(t.TempDir())
	cfg.Step, cfg.SyncEvery = f.step, time.Hour
	s := mustOpen(t, cfg)
	mustCommit(t, s, "stored")
	if _, err := s.Append([]byte("not stored")); err != nil {
		t.Fatal(err)
	}
	f.set("write", syscall.ENOSPC)
	if err := s.Close(); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "entries after 1") {
		t.Fatal(err)
	}
}

func TestAFullSpoolRefusesCountsAndTakesAgainWhenAReaderCommits(t *testing.T) {
	s := mustOpen(t, small(t.TempDir()))
	defer s.Close()
	r := mustReader(t, s, "join")
	stored, refused := 0, uint64(0)
	for refused < 3 {
		_, err := s.Commit(t.Context(), make([]byte, 500))
		switch {
		case errors.Is(err, tallyman.ErrFull):
			refused++
		case err != nil:
			t.Fatal(err)
		default:
			stored++
		}
	}
	st := s.Status()
	if st.Refused != refused || st.Bytes > s.cfg.MaxSize || st.Bytes < s.cfg.MaxSize-600 || st.Entries != uint64(stored) {
		t.Fatalf("%d stored, %+v", stored, st)
	}
	got := entries(t, s, r)
	if len(got) != stored {
		t.Fatal("a full spool is still read:", len(got))
	}
	if err := r.Commit(got[len(got)-1].ID); err != nil {
		t.Fatal(err)
	}
	waitFor(t, s, func() bool { return len(s.segments) == 1 })
	id := mustCommit(t, s, "there is room")
	if id.Seq != uint64(stored)+1 {
		t.Fatal("a refused payload has taken a place:", id)
	}
	same(t, "room", drain(t, s, r), []string{"there is room"})
}

// waitFor waits until the spool is so.
func waitFor(t testing.TB, s *Spool, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.await(ctx, func() (bool, error) { return so(), nil }); err != nil {
		t.Fatal(err)
	}
}

func TestAFullBufferRefusesAppendAndHoldsCommit(t *testing.T) {
	cfg := small(t.TempDir())
	cfg.SyncEvery = time.Hour
	stuck, free := make(chan struct{}, 1), make(chan struct{})
	var armed atomic.Bool
	cfg.Step = func(op, _ string) error {
		if op == "write" && armed.Load() {
			select {
			case stuck <- struct{}{}:
			default:
			}
			<-free
		}
		return nil
	}
	s := mustOpen(t, cfg)
	defer s.Close()
	armed.Store(true)
	payload := make([]byte, 1000)
	n := 0
	for ; n < 5; n++ { // half the buffer wakes the writer, which takes it and hangs
		if _, err := s.Append(payload); err != nil {
			t.Fatal(err)
		}
	}
	<-stuck
	var err error
	for ; err == nil; n++ {
		_, err = s.Append(payload)
	}
	if !errors.Is(err, tallyman.ErrFull) {
		t.Fatal(err)
	}
	if n--; int64(n)*1020 > s.Status().Buffered || s.Status().Buffered > 2*int64(cfg.Buffer) {
		t.Fatalf("%d entries are in %d bytes", n, s.Status().Buffered)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if _, err := s.Commit(ctx, payload); !errors.Is(err, enough) {
		t.Fatal("commit waits as long as its context allows:", err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := s.Commit(context.Background(), payload)
		done <- err
	}()
	close(free)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := s.Status().Entries; got != uint64(n)+1 {
		t.Fatal(got)
	}
}

func TestMarksThatCannotBeSavedOnAFullDiskStillMakeRoom(t *testing.T) {
	var f faults
	cfg := small(t.TempDir())
	cfg.Step = f.step
	s := mustOpen(t, cfg)
	r := mustReader(t, s, "join")
	mustCommit(t, s, texts(1, 150)...)
	f.set("create", syscall.ENOSPC)
	if err := r.Commit(s.Status().Synced); err != nil {
		t.Fatal(err)
	}
	n := s.Status().Segments
	waitFor(t, s, func() bool { return len(s.segments) < n })
	f.set("create", nil)
	if s.Status().Err != nil {
		t.Fatal(s.Status().Err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, small(cfg.Dir))
	defer s.Close()
	same(t, "marks saved at close", drain(t, s, mustReader(t, s, "join")), nil)
}
