// Package halfopen bounds the transfers whose client has not answered yet. Its
// address may be forged, and the first reply may hit a victim; what such a
// transfer costs us must not depend on how many are asked for.
//
//	request ── Free? ──> Take ──> first answer or end ──> Give
//	                     └─ Excess: the oldest one of an unknown source has to go
//
// A source (an IPv4 address, an IPv6 /64) has at most PerSource of them. In all
// there are Reads and Uploads; beyond that the oldest makes room. So a flood of
// forged requests shuts out nobody who has been served before, and of the others
// nobody who answers faster than the flood fills the bound. The room has no
// clock and sends nothing.
package halfopen

import "net/netip"

// The bounds: 8,192 in all. An upload costs more, so fewer are theirs.
const (
	PerSource = 1024
	Reads     = 7168
	Uploads   = 1024
)

// knownSources is how many sources that have answered are remembered, at least.
const knownSources = 4096

// Entry is the token of one transfer.
type Entry[T any] struct {
	Of     *T
	Client netip.Addr
	Upload bool

	queue        *queue[T] // nil: no token, or of a known source
	older, newer *Entry[T]
}

// Table counts tokens. Its memory is bounded by the bounds in all, and what
// belongs to known sources by the transfers that there may be.
type Table[T any] struct {
	sources        map[netip.Addr]int
	reads, uploads queue[T]                // of unknown sources
	known, before  map[netip.Addr]struct{} // sources that answered: of late, and before those
}

// queue holds entries in the order of their requests.
type queue[T any] struct {
	most, length   int
	oldest, newest *Entry[T]
}

// New makes an empty Table.
func New[T any]() *Table[T] {
	return &Table[T]{
		sources: map[netip.Addr]int{}, known: map[netip.Addr]struct{}{},
		reads: queue[T]{most: Reads}, uploads: queue[T]{most: Uploads},
	}
}

// Free reports whether a transfer of this client may begin.
func (h *Table[T]) Free(client netip.Addr) bool {
	return h.sources[sourceOf(client)] < PerSource
}

// Take takes a token.
func (h *Table[T]) Take(e *Entry[T]) {
	source := sourceOf(e.Client)
	h.sources[source]++
	if h.isKnown(source) {
		return
	}
	e.queue = &h.reads
	if e.Upload {
		e.queue = &h.uploads
	}
	e.queue.add(e)
}

// Give gives the token back, once. heard says that the client has answered.
func (h *Table[T]) Give(e *Entry[T], heard bool) {
	source := sourceOf(e.Client)
	if h.sources[source]--; h.sources[source] <= 0 {
		delete(h.sources, source)
	}
	if heard {
		h.remember(source)
	}
	if e.queue != nil {
		e.queue.remove(e)
		e.queue = nil
	}
}

// Excess is the transfer that has to go, nil while there is room. The caller
// ends it and gives its token back.
func (h *Table[T]) Excess() *T {
	for _, q := range [...]*queue[T]{&h.reads, &h.uploads} {
		if q.length > q.most {
			return q.oldest.Of
		}
	}
	return nil
}

func (h *Table[T]) isKnown(source netip.Addr) bool {
	if _, ok := h.known[source]; ok {
		return true
	}
	_, ok := h.before[source]
	return ok
}

// remember keeps the sources of late in two generations: when one is full the older one is forgotten.
func (h *Table[T]) remember(source netip.Addr) {
	if _, ok := h.known[source]; ok {
		return
	}
	if len(h.known) >= knownSources {
		h.known, h.before = map[netip.Addr]struct{}{}, h.known
	}
	h.known[source] = struct{}{}
}

func (q *queue[T]) add(e *Entry[T]) {
	q.length++
	e.older, e.newer = q.newest, nil
	if q.newest != nil {
		q.newest.newer = e
	} else {
		q.oldest = e
	}
	q.newest = e
}

func (q *queue[T]) remove(e *Entry[T]) {
	q.length--
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		q.oldest = e.newer
	}
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		q.newest = e.older
	}
	e.older, e.newer = nil, nil
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
