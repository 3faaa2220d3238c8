//go:build ui

package web

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tallyman"
	"tallyman/web/live"
)

// TestPageInChromium plays test/page.mjs against this server: a browser opens the set-up link and looks at what a person would see.
// The build tag keeps it out where there is no Node, no browser or no built page: make test has all three.
func TestPageInChromium(t *testing.T) {
	now := time.Now().UTC()
	ledger, feed := newMemory(), live.NewFeed()
	for _, tr := range history(now) {
		give(t, ledger, tr)
	}
	real, lanes := watched(t, now)
	for _, tr := range real {
		give(t, ledger, tr)
	}
	for _, r := range beside(now.Add(-time.Minute)) {
		give(t, ledger, r)
	}
	s := startServer(t, t.Context(), Parts{Ledger: ledger, Feed: feed, Lanes: func(_ context.Context, tr *tallyman.Transfer) []tallyman.Lane {
		return slices.Clip(lanes[tr.ID])
	}, System: func() System {
		return System{
			Witnesses: []Witness{
				{Name: "server", State: Live, Since: now}, {Name: "files", State: Live}, {Name: "log", State: Blind, Text: "journal gap"}, {Name: "wire", State: Off},
			},
			Listeners: []Listener{{Proto: "tftp", Addr: "127.0.0.1:6969", State: Live, Root: "/srv/tftp"}},
			Spool:     Store{State: Live}, Ledger: Store{State: Live},
		}
	}})
	line := newLine(t, s.Addr().String())
	control := httptest.NewServer(puppet(t, line, ledger, feed))
	defer control.Close()
	link := strings.Replace(s.Link(), s.Addr().String(), line.Addr().String(), 1)

	play(t, "test/page.mjs", link, control.URL)
}

// TestPasswordInChromium plays test/login.mjs: on an address that others can reach the set-up link asks for a password, under TLS.
func TestPasswordInChromium(t *testing.T) {
	s := newServer(t, Config{Listen: "0.0.0.0:0"}, Parts{})
	run(t, t.Context(), s)
	play(t, "test/login.mjs", s.Link())
}

// TestPlainPageInChromium plays test/plain.mjs: without JavaScript, and under a name that browsers do not trust, so that they say less about where
// a form comes from.
func TestPlainPageInChromium(t *testing.T) {
	ledger := newMemory()
	real, lanes := watched(t, time.Now().UTC())
	for _, tr := range append(history(time.Now().UTC()), real...) {
		give(t, ledger, tr)
	}
	s := newServer(t, Config{Listen: "0.0.0.0:0", TLS: "off", Hosts: []string{"tally.test"}}, Parts{
		Ledger: ledger, Lanes: func(_ context.Context, tr *tallyman.Transfer) []tallyman.Lane { return lanes[tr.ID] },
	})
	run(t, t.Context(), s)
	play(t, "test/plain.mjs", strings.Replace(s.URL(), "127.0.0.1", "tally.test", 1), linkOf(t, s))
}

// play runs a script of web/ui; what it prints goes to the log of the test.
func play(t *testing.T, script string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	node := exec.CommandContext(ctx, "node", append([]string{script}, args...)...)
	node.Dir = "ui"
	out, err := node.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("%s: %v", script, err)
	}
}

// puppet lets the script say what happens.
func puppet(t *testing.T, line *line, ledger *memory, feed *live.Feed) http.Handler {
	dice := rand.New(rand.NewPCG(7, 7))
	n := len(ledger.transfers)
	m := http.NewServeMux()
	m.HandleFunc("/give", func(w http.ResponseWriter, r *http.Request) {
		n++
		tr := example(n, time.Now().UTC(), dice)
		judged(tr, tallyman.Complete, tallyman.FinalAck)
		tr.Name = r.FormValue("name")
		var v tallyman.Verdict
		switch _ = v.UnmarshalText([]byte(r.FormValue("verdict"))); v {
		case tallyman.Active:
			judged(tr, v, "")
		case tallyman.Failed:
			judged(tr, v, tallyman.ClientSilent)
		default: // it is complete already
		}
		give(t, ledger, tr)
		give(t, feed, tr)
		fmt.Fprint(w, tr.ID)
	})
	m.HandleFunc("/end", func(_ http.ResponseWriter, r *http.Request) {
		id, err := tallyman.ParseUUID(r.FormValue("id"))
		if err != nil {
			t.Error(err)
			return
		}
		old, err := ledger.Transfer(r.Context(), id)
		if err != nil {
			t.Error(err)
			return
		}
		ended := *old
		ended.Rev++
		ended.End = ended.Start.Add(time.Second)
		judged(&ended, tallyman.Complete, tallyman.FinalAck)
		give(t, ledger, &ended)
		give(t, feed, &ended)
	})
	m.HandleFunc("/flood", func(_ http.ResponseWriter, r *http.Request) {
		many, _ := strconv.Atoi(r.FormValue("n"))
		per, _ := strconv.Atoi(r.FormValue("per"))
		tick := time.NewTicker(time.Second / time.Duration(per))
		defer tick.Stop()
		for i := range many {
			n++
			tr := example(n, time.Now().UTC(), dice)
			tr.Name = fmt.Sprintf("flood-%d", i)
			give(t, ledger, tr)
			give(t, feed, tr)
			<-tick.C
		}
	})
	m.HandleFunc("/cut", func(http.ResponseWriter, *http.Request) { line.cut(true) })
	m.HandleFunc("/mend", func(http.ResponseWriter, *http.Request) { line.cut(false) })
	return m
}

// line is a TCP connection between browser and server that can be cut.
type line struct {
	net.Listener
	mu     sync.Mutex
	broken bool
	open   []net.Conn
}

func newLine(t *testing.T, to string) *line {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &line{Listener: l}
	t.Cleanup(func() { n.Close(); n.cut(true) })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil || !n.keep(in, out) {
				in.Close()
				continue
			}
			go func() { io.Copy(out, in); out.Close() }()
			go func() { io.Copy(in, out); in.Close() }()
		}
	}()
	return n
}

func (n *line) keep(conns ...net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open = append(n.open, conns...)
	return !n.broken
}

func (n *line) cut(broken bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.broken = broken
	if broken {
		for _, c := range n.open {
			c.Close()
		}
		n.open = nil
	}
}

// history is a day of a lab: mostly good, some not.
func history(now time.Time) []*tallyman.Transfer {
	dice := rand.New(rand.NewPCG(1, 2))
	var all []*tallyman.Transfer
	for h := range 24 {
		for i := range 5 + (h*h)%37 {
			all = append(all, example(len(all), now.Add(-time.Duration(24-h)*time.Hour+time.Duration(i)*time.Minute), dice))
		}
	}
	for i, reason := range []tallyman.Reason{tallyman.ClientSilent, tallyman.NotReadable, tallyman.SizeProbe, tallyman.DeliveredUnconfirmed, tallyman.AnnouncedSize} {
		tr := example(len(all), now.Add(-time.Duration(9-i)*time.Minute), dice)
		judged(tr, reason.Verdict(), reason)
		if reason == tallyman.AnnouncedSize {
			tr.Judgement.Against = []string{"files"}
		}
		all = append(all, tr)
	}
	hostile := example(len(all), now.Add(-time.Minute), dice)
	hostile.Name = "<img src=x onerror=alert(1)>\u202egpj.exe"
	return append(all, hostile)
}

// example draws a transfer that might have happened.
func example(n int, start time.Time, dice *rand.Rand) *tallyman.Transfer {
	tr := made(n)
	names := []string{"running-config", "pxelinux.cfg/01-52-54-00-12-34-56", "c2960-lanbasek9-mz.150-2.SE11.bin", "vmlinuz-6.1.0-18-amd64", "initrd.img", "router-confg", "grub/grubnetx64.efi.signed"}
	ends := []tallyman.Judgement{
		{Verdict: tallyman.Failed, Reason: tallyman.ClientSilent},
		{Verdict: tallyman.Refused, Reason: tallyman.NotFound},
		{Verdict: tallyman.Aborted, Reason: tallyman.ClientError},
		{Verdict: tallyman.Unproven, Reason: tallyman.DeliveredUnconfirmed},
		{Verdict: tallyman.Probe, Reason: tallyman.SizeProbe},
		{Verdict: tallyman.Contradicted, Reason: tallyman.AnnouncedSize, Against: []string{"files"}},
		{Verdict: tallyman.Refused, Reason: tallyman.NotReadable},
	}
	start = tallyman.Clean(start)
	took := time.Duration(dice.ExpFloat64() * float64(2*time.Second)).Truncate(time.Microsecond)
	tr.ID = tallyman.DrawUUID(start, tallyman.ID{Seq: uint64(n + 1)})
	tr.Start, tr.End, tr.Seen = start, start.Add(took), start.Add(took)
	tr.Name = names[dice.IntN(len(names))]
	tr.Path = "/srv/tftp/" + tr.Name
	tr.Bytes = int64(dice.ExpFloat64() * 3e6)
	tr.Expected = tr.Bytes
	tr.Client = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 20, byte(dice.IntN(4)), byte(dice.IntN(250) + 1)}), uint16(1024+dice.IntN(60000)))
	if dice.IntN(3) == 0 {
		tr.Op = tallyman.OpPut
		tr.Judgement.Reason = tallyman.Stored
	}
	if dice.IntN(5) == 0 {
		tr.Judgement = ends[dice.IntN(len(ends))]
		tr.Judgement.For = []string{"server"}
	}
	v := tr.Judgement.Verdict
	if v != tallyman.Complete {
		tr.Digest, tr.Content = "", tallyman.Partial
		tr.Bytes /= 2
	}
	if v == tallyman.Refused || v == tallyman.Probe {
		tr.Bytes, tr.Expected, tr.Content = 0, -1, tallyman.Absent
	}
	tr.Details = `{"options":{"blksize":1428,"tsize":` + fmt.Sprint(max(0, tr.Expected)) + `,"windowsize":16},"retransmits":` + fmt.Sprint(dice.IntN(4)) + `,"mode":"octet"}`
	say := func(at time.Duration, witness string, kind tallyman.Kind, set func(*tallyman.Evidence)) {
		e := tallyman.Unknown()
		e.Time, e.Witness, e.Kind, e.Op, e.Name, e.Path, e.Host = start.Add(at), witness, kind, tr.Op, tr.Name, tr.Path, tr.Host
		set(&e)
		tr.Evidence = append(tr.Evidence, e)
	}
	tr.Evidence = nil
	say(0, "server", tallyman.KindRequest, func(e *tallyman.Evidence) {
		e.Raw = "RRQ " + strings.ToValidUTF8(tr.Name, "?") + " octet blksize=1428 tsize=0 windowsize=16"
	})
	if v == tallyman.Refused {
		say(took, "server", tallyman.KindRefusal, func(e *tallyman.Evidence) { e.Reason = tr.Judgement.Reason; e.Raw = "ERROR 1 file not found" })
		return tr
	}
	say(took/9, "server", tallyman.KindOpened, func(e *tallyman.Evidence) { e.Size = tr.Expected })
	say(took/8, "files", tallyman.KindOpened, func(e *tallyman.Evidence) { e.Size = tr.Expected; e.Witness = "files" })
	say(took, "server", tallyman.KindClosed, func(e *tallyman.Evidence) { e.Reason, e.Moved, e.Digest = tr.Judgement.Reason, tr.Bytes, tr.Digest })
	say(took+2*time.Millisecond, "files", tallyman.KindClosed, func(e *tallyman.Evidence) { e.Moved = tr.Bytes })
	return tr
}
