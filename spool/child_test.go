package spool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tallyman"
)

// TestMain lets the test program be its own victim: with SPOOL_VICTIM set it works on that folder until it has done SPOOL_OPS file
// operations, and then dies as by kill -9.
func TestMain(m *testing.M) {
	if dir := os.Getenv("SPOOL_VICTIM"); dir != "" {
		n, err := strconv.Atoi(os.Getenv("SPOOL_OPS"))
		if err == nil {
			var ops atomic.Int64
			err = work(dir, os.Getenv("SPOOL_RUN"), os.Stdout, func(_, _ string) error {
				if ops.Add(1) == int64(n) {
					self, _ := os.FindProcess(os.Getpid())
					_ = self.Kill()
					select {}
				}
				return nil
			})
			fmt.Println("ops", ops.Load())
		}
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// work uses every operation of a spool, and says on w what was promised to it: "acked EPOCH SEQ PAYLOAD" after a sync,
// "read EPOCH SEQ PAYLOAD" for what a reader got, "done EPOCH SEQ" before it says that it needs no more.
func work(dir, run string, w *os.File, step tallyman.Step) error {
	for round := range 2 {
		if err := oneRound(dir, fmt.Sprint(run, "-", round), round == 1, w, step); err != nil {
			return err
		}
	}
	return nil
}

func oneRound(dir, name string, turn bool, w *os.File, step tallyman.Step) error {
	cfg := small(dir)
	cfg.Step, cfg.SyncEvery = step, time.Hour
	s, err := Open(cfg)
	if err != nil {
		return err
	}
	defer s.Close()
	r, err := s.Reader("join")
	if err != nil {
		return err
	}
	defer r.Close()
	for i := range 8 {
		if err := oneTurn(s, r, w, fmt.Sprint(name, "-", i)); err != nil {
			return err
		}
		if turn && i == 3 {
			if err := s.NewEpoch("part of the work"); err != nil {
				return err
			}
		}
	}
	return s.Close()
}

// oneTurn appends three entries, syncs them, reads them and commits them.
func oneTurn(s *Spool, r *Reader, w *os.File, name string) error {
	var said strings.Builder
	var newest tallyman.ID
	for i := range 3 {
		p := fmt.Sprintf("%s-%d-%s", name, i, strings.Repeat("z", 400))
		id, err := s.Append([]byte(p))
		if err != nil {
			return err
		}
		newest = id
		fmt.Fprintf(&said, "acked %d %d %s\n", id.Epoch, id.Seq, p)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Sync(ctx, newest); err != nil {
		return err
	}
	if _, err := w.WriteString(said.String()); err != nil {
		return err
	}
	for {
		es, err := r.Next(ctx, 100)
		if err != nil {
			return err
		}
		said.Reset()
		last := es[len(es)-1].ID
		for _, e := range es {
			if e.Lost == 0 {
				fmt.Fprintf(&said, "read %d %d %s\n", e.ID.Epoch, e.ID.Seq, e.Payload)
			}
		}
		fmt.Fprintf(&said, "done %d %d\n", last.Epoch, last.Seq)
		if _, err := w.WriteString(said.String()); err != nil {
			return err
		}
		if err := r.Commit(last); err != nil {
			return err
		}
		if last == newest {
			return nil
		}
	}
}

// ledger is what the outside world knows of a spool: it must never be contradicted.
type ledger struct {
	acked map[place]string
	known map[place]string // acked or read
	done  place
	ops   int
}

func newLedger() *ledger {
	return &ledger{acked: map[place]string{}, known: map[place]string{}}
}

// hear takes what a victim said before it died.
func (l *ledger) hear(t *testing.T, out string) {
	t.Helper()
	lines := bufio.NewScanner(strings.NewReader(out))
	for lines.Scan() {
		var verb, payload string
		var p place
		if _, err := fmt.Sscanf(lines.Text(), "ops %d", &l.ops); err == nil {
			continue
		}
		n, _ := fmt.Sscan(lines.Text(), &verb, &p.epoch, &p.seq, &payload)
		switch {
		case n == 3 && verb == "done":
			l.done = p
		case n == 4 && (verb == "acked" || verb == "read"):
			if old, ok := l.known[p]; ok && old != payload {
				t.Fatalf("place %v was given twice: %q and %q", p, old, payload)
			}
			l.known[p] = payload
			if verb == "acked" {
				l.acked[p] = payload
			}
		default:
			t.Fatalf("the victim said %q", lines.Text())
		}
	}
}

// check opens the spool and fails unless all that was acknowledged, and not consumed, is there once and in order.
func (l *ledger) check(t *testing.T, what, dir string) {
	t.Helper()
	start := time.Now()
	s, err := Open(small(dir))
	if err != nil {
		t.Fatal(what, err)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("%s: opening took %v", what, took)
	}
	r := mustReader(t, s, "join")
	defer r.Close()
	got := map[place]bool{}
	var before place
	for _, e := range entries(t, s, r) {
		p := place{e.ID.Epoch, e.ID.Seq}
		if !before.before(p) {
			t.Fatalf("%s: place %v after %v", what, p, before)
		}
		before = p
		for q, n := p, e.Lost; n > 0; q, n = (place{q.epoch, q.seq - 1}), n-1 {
			if _, acked := l.acked[q]; acked {
				t.Fatalf("%s: the acknowledged entry %v is in a hole; done is %v", what, q, l.done)
			}
		}
		if e.Lost == 0 {
			if old, ok := l.known[p]; ok && old != string(e.Payload) {
				t.Fatalf("%s: place %v was %q, is %q", what, p, old, e.Payload)
			}
			got[p] = true
		}
	}
	for p := range l.acked {
		if l.done.before(p) && !got[p] {
			t.Fatalf("%s: the acknowledged entry %v is gone; done is %v", what, p, l.done)
		}
	}
	if err := s.Close(); err != nil && !errors.Is(err, ErrClosed) {
		t.Fatal(what, err)
	}
}
