//go:build real

package real

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// trip is one transfer over a bad network, and what truly became of it.
type trip struct {
	op, name string
	content  []byte
	ok       bool // the client calls it whole
}

// verdicts compares each record with what truly happened. A verdict may say less than the truth, never another.
func verdicts(s *server, trips []trip) (failed int) {
	s.t.Helper()
	for _, tr := range trips {
		// A request that comes again after the server has given the first one up begins a transfer of its own: the first is on record without content.
		r := s.await(1, func(r *record) bool {
			return r.Op == tr.op && r.File == tr.name && r.closed() && (!tr.ok || r.Reason != "client-silent" || r.Content != "absent")
		})
		said := r[0].Verdict + " " + r[0].Reason
		b, err := os.ReadFile(filepath.Join(s.root, tr.name))
		stands := err == nil && bytes.Equal(b, tr.content)
		right := false
		switch {
		case said == "complete final-ack":
			right = tr.op == "get" && tr.ok && r[0].SHA256 == digest(tr.content)
		case said == "complete stored":
			right = tr.op == "put" && stands && r[0].SHA256 == digest(tr.content)
		case said == "unproven delivered-unconfirmed":
			right = tr.op == "get" // the last ACK was lost
		case r[0].Verdict == "failed", r[0].Verdict == "aborted":
			right = !tr.ok && (tr.op == "get" || !stands)
		}
		if len(r) != 1 || !right {
			s.t.Errorf("%s %s: %d records, the client says whole: %v, stored: %v, and the record says %s: %+v", tr.op, tr.name, len(r), tr.ok, stands, said, r[0])
		}
		if !tr.ok {
			failed++
		}
	}
	return failed
}

// mover moves a file by some client and reports whether the client calls the transfer whole.
type mover func(op, name string, content []byte) bool

// byCurl moves files by curl, byAtftp by atftp in windows, byDevice by a client in lockstep with a short timer. Each in a namespace, if one is named.
func byCurl(t testing.TB, to netip.AddrPort, netns string, arg ...string) mover {
	return func(op, name string, content []byte) bool {
		dir := t.TempDir()
		url := fmt.Sprintf("tftp://%s/%s", to, name)
		if op == "put" {
			_, code := clientIn(t, netns, dir, content, "curl", append(arg, "-sS", "-T", "-", url)...)
			return code == 0
		}
		_, code := clientIn(t, netns, dir, nil, "curl", append(arg, "-sS", "-o", "out", url)...)
		b, err := os.ReadFile(filepath.Join(dir, "out"))
		return code == 0 && err == nil && bytes.Equal(b, content)
	}
}

func byAtftp(t testing.TB, to netip.AddrPort, netns string, arg ...string) mover {
	return func(op, name string, content []byte) bool {
		dir := t.TempDir()
		way := "-g"
		if op == "put" {
			way = "-p"
			if err := os.WriteFile(filepath.Join(dir, "file"), content, 0o600); err != nil {
				t.Error(err)
			}
		}
		arg := append(arg, way, "-r", name, "-l", "file", to.Addr().String(), fmt.Sprint(to.Port()))
		_, code := clientIn(t, netns, dir, nil, "atftp", append([]string{"--tftp-timeout", "1"}, arg...)...)
		b, err := os.ReadFile(filepath.Join(dir, "file"))
		return code == 0 && err == nil && bytes.Equal(b, content)
	}
}

func byHpa(t testing.TB, to netip.AddrPort) mover {
	return func(op, name string, content []byte) bool {
		dir := t.TempDir()
		arg := []string{to.Addr().String(), fmt.Sprint(to.Port()), "-m", "binary", "-c", op, name}
		if op == "put" {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Error(err)
			}
		}
		out, code := client(t, dir, nil, "tftp", arg...)
		b, err := os.ReadFile(filepath.Join(dir, name))
		return code == 0 && out == "" && err == nil && bytes.Equal(b, content)
	}
}

func byDevice(d *device) mover {
	d.timer, d.tries, d.dally = 200*time.Millisecond, 40, 500*time.Millisecond
	return func(op, name string, content []byte) bool {
		if op == "put" {
			return d.put(name, content) == nil
		}
		b, err := d.get(name)
		return err == nil && bytes.Equal(b, content)
	}
}

// travel makes all trips at once, each by its mover.
func travel(s *server, trips []trip, by func(i int) mover) {
	s.t.Helper()
	var all sync.WaitGroup
	for i := range trips {
		if trips[i].op == "get" {
			s.file(trips[i].name, trips[i].content)
		}
		move := by(i)
		all.Go(func() { trips[i].ok = move(trips[i].op, trips[i].name, trips[i].content) })
	}
	all.Wait()
}

// plan is n trips, by turns a read and an upload.
func plan(n, size int) []trip {
	trips := make([]trip, n)
	for i := range trips {
		trips[i] = trip{op: []string{"get", "put"}[i/2%2], name: fmt.Sprintf("file-%d", i), content: noise(uint64(i), size+i)}
	}
	return trips
}

func TestTheFirstTwoRepliesMayBeLost(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	r := newRelay(t, s.addr, func(toClient bool, n int) fate {
		if toClient && n < 2 {
			return dropped
		}
		return passes
	})
	movers := []mover{
		byCurl(t, r.addr, "", "--max-time", "15"), byAtftp(t, r.addr, ""), byHpa(t, r.addr), byDevice(newDevice(t, r.addr, "")),
		byCurl(t, r.addr, "", "--max-time", "15"), byAtftp(t, r.addr, ""), byHpa(t, r.addr), byDevice(newDevice(t, r.addr, "")),
	}
	trips := plan(len(movers), 3000)
	for i := range trips {
		trips[i].op = []string{"get", "put"}[i/4]
	}
	travel(s, trips, func(i int) mover { return movers[i] })
	if n := verdicts(s, trips); n > 0 {
		t.Errorf("%d of %d transfers failed: %+v", n, len(trips), names(trips))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost != 2*len(trips) {
		t.Errorf("%d packets were dropped", r.lost)
	}
}

// names tells which trips did not end well.
func names(trips []trip) (bad []string) {
	for i, tr := range trips {
		if !tr.ok {
			bad = append(bad, fmt.Sprintf("%d: %s %s", i, tr.op, tr.name))
		}
	}
	return bad
}

func TestPacketsThatComeTwiceOrLateHarmNothing(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	dice := rand.New(rand.NewPCG(1, 2))
	r := newRelay(t, s.addr, func(_ bool, n int) fate {
		if n == 0 { // atftp 0.8 gives up when an OACK comes twice
			return passes
		}
		switch n := dice.IntN(100); {
		case n < 20:
			return doubled
		case n < 35:
			return delayed
		}
		return passes
	})
	trips := plan(16, 60_000)
	travel(s, trips, func(i int) mover {
		switch i % 4 {
		case 0:
			return byDevice(newDevice(t, r.addr, ""))
		case 1:
			return byAtftp(t, r.addr, "", "--option", "windowsize 8", "--option", "blksize 1024")
		case 2:
			return byDevice(newDevice(t, r.addr, ""))
		}
		// Without options: an OACK that comes twice makes curl 7.88 leave out a block of an upload.
		return byCurl(t, r.addr, "", "--max-time", "60", "--tftp-no-options")
	})
	if n := verdicts(s, trips); n > 0 {
		t.Errorf("%d of %d transfers failed: %+v", n, len(trips), names(trips))
	}
}

func TestEveryPacketTwiceDoesNotDoubleTheTransfer(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	r := newRelay(t, s.addr, func(bool, int) fate { return doubled })
	trips := plan(8, 100_000)
	travel(s, trips, func(i int) mover {
		if i%2 == 0 {
			return byDevice(newDevice(t, r.addr, ""))
		}
		return byCurl(t, r.addr, "", "--max-time", "60", "--tftp-no-options")
	})
	if n := verdicts(s, trips); n > 0 {
		t.Errorf("%d of %d transfers failed: %+v", n, len(trips), names(trips))
	}
	blocks := 100_000/512 + 1
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.flows {
		// Sorcerer's Apprentice (RFC 1123, section 4.2.3.1): each of the server's packets is counted once, before it is doubled.
		if f.count[1] > blocks+blocks/10 {
			t.Errorf("the server sent %d packets for %d blocks", f.count[1], blocks)
		}
	}
}
