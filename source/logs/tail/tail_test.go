package tail_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tallyman/source/logs/tail"
)

// rig is a log file, who writes to it and who reads.
type rig struct {
	t    *testing.T
	path string
	out  *os.File
	f    *tail.Follower
	got  []string
	gaps []string
	kept []tail.Position
	at   time.Time
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, path: filepath.Join(t.TempDir(), "daemon.log"), at: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)}
	r.create()
	r.f = tail.New(r.path, nil, true)
	t.Cleanup(func() { r.f.Close(); _ = r.out.Close() })
	return r
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) create() {
	r.t.Helper()
	if r.out != nil {
		_ = r.out.Close()
	}
	var err error
	r.out, err = os.OpenFile(r.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	r.must(err)
}

func (r *rig) write(text string) {
	r.t.Helper()
	_, err := r.out.WriteString(text)
	r.must(err)
}

// rename rotates as logrotate does without copytruncate.
func (r *rig) rename(keep int) {
	r.t.Helper()
	for i := keep; i > 1; i-- {
		_ = os.Rename(fmt.Sprintf("%s.%d", r.path, i-1), fmt.Sprintf("%s.%d", r.path, i))
	}
	r.must(os.Rename(r.path, r.path+".1"))
}

// copyTruncate rotates as logrotate does with copytruncate. Nobody writes meanwhile: what is written between both is lost to logrotate itself.
func (r *rig) copyTruncate(keep int) {
	r.t.Helper()
	for i := keep; i > 1; i-- {
		_ = os.Rename(fmt.Sprintf("%s.%d", r.path, i-1), fmt.Sprintf("%s.%d", r.path, i))
	}
	_ = os.Remove(r.path + ".1")
	b, err := os.ReadFile(r.path)
	r.must(err)
	r.must(os.WriteFile(r.path+".1", b, 0o600))
	r.must(os.Truncate(r.path, 0))
}

func (r *rig) take(b tail.Batch) error {
	r.got = append(r.got, b.Lines...)
	r.gaps = append(r.gaps, b.Gaps...)
	r.kept = b.After
	return nil
}

func (r *rig) poll() bool {
	r.t.Helper()
	some, err := r.f.Poll(r.at, r.take)
	r.must(err)
	return some
}

func (r *rig) restart() {
	r.f.Close()
	r.f = tail.New(r.path, r.kept, true)
}

func (r *rig) want(lines ...string) {
	r.t.Helper()
	if got, want := strings.Join(r.got, "|"), strings.Join(lines, "|"); got != want || len(r.gaps) > 0 {
		r.t.Errorf("got %q, gaps %q, want %q", got, r.gaps, want)
	}
	r.got, r.gaps = nil, nil
}

func TestLineIsDeliveredOnceItIsWhole(t *testing.T) {
	r := newRig(t)
	r.write("a\nb")
	r.poll()
	r.want("a")
	r.poll()
	r.want()
	r.write("c\n\nd\n")
	r.poll()
	r.want("bc", "", "d")
}

func TestFirstStartBeginsAtTheEnd(t *testing.T) {
	r := newRig(t)
	r.write("old\nhalf")
	r.f = tail.New(r.path, nil, false)
	r.poll()
	r.write(" new\nmore\n")
	r.poll()
	r.want("half new", "more")
	_ = os.Remove(r.path)
	r.f = tail.New(r.path, nil, false)
	r.poll()
	r.create()
	r.write("first\n") // of a file that came after the start
	r.poll()
	r.want("first")
}

func TestOldFileIsReadToItsEnd(t *testing.T) {
	r := newRig(t)
	r.write("a\n")
	r.poll()
	r.write("b\n")
	r.rename(3)
	r.write("c\n") // the program still has the old file
	r.poll()
	r.create()
	r.write("d\n")
	r.poll()
	r.want("a", "b", "c", "d")
}

func TestLastLineWithoutNewlineIsDeliveredWhenTheOldFileIsLetGo(t *testing.T) {
	r := newRig(t)
	r.write("a\nhalf")
	r.poll()
	r.rename(3)
	r.create()
	r.write("b\n")
	r.poll()
	r.want("a", "b")
	r.at = r.at.Add(2 * time.Minute)
	r.poll()
	r.want("half")
	r.poll()
	r.want()
}

func TestTwoRotationsBetweenLooksLoseNothing(t *testing.T) {
	r := newRig(t)
	r.write("a\n")
	r.poll()
	for _, line := range []string{"b\n", "c\n", "d\n"} {
		r.rename(9)
		r.create()
		r.write(line)
	}
	r.poll()
	r.want("a", "b", "c", "d")
	r.poll()
	r.want()
}

func TestCopyAndTruncateLosesNothing(t *testing.T) {
	r := newRig(t)
	r.write("first line\n")
	r.poll()
	r.write("unread\n")
	r.copyTruncate(9)
	r.poll()
	r.write("second file\n")
	r.poll()
	r.want("first line", "unread", "second file")
	r.write("again\n")
	r.copyTruncate(9)
	r.write("third file, and longer than what was there before\n") // it has grown beyond the old place before we look
	r.poll()
	r.want("again", "third file, and longer than what was there before")
}

func TestTruncationWithoutACopyIsAGap(t *testing.T) {
	r := newRig(t)
	r.write("a\n")
	r.poll()
	r.write("b\n")
	r.must(os.Truncate(r.path, 0))
	r.write("c\n")
	r.poll()
	if len(r.gaps) != 1 || !strings.Contains(r.gaps[0], "was truncated") || strings.Join(r.got, "|") != "a|c" {
		t.Errorf("got %q, gaps %q", r.got, r.gaps)
	}
}

func TestRestartGoesOnWhereItWas(t *testing.T) {
	r := newRig(t)
	r.write("a\nha")
	r.poll()
	r.restart()
	r.write("lf\n")
	r.poll()
	r.want("a", "half")

	r.write("b\n")
	r.poll()
	r.write("c\n")
	r.rename(9)
	r.create()
	r.write("d\n")
	r.rename(9)
	r.create()
	r.write("e\n")
	r.restart()
	r.poll()
	r.want("b", "c", "d", "e")

	r.write("f\n")
	r.copyTruncate(9)
	r.write("g\n")
	r.restart()
	r.poll()
	r.want("f", "g")
	r.write("h\n")
	r.copyTruncate(9)
	r.write("i\n")
	r.copyTruncate(9)
	r.write("j\n")
	r.restart()
	r.poll()
	r.want("h", "i", "j")
	r.restart()
	r.poll()
	r.want()
}

func TestFileThatIsGoneAfterARestartIsAGap(t *testing.T) {
	r := newRig(t)
	r.write("a\n")
	r.poll()
	r.must(os.Remove(r.path))
	r.create()
	r.write("b\n")
	r.restart()
	r.poll()
	if len(r.gaps) != 1 || strings.Join(r.got, "|") != "a|b" {
		t.Errorf("got %q, gaps %q", r.got, r.gaps)
	}
}

func TestOtherLogOfSimilarNameIsNotRead(t *testing.T) {
	r := newRig(t)
	r.write("a\n")
	r.poll()
	r.must(os.WriteFile(r.path+".error", []byte("other\n"), 0o600))
	r.must(os.WriteFile(r.path+".2.gz", []byte("other\n"), 0o600))
	r.rename(9)
	r.create()
	r.write("b\n")
	r.poll()
	r.want("a", "b")
}

func TestRefusedBatchComesAgain(t *testing.T) {
	r := newRig(t)
	r.write("a\nb\n")
	full := errors.New("full")
	if _, err := r.f.Poll(r.at, func(tail.Batch) error { return full }); !errors.Is(err, full) {
		t.Fatal(err)
	}
	r.poll()
	r.want("a", "b")
}

func TestLongLineIsCutAndTheNextOneIsWhole(t *testing.T) {
	r := newRig(t)
	long := strings.Repeat("x", 5*tail.LongestLine)
	r.write("a\n" + long)
	r.poll()
	r.write(long + "\nb\n")
	r.poll()
	r.want("a", long[:tail.LongestLine], "b")
}

func TestRunWakesWithTheWrite(t *testing.T) {
	r := newRig(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	lines := make(chan string, 10)
	done := make(chan error, 1)
	go func() {
		done <- tail.Run(ctx, r.f, time.Now, func(b tail.Batch) error {
			for _, l := range b.Lines {
				lines <- l
			}
			return nil
		})
	}()
	for i := range 5 {
		r.write(fmt.Sprintf("%d\n", i))
		if got := <-lines; got != fmt.Sprint(i) {
			t.Fatalf("got %q", got)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// race lets a writer rotate while we read, and restarts the reader now and then.
func race(t *testing.T, lines, perFile int, rotate func(r *rig, ahead func() int)) {
	t.Helper()
	r := newRig(t)
	done := make(chan struct{})
	var delivered atomic.Int64
	go func() {
		defer close(done)
		for i := range lines {
			// Two writes a line, so that half a line is often all there is.
			r.write(fmt.Sprintf("line %07d", i))
			r.write(" of the race\n")
			if i%perFile == perFile-1 {
				rotate(r, func() int { return i - int(delivered.Load()) })
			}
		}
	}()
	for n, ended := 1, false; ; n++ {
		select {
		case <-done:
			ended = true
		default:
		}
		some := r.poll()
		delivered.Store(int64(len(r.got)))
		if ended && !some {
			break
		}
		if n%50 == 0 {
			r.restart()
		}
	}
	if len(r.gaps) > 0 {
		t.Errorf("gaps: %q", r.gaps)
	}
	seen := make([]int, lines)
	for _, l := range r.got {
		var i int
		if _, err := fmt.Sscanf(l, "line %d of the race", &i); err != nil || i >= lines || !strings.HasSuffix(l, " of the race") {
			t.Fatalf("a line that nobody wrote: %q", l)
		}
		seen[i]++
	}
	for i, n := range seen {
		if n != 1 {
			t.Fatalf("line %d came %d times; %d lines in all of %d", i, n, len(r.got), lines)
		}
	}
}

func TestNothingIsLostOrReadTwiceWhileAWriterRenames(t *testing.T) {
	race(t, 40000, 997, func(r *rig, _ func() int) {
		r.rename(100)
		r.create()
	})
}

func TestNothingIsLostOrReadTwiceWhileAWriterCopiesAndTruncates(t *testing.T) {
	// Two truncations are further apart than two looks: what an empty file held before, only its copy can tell.
	race(t, 40000, 997, func(r *rig, ahead func() int) {
		for ahead() > 500 {
			runtime.Gosched()
		}
		r.copyTruncate(100)
	})
}

func BenchmarkFollow(b *testing.B) {
	path := filepath.Join(b.TempDir(), "x.log")
	line := []byte("Fri Nov 20 17:42:01 2026 [pid 26625] [u] OK UPLOAD: Client \"192.0.2.1\", \"/up.bin\", 6291456 bytes, 4185.70Kbyte/sec\n")
	if err := os.WriteFile(path, bytes.Repeat(line, 100_000), 0o600); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		f := tail.New(path, nil, true)
		if _, err := f.Poll(time.Now(), func(batch tail.Batch) error { n += len(batch.Lines); return nil }); err != nil && !errors.Is(err, io.EOF) {
			b.Fatal(err)
		}
		f.Close()
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "lines/s")
}
