package jsonl_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tallyman/sink/jsonl"
)

func TestWriterThatHasRotatedAndIsIdleHoldsUpNobody(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.jsonl")
	one := open(t, jsonl.Config{File: file, MaxSize: 400})
	two := open(t, jsonl.Config{File: file, MaxSize: 400})
	for i := range 9 { // the last write of one has rotated or not, whatever the length of a line
		write(t, one, "one"+strconv.Itoa(i))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if err := two.Write(ctx, batch("two"+strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
	if _, err := os.Stat(file + ".3"); err != nil {
		t.Error("the file was not rotated:", err)
	}
}

func TestWaitForAnotherProcessEndsWithTheContext(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.jsonl")
	s := open(t, jsonl.Config{File: file})
	holder, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	if err := unix.Flock(int(holder.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	time.AfterFunc(20*time.Millisecond, func() { cancel(enough) })
	if err := s.Write(ctx, batch("x")); !errors.Is(err, enough) || !strings.Contains(err.Error(), "another process") {
		t.Fatal(err)
	}
	released := make(chan error, 1)
	time.AfterFunc(20*time.Millisecond, func() { released <- unix.Flock(int(holder.Fd()), unix.LOCK_UN) })
	write(t, s, "y")
	if err := <-released; err != nil {
		t.Fatal(err)
	}
	if got := names(t, file); got["y"] != 1 || len(got) != 1 {
		t.Errorf("%v", got)
	}
}

func TestFileThatCannotBeRotatedGrowsAndLosesNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.jsonl")
	var said bytes.Buffer
	s := open(t, jsonl.Config{File: file, MaxSize: 400, Keep: 1, Log: slog.New(slog.NewTextHandler(&said, nil))})
	// A folder that is not empty stands where the old file should go.
	if err := os.MkdirAll(filepath.Join(file+".1", "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		write(t, s, "f"+strconv.Itoa(i))
	}
	if got := names(t, file); len(got) != 10 {
		t.Errorf("%v", got)
	}
	if n := strings.Count(said.String(), "cannot be rotated"); n != 1 {
		t.Errorf("it was said %d times: %s", n, said.String())
	}
	if err := os.RemoveAll(file + ".1"); err != nil {
		t.Fatal(err)
	}
	write(t, s, "last")
	if old, got := names(t, file+".1"), names(t, file); len(old) != 10 || len(got) != 1 {
		t.Errorf("%v, %v", old, got)
	}
}

func TestRotationThatIsTriedOftenPushesNoOldFileOut(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.jsonl")
	s := open(t, jsonl.Config{File: file, MaxSize: 400, Keep: 3})
	write(t, s, "new")
	for n := 1; n <= 3; n++ {
		if err := os.WriteFile(file+"."+strconv.Itoa(n), []byte("old "+strconv.Itoa(n)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(file + ".2"); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		write(t, s, "f"+strconv.Itoa(i))
		if _, err := os.Stat(file + ".2"); err == nil {
			break
		}
	}
	if text, err := os.ReadFile(file + ".3"); err != nil || string(text) != "old 3" {
		t.Errorf("%q %v: only what is in the way may move", text, err)
	}
	if text, err := os.ReadFile(file + ".2"); err != nil || string(text) != "old 1" {
		t.Errorf("%q %v", text, err)
	}
}

func TestLogrotateUnderLoadLosesAndDoublesNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.jsonl")
	const writers, each = 4, 150
	var wg sync.WaitGroup
	turn := make(chan *jsonl.Sink, writers*each)
	for w := range writers {
		s := open(t, jsonl.Config{File: file})
		wg.Go(func() {
			for i := range each {
				if err := s.Write(t.Context(), batch(strconv.Itoa(w)+"-"+strconv.Itoa(i))); err != nil {
					t.Error(err)
				}
				if i%50 == 49 {
					turn <- s
				}
			}
		})
	}
	for n := range writers * each / 50 {
		s := <-turn
		if err := os.Rename(file, file+".moved"+strconv.Itoa(n)); err != nil && !os.IsNotExist(err) {
			t.Error(err)
		}
		if err := s.Reopen(); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	got := names(t, file+"*")
	for name, n := range got {
		if n != 1 {
			t.Errorf("%s stands %d times", name, n)
		}
	}
	if len(got) != writers*each {
		t.Errorf("%d of %d records", len(got), writers*each)
	}
}

func TestSyncedBatchIsThereAndAFailedSyncIsSaid(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.jsonl")
	s := open(t, jsonl.Config{File: file, Sync: true})
	write(t, s, "one")
	if got := names(t, file); got["one"] != 1 {
		t.Errorf("%v", got)
	}
	// A character device takes writes and cannot be synced (fdatasync(2), EINVAL).
	if err := open(t, jsonl.Config{File: os.DevNull, Sync: true}).Write(t.Context(), batch("x")); !errors.Is(err, unix.EINVAL) {
		t.Error(err)
	}
	if err := open(t, jsonl.Config{File: "/dev/full"}).Write(t.Context(), batch("x")); !errors.Is(err, unix.ENOSPC) {
		t.Error(err)
	}
}
