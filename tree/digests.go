package tree

import (
	"container/list"
	"sync"
	"time"

	"tallyman"
)

// young is the age below which a file may change without its times telling: the clock of the file system may tick as rarely as every two
// seconds (vfat).
const young = 2 * time.Second

// Digests remembers the digests of contents, the most recently used ones. It is safe for many goroutines.
type Digests struct {
	mu    sync.Mutex
	max   int
	order *list.List // of *remembered, the latest used in front
	at    map[Identity]*list.Element
}

type remembered struct {
	id     Identity
	digest tallyman.Digest
}

// NewDigests returns an empty memory for at most max digests, about 200 bytes each. What is over is forgotten, least recently used first.
func NewDigests(max int) *Digests {
	return &Digests{max: max, order: list.New(), at: map[Identity]*list.Element{}}
}

// Get returns the digest of the content, if it is remembered.
func (d *Digests) Get(id Identity) (tallyman.Digest, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, ok := d.at[id]
	if !ok {
		return "", false
	}
	d.order.MoveToFront(e)
	return e.Value.(*remembered).digest, true
}

// Put remembers the digest of a content. opened is when the reading of it began: a file that had changed within two seconds before that is
// not remembered, because it may change again within one tick of its clock. The caller has seen File.Changed say no.
func (d *Digests) Put(id Identity, digest tallyman.Digest, opened time.Time) {
	if time.Unix(0, max(id.MTime, id.CTime)).Add(young).After(opened) || d.max <= 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if e, ok := d.at[id]; ok {
		e.Value.(*remembered).digest = digest
		d.order.MoveToFront(e)
		return
	}
	if d.order.Len() >= d.max {
		last := d.order.Back()
		delete(d.at, last.Value.(*remembered).id)
		d.order.Remove(last)
	}
	d.at[id] = d.order.PushFront(&remembered{id, digest})
}
