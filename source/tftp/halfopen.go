package tftp

import (
	"net/netip"

	"tallyman"
)

// Bounds of transfers whose client has not answered yet: its address may be
// forged. An upload costs more, so fewer of the 8,192 in all are theirs.
const (
	halfOpenPerSource = 1024 // per IPv4 address or IPv6 /64
	halfOpenReads     = 7168
	halfOpenUploads   = 1024
)

// knownSources is how many sources that have answered before are remembered, at least.
const knownSources = 4096

// halfOpen counts transfers without a first answer. Its memory is bounded: by
// the bound in all, and what of it belongs to known sources by the transfers there may be.
type halfOpen struct {
	sources        map[netip.Addr]int
	reads, uploads queue                   // of unknown sources
	known, before  map[netip.Addr]struct{} // sources that answered: of late, and before those
}

// queue holds half-open transfers in the order of their requests.
type queue struct {
	most, length   int
	oldest, newest *transfer
}

func newHalfOpen() *halfOpen {
	return &halfOpen{
		sources: map[netip.Addr]int{}, known: map[netip.Addr]struct{}{},
		reads: queue{most: halfOpenReads}, uploads: queue{most: halfOpenUploads},
	}
}

// free reports whether a transfer of this client may begin.
func (h *halfOpen) free(client netip.Addr) bool {
	return h.sources[sourceOf(client)] < halfOpenPerSource
}

// take takes a token for t.
func (h *halfOpen) take(t *transfer) {
	source := sourceOf(t.client.Addr())
	h.sources[source]++
	if h.isKnown(source) {
		return
	}
	t.queue = &h.reads
	if t.op == tallyman.OpPut {
		t.queue = &h.uploads
	}
	t.queue.add(t)
}

// give gives the token of t back. heard says that the client has answered.
func (h *halfOpen) give(t *transfer, heard bool) {
	source := sourceOf(t.client.Addr())
	if h.sources[source]--; h.sources[source] <= 0 {
		delete(h.sources, source)
	}
	if heard {
		h.remember(source)
	}
	if t.queue != nil {
		t.queue.remove(t)
		t.queue = nil
	}
}

// excess is the oldest half-open transfer of an unknown source when there are
// too many of those. It makes room, so that a flood of forged requests shuts
// nobody out who has been served before, and of the others nobody who answers
// faster than the flood fills the bound.
func (h *halfOpen) excess() *transfer {
	for _, q := range [...]*queue{&h.reads, &h.uploads} {
		if q.length > q.most {
			return q.oldest
		}
	}
	return nil
}

func (q *queue) add(t *transfer) {
	q.length++
	t.older, t.newer = q.newest, nil
	if q.newest != nil {
		q.newest.newer = t
	} else {
		q.oldest = t
	}
	q.newest = t
}

func (q *queue) remove(t *transfer) {
	q.length--
	if t.older != nil {
		t.older.newer = t.newer
	} else {
		q.oldest = t.newer
	}
	if t.newer != nil {
		t.newer.older = t.older
	} else {
		q.newest = t.older
	}
	t.older, t.newer = nil, nil
}

func (h *halfOpen) isKnown(source netip.Addr) bool {
	if _, ok := h.known[source]; ok {
		return true
	}
	_, ok := h.before[source]
	return ok
}

// remember keeps the sources of late in two generations: when one is full the older one is forgotten.
func (h *halfOpen) remember(source netip.Addr) {
	if _, ok := h.known[source]; ok {
		return
	}
	if len(h.known) >= knownSources {
		h.known, h.before = map[netip.Addr]struct{}{}, h.known
	}
	h.known[source] = struct{}{}
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
