package load

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func spec(kind Kind, to netip.AddrPort, size int64, block, window int) Spec {
	return Spec{
		Kind: kind, Server: to, Names: []string{"f"}, Size: size, Block: block, Window: window,
		Clients: 1, Transfers: 1, Timeout: time.Minute,
	}
}

// TestMain makes the test program the process of the clients too.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "clients" {
		if err := Child(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func inChild(s Spec, gate Gate) (Result, error) {
	cmd := exec.Command(os.Args[0], "clients")
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0") // else a process with the race detector ends a second late
	return In(cmd, s, gate)
}

func mustRun(t *testing.T, s Spec) Result {
	t.Helper()
	r, err := inChild(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReadTakesEveryByteOnce(t *testing.T) {
	f := func(size int64, block, window int) {
		t.Helper()
		s := start(t)
		s.files["f"] = NewPattern().Fill(size)
		read := spec(Read, s.run(), size, block, window)
		read.ReceiveBuffer = 4 << 20
		r := mustRun(t, read)
		if r.Transfers != 1 || r.Bytes != size || r.Gaps+r.Timeouts+r.LostRequests+r.Failed != 0 {
			t.Errorf("got %+v", r)
		}
	}
	f(0, 512, 1)
	f(1000, 512, 1)
	f(1024, 512, 1)
	f(100_000, 1428, 1)
	f(100_000, 1428, 64)
	f(64*1428, 1428, 64)
	f(3_000_000, 8192, 16)
	f(70_000*8+3, 8, 64) // past the 16-bit block number
}

func TestWriteSendsEveryByteOnce(t *testing.T) {
	f := func(size int64, block, window int) {
		t.Helper()
		s := start(t)
		r := mustRun(t, spec(Write, s.run(), size, block, window))
		<-s.ended
		if r.Transfers != 1 || r.Bytes != size || r.Gaps+r.Timeouts+r.LostRequests+r.Failed != 0 {
			t.Errorf("got %+v", r)
		}
		if !bytes.Equal(s.files["f-0"], NewPattern().Fill(size)) {
			t.Errorf("server holds %d bytes that are not the pattern's first %d", len(s.files["f-0"]), size)
		}
	}
	f(0, 512, 1)
	f(1024, 512, 1)
	f(100_000, 1428, 1)
	f(100_000, 1428, 16)
	f(70_000*8+3, 8, 16)
}

func TestOptionsThatTheServerLeavesOutFallBack(t *testing.T) {
	f := func(kind Kind) {
		t.Helper()
		s := start(t)
		s.options = false
		s.files["f"] = NewPattern().Fill(5000)
		if r := mustRun(t, spec(kind, s.run(), 5000, 1428, 8)); r.Transfers != 1 || r.Gaps != 0 {
			t.Errorf("%s: got %+v", kind, r)
		}
	}
	f(Read)
	f(Write)
	f(Many)
}

func TestSmallerGrantIsObeyed(t *testing.T) {
	f := func(kind Kind) {
		t.Helper()
		s := start(t)
		s.block, s.window = 1000, 3
		s.files["f"] = NewPattern().Fill(50_000)
		if r := mustRun(t, spec(kind, s.run(), 50_000, 1428, 8)); r.Transfers != 1 || r.Gaps != 0 {
			t.Errorf("%s: got %+v", kind, r)
		}
	}
	f(Read)
	f(Write)
}

// once drops the first packet with this opcode and block number.
func once(op byte, block uint16) func([]byte) bool {
	var gone atomic.Bool
	return func(p []byte) bool {
		hit := p[1] == op && (op < opData || p[2] == byte(block>>8) && p[3] == byte(block))
		return hit && gone.CompareAndSwap(false, true)
	}
}

func TestLossIsRepairedAndCounted(t *testing.T) {
	const fast = 50 * time.Millisecond
	f := func(kind Kind, window int, timer string, set func(*server), count func(Result) int) {
		t.Helper()
		s := start(t)
		s.files["f"] = NewPattern().Fill(20_000)
		set(s)
		spec := spec(kind, s.run(), 20_000, 1000, window)
		if timer == "client" {
			spec.Timeout = fast
		}
		r := mustRun(t, spec)
		if r.Transfers != 1 || count(r) == 0 {
			t.Errorf("got %+v", r)
		}
		if <-s.ended; kind == Write && !bytes.Equal(s.files["f-0"], NewPattern().Fill(20_000)) {
			t.Error("stored content is wrong")
		}
	}
	gaps := func(r Result) int { return r.Gaps }
	lost := func(r Result) int { return r.LostRequests }
	late := func(r Result) int { return r.Timeouts }
	f(Read, 8, "none", func(s *server) { s.drop = once(opData, 3) }, gaps)
	f(Read, 8, "client", func(s *server) { s.drop = once(opData, 8) }, late)
	f(Read, 8, "server", func(s *server) { s.lose, s.patience = once(opAck, 8), fast }, gaps)
	f(Read, 1, "server", func(s *server) { s.lose, s.patience = once(opAck, 4), fast }, gaps)
	f(Read, 1, "client", func(s *server) { s.drop = once(opData, 4) }, late)
	f(Read, 1, "client", func(s *server) { s.lose = once(opRead, 0) }, lost)
	f(Many, 1, "client", func(s *server) { s.lose = once(opRead, 0) }, lost)
	f(Many, 1, "client", func(s *server) { s.drop = once(opData, 4) }, late)
	f(Many, 1, "server", func(s *server) { s.lose, s.patience = once(opAck, 4), fast }, gaps)
	f(Write, 8, "none", func(s *server) { s.lose = once(opData, 3) }, gaps)
	f(Write, 8, "client", func(s *server) { s.lose = once(opData, 8) }, late)
	f(Write, 1, "client", func(s *server) { s.drop = once(opAck, 4) }, late)
	f(Write, 1, "client", func(s *server) { s.lose = once(opWrite, 0) }, lost)
}

func TestGapAsksForTheWindowOnce(t *testing.T) {
	s := start(t) // two windows fit the default socket buffer
	s.files["f"] = NewPattern().Fill(32_000)
	s.drop = once(opData, 3)
	mustRun(t, spec(Read, s.run(), 32_000, 500, 64))
	<-s.ended
	if s.sent[60] > 2 {
		t.Errorf("block 60 went out %d times for one lost block", s.sent[60])
	}
}

func TestWrongContentIsAFailure(t *testing.T) {
	f := func(kind Kind, content []byte, want string) {
		t.Helper()
		s := start(t)
		s.files["f"] = content
		r := mustRun(t, spec(kind, s.run(), 5000, 512, 1))
		if r.Failed != 1 || r.Transfers != 0 || !strings.Contains(r.Error, want) {
			t.Errorf("got %+v, want a failure with %q", r, want)
		}
	}
	good := NewPattern().Fill(6000)
	turned := bytes.Clone(good[:5000])
	turned[4000] ^= 1
	f(Read, turned, "wrong content")
	f(Many, turned, "wrong content")
	f(Read, good[:4000], "ended after 4000 of 5000")
	f(Many, good, "ended after 6000 of 5000")
	f(Read, append(bytes.Clone(good[:512]), good...), "wrong content")
}

func TestErrorOfTheServerIsAFailure(t *testing.T) {
	s := start(t)
	r := mustRun(t, spec(Read, s.run(), 5000, 512, 1))
	if r.Failed != 1 || !strings.Contains(r.Error, `ERROR 1 "no such file"`) {
		t.Errorf("got %+v", r)
	}
}

func TestManyClientsFinishTheirTransfers(t *testing.T) {
	s := start(t)
	s.files["f"] = NewPattern().Fill(1024)
	many := spec(Many, s.run(), 1024, 512, 1)
	many.Clients, many.Transfers = 20, 10
	r := mustRun(t, many)
	if r.Transfers != 200 || r.Failed != 0 || r.Bytes != 200*1024 {
		t.Errorf("got %+v", r)
	}
	if r.P50 <= 0 || r.P50 > r.P99 || r.P99 > r.Max {
		t.Errorf("percentiles %v %v %v", r.P50, r.P99, r.Max)
	}
}

func TestSlowReadersHoldTheirTransfersOpen(t *testing.T) {
	s := start(t)
	s.files["f"] = NewPattern().Fill(100_000)
	slow := spec(Slow, s.run(), 100_000, 512, 1)
	slow.Clients, slow.Pace = 10, 50*time.Millisecond
	var states []string
	r, err := inChild(slow, func(state string) {
		states = append(states, state)
		if state == "holding" {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.sent[1] != 10 {
				t.Errorf("block 1 went out %d times before all 10 were held", s.sent[1])
			}
		}
	})
	if err != nil || r.Transfers != 0 || strings.Join(states, " ") != "ready holding" {
		t.Errorf("got %+v, %v, states %v", r, err, states)
	}
	for range 10 {
		<-s.ended // the ERROR of each reader reached the server
	}
}

func TestTouchMakesTheFileNewBeforeEachRead(t *testing.T) {
	s := start(t)
	s.files["f"] = NewPattern().Fill(10)
	one := spec(Read, s.run(), 10, 512, 1)
	one.Touch = touchable(t)
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(one.Touch, old, old); err != nil {
		t.Fatal(err)
	}
	mustRun(t, one)
	if info, err := os.Stat(one.Touch); err != nil || !info.ModTime().After(old) {
		t.Errorf("%v, %v", info, err)
	}
}

func TestSilentServerEndsTheRunAtItsLimit(t *testing.T) {
	f := func(kind Kind) {
		t.Helper()
		s := start(t)
		s.lose = func([]byte) bool { return true }
		dead := spec(kind, s.run(), 10, 512, 1)
		dead.Timeout, dead.Limit = 20*time.Millisecond, 100*time.Millisecond
		if r := mustRun(t, dead); r.Failed != 1 || r.LostRequests == 0 || r.Elapsed > 5*time.Second {
			t.Errorf("%s: got %+v", kind, r)
		}
	}
	f(Read)
	f(Write)
	f(Many)
}

func TestSpecThatCannotRunIsRefused(t *testing.T) {
	f := func(change func(*Spec), want string) {
		t.Helper()
		s := spec(Many, netip.MustParseAddrPort("127.0.0.1:69"), 10, 512, 1)
		change(&s)
		if _, err := inChild(s, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	f(func(s *Spec) { s.Kind = "delete" }, `kind "delete"`)
	f(func(s *Spec) { s.Server = netip.MustParseAddrPort("[::1]:69") }, "IPv4")
	f(func(s *Spec) { s.Names = nil }, "names")
	f(func(s *Spec) { s.Block = 7 }, "block 7")
	f(func(s *Spec) { s.Window = 65535 }, "window 65535")
	f(func(s *Spec) { s.Transfers = 0 }, "bound the run")
	f(func(s *Spec) { s.Clients = 0 }, "clients 0")
	f(func(s *Spec) { s.Timeout = 0 }, "timeout")
}
