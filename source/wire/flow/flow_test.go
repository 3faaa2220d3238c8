package flow

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/wire/frame"
)

var start = time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC)

type rig struct {
	table *Table
	got   []string
}

func newRig(change ...func(*Config)) *rig {
	r := &rig{}
	cfg := Defaults()
	for _, c := range change {
		c(&cfg)
	}
	r.table = New(cfg, func(e tallyman.Evidence) { r.got = append(r.got, fmt.Sprintf("%s %s>%s", e.Err, e.Peer, e.Self)) })
	return r
}

func (r *rig) packet(kind frame.Kind, from, to string, flags uint8, place uint32, at time.Duration) bool {
	return r.table.Packet(&frame.Packet{Time: start.Add(at), Kind: kind, Src: netip.MustParseAddrPort(from), Dst: netip.MustParseAddrPort(to), Flags: flags, Place: place})
}

const a, b = "10.0.0.7:1000", "10.0.0.1:80"

func (r *rig) want(t *testing.T, want ...string) {
	t.Helper()
	if fmt.Sprint(r.got) != fmt.Sprint(want) {
		t.Errorf("%q, want %q", r.got, want)
	}
}

func TestEachSessionIsToldOnce(t *testing.T) {
	r := newRig()
	for range 2 {
		r.packet(frame.TCP, a, b, frame.SYN, 1, 0)
		r.packet(frame.TCP, b, a, frame.SYN|frame.ACK, 1, 0)
		r.packet(frame.TCP, a, b, frame.ACK, 1, 0)
		r.packet(frame.UDP, a, b, 0, 1, 0)
		r.packet(frame.UDP, b, a, 0, 1, 0)
		r.packet(frame.UDP, "10.0.0.7:5", "10.0.0.1:53", 0, 1, 0)
		r.packet(frame.UDP, "10.0.0.1:53", "10.0.0.7:6", 0, 1, 0)
	}
	r.want(t, "tcp "+a+">"+b, "tcp-answered "+a+">"+b, "udp "+a+">"+b)
}

func TestPacketIsTakenFromOneInterfaceAlone(t *testing.T) {
	r := newRig()
	for i := range 10 {
		at := time.Duration(i) * time.Second
		if !r.packet(frame.UDP, a, b, 0, 1, at) || r.packet(frame.UDP, a, b, 0, 2, at) {
			t.Fatalf("packet %d", i)
		}
		if !r.packet(frame.UDP, b, a, 0, 2, at) || r.packet(frame.UDP, b, a, 0, 1, at) {
			t.Fatalf("answer %d", i)
		}
	}
	if r.table.Counts.Copies != 20 {
		t.Errorf("%d copies", r.table.Counts.Copies)
	}
	// When the interface is gone another one speaks.
	if !r.packet(frame.UDP, a, b, 0, 2, 20*time.Second) || r.packet(frame.UDP, a, b, 0, 1, 20*time.Second) {
		t.Error("nobody speaks for the flow, or both")
	}
}

func TestFlowsAreBounded(t *testing.T) {
	for name, f := range map[string]struct{ a, b, many string }{
		"IPv4": {a, b, "10.1.%d.%d:9"}, "IPv6": {"[fd00::7]:1000", "[fd00::1]:80", "[fd01::%x:%x]:9"},
	} {
		r := newRig(func(c *Config) { c.Flows = 100 })
		for i := range 10000 {
			r.packet(frame.UDP, f.a, fmt.Sprintf(f.many, i>>8, i&255), 0, 1, 0)
			r.packet(frame.UDP, f.a, f.b, 0, 1, 0) // one that goes on is not forgotten
		}
		if n := len(r.table.four.places) * ways; n > 200 || n < 100 {
			t.Errorf("%d flows are remembered", n)
		}
		if len(r.got) != 10001 {
			t.Errorf("%s: %d starts, want 10001", name, len(r.got))
		}
	}
}

func TestRecentFlowsAreNotForgotten(t *testing.T) {
	r := newRig(func(c *Config) { c.Flows = 1 << 16 })
	const quarter = 1 << 14
	for range 2 {
		for i := range quarter {
			r.packet(frame.TCP, fmt.Sprintf("10.0.0.7:%d", 1024+i), b, frame.SYN, 1, 0)
		}
	}
	if again := len(r.got) - quarter; again < 0 || again > quarter/200 {
		t.Errorf("%d of %d sessions are told twice", again, quarter)
	}
}
