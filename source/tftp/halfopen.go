package tftp

import "net/netip"

// Bounds of transfers whose client has not answered yet: its address may be forged.
const (
	halfOpenPerSource = 1024 // per IPv4 address or IPv6 /64
	halfOpenInAll     = 8192
)

// halfOpen counts transfers without a first answer. Its memory is bounded by
// the bound in all.
type halfOpen struct {
	sources        map[netip.Addr]int
	all            int
	oldest, newest *transfer
}

// free reports whether a transfer of this client may begin.
func (h *halfOpen) free(client netip.Addr) bool {
	return h.sources[sourceOf(client)] < halfOpenPerSource
}

// take takes a token for t.
func (h *halfOpen) take(t *transfer) {
	h.sources[sourceOf(t.client.Addr())]++
	h.all++
	t.older, t.newer = h.newest, nil
	if h.newest != nil {
		h.newest.newer = t
	} else {
		h.oldest = t
	}
	h.newest = t
}

// give gives the token of t back.
func (h *halfOpen) give(t *transfer) {
	source := sourceOf(t.client.Addr())
	h.all--
	if h.sources[source]--; h.sources[source] <= 0 {
		delete(h.sources, source)
	}
	if t.older != nil {
		t.older.newer = t.newer
	} else {
		h.oldest = t.newer
	}
	if t.newer != nil {
		t.newer.older = t.older
	} else {
		h.newest = t.older
	}
	t.older, t.newer = nil, nil
}

// excess is the oldest half-open transfer when there are too many in all: it
// makes room, so that a flood of forged requests shuts out nobody who answers
// within the time in which the flood brings the bound in all.
func (h *halfOpen) excess() *transfer {
	if h.all <= halfOpenInAll {
		return nil
	}
	return h.oldest
}

// sourceOf is what one party controls: an IPv4 address, an IPv6 /64.
func sourceOf(client netip.Addr) netip.Addr {
	if client.Is4() || client.Is4In6() {
		return client.Unmap()
	}
	p, err := client.WithZone("").Prefix(64)
	if err != nil {
		return client
	}
	return p.Addr()
}
