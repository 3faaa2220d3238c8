package halfopen

import (
	"net/netip"
	"testing"
)

type transfer struct{ Entry[transfer] }

func of(client netip.Addr) *transfer {
	t := &transfer{}
	t.Of, t.Client = t, client
	return t
}

func number(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

func TestTransfersAreBoundedPerSource(t *testing.T) {
	h := New[transfer]()
	var all []*transfer
	take := func(client string) {
		x := of(netip.MustParseAddr(client))
		h.Take(&x.Entry)
		all = append(all, x)
	}
	free := func(client string) bool { return h.Free(netip.MustParseAddr(client)) }
	for range PerSource {
		take("192.0.2.1")
		take("2001:db8::1")
	}
	if free("192.0.2.1") || free("::ffff:192.0.2.1") || free("2001:db8::ffff") {
		t.Error("a source is above its bound")
	}
	if !free("192.0.2.2") || !free("2001:db8:0:1::1") {
		t.Error("another source is shut out")
	}
	for _, x := range all {
		h.Give(&x.Entry, false)
	}
	if h.reads.length+h.uploads.length+len(h.sources) != 0 || h.reads.oldest != nil || h.reads.newest != nil {
		t.Errorf("tokens are left: %+v", h)
	}
}

func TestOldestMakesRoom(t *testing.T) {
	h := New[transfer]()
	var all []*transfer
	for i := range Reads + 1 {
		if h.Excess() != nil {
			t.Fatalf("too many at %d", i)
		}
		all = append(all, of(number(i)))
		h.Take(&all[i].Entry)
	}
	if h.Excess() != all[0] {
		t.Error("not the oldest one has to go")
	}
	h.Give(&all[1].Entry, false)
	if h.Excess() != nil {
		t.Error("a token that was given back counts")
	}
	h.Take(&all[1].Entry)
	h.Give(&all[0].Entry, false)
	h.Take(&all[0].Entry)
	if h.Excess() != all[2] {
		t.Error("not the oldest one has to go")
	}
}

func TestUploadsHaveABoundOfTheirOwn(t *testing.T) {
	h := New[transfer]()
	var first *transfer
	for i := range Uploads + 1 {
		x := of(number(i))
		x.Upload = true
		if i == 0 {
			first = x
		}
		h.Take(&x.Entry)
	}
	if h.Excess() != first {
		t.Error("the oldest upload has not to go")
	}
}

func TestKnownSourceNeedNotMakeRoom(t *testing.T) {
	h := New[transfer]()
	answered, again := of(number(0)), of(number(0))
	h.Take(&answered.Entry)
	h.Give(&answered.Entry, true)
	h.Take(&again.Entry)
	for i := range Reads {
		h.Take(&of(number(i + 1)).Entry)
	}
	if h.Excess() != nil {
		t.Error("a known source counts among the unknown")
	}
	h.Take(&of(number(Reads + 1)).Entry)
	if old := h.Excess(); old == nil || old == again {
		t.Error("the known source has to go")
	}
}

func TestMemoryOfKnownSourcesIsBounded(t *testing.T) {
	h := New[transfer]()
	for i := range 3 * knownSources {
		x := of(number(i))
		h.Take(&x.Entry)
		h.Give(&x.Entry, true)
	}
	if n := len(h.known) + len(h.before); n > 2*knownSources || h.isKnown(number(0)) || !h.isKnown(number(2*knownSources)) {
		t.Errorf("%d sources are remembered", n)
	}
}
