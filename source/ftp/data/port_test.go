package data

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestAPortOnWhichAConnectionLingersIsTakenAgain(t *testing.T) {
	local := netip.MustParseAddr("127.0.0.1")
	open := func(of Range) *Port {
		t.Helper()
		p, err := Listen(t.Context(), local, local, of, func(netip.AddrPort) {})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		return p
	}
	of := Anywhere()
	p := open(of)
	at := p.Number()
	if of.First != 0 && (at < of.First || at > of.Last) {
		t.Errorf("port %d is not of %v", at, of)
	}
	for range 3 {
		client, err := net.Dial("tcp4", netip.AddrPortFrom(local, at).String())
		if err != nil {
			t.Fatal(err)
		}
		c, err := p.Wait(t.Context(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil { // who closes first is left with what lingers
			t.Fatal(err)
		}
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
		p.Close()
		p = open(Range{at, at})
	}
	if p.Came() {
		t.Error("somebody came, whom nobody has sent")
	}
}
