// Package join makes transfers of evidence: it finds out which evidence speaks of the same movement of a file, and judges it.
//
//	Evidence --Add--> keys --> cluster (all evidence of one transfer) --Changed--> judge --> Transfer with verdict
//
// It promises that the same evidence gives the same records in whatever order it comes, however often, and across a restart: a
// transfer is judged from the set of its evidence alone, and two pieces of evidence belong together when they share a key, directly or through
// others. Only the UUID and the revision depend on the order. When evidence unites two records, the younger (by UUID) gets a last revision that
// names the older one.
//
// It is pure: time arrives inside the evidence, and the caller gives each record its UUID. It leaves storing and telling to others, and it forgets
// what has settled, so that its memory is bounded: see Config.
//
// A Join belongs to one goroutine.
package join

import (
	"slices"
	"time"

	"tallyman"
)

// Config bounds what a Join remembers.
type Config struct {
	Settle  time.Duration // how long, by when evidence was seen, a transfer that ended waits for late evidence
	Settled int           // how many ended transfers wait at the most; the oldest is forgotten first
	Steps   int           // how many requests are remembered for boot searches at the most; the oldest client is forgotten first
	Silence time.Duration // an active transfer of which nothing was heard for so long, across a gap of its witness, is unproven
	Draw    func(first *tallyman.Evidence) tallyman.UUID
}

// Defaults returns the configuration of a running server.
func Defaults() Config {
	return Config{
		Settle: 5 * time.Second, Settled: 8192, Steps: 32768, Silence: 2 * time.Minute,
		Draw: func(e *tallyman.Evidence) tallyman.UUID { return tallyman.DrawUUID(e.Seen, e.ID) },
	}
}

// Join holds the transfers that run or have just ended.
type Join struct {
	cfg      Config
	clusters map[key]*cluster
	clients  map[client]*search
	arrival  []client // the clients, in the order in which they came; some are forgotten already
	steps    int      // how many requests clients hold
	open     map[*cluster]struct{}
	ended    []*cluster // in the order in which they ended: the next to be forgotten first
	dirty    []*cluster
	alone    []tallyman.Record
	gaps     []tallyman.Evidence // of witnesses that sign transfers, newest last
	now      time.Time           // when the newest evidence was seen; a clock that is set back takes it back
	looked   time.Time
	swept    time.Time
}

// New returns an empty Join.
func New(cfg Config) *Join {
	return &Join{cfg: cfg, clusters: map[key]*cluster{}, clients: map[client]*search{}, open: map[*cluster]struct{}{}}
}

// Add takes one piece of evidence. What it changed is told by the next Changed.
func (j *Join) Add(e tallyman.Evidence) {
	j.now = seen(&e)
	if e.Kind == tallyman.KindGap {
		j.addGap(e)
		return
	}
	if e.Kind.Alone() {
		j.alone = append(j.alone, event(&e, j.cfg.Draw(&e)))
		return
	}
	keys := keysOf(&e)
	var c *cluster
	for _, k := range keys {
		switch found := j.clusters[k]; {
		case found == nil || found == c:
		case c == nil:
			c = found
		default:
			c = j.unite(c, found)
		}
	}
	if c == nil {
		c = &cluster{id: j.cfg.Draw(&e)}
	}
	for _, k := range keys {
		if j.clusters[k] != c {
			j.clusters[k] = c
			c.keys = append(c.keys, k)
		}
	}
	if !c.add(e) {
		return
	}
	c.heard, c.lost = j.now, false
	j.touch(c)
	if c.closed() {
		j.end(c)
	} else if !c.ended {
		j.open[c] = struct{}{}
	}
	j.searchAdd(c)
}

// Restore puts back a transfer, with its evidence, that a former run left unfinished. It is not told as changed.
func (j *Join) Restore(t *tallyman.Transfer) {
	c := &cluster{id: t.ID, rev: t.Rev}
	for _, e := range t.Evidence {
		c.add(e)
		for _, k := range keysOf(&e) {
			if j.clusters[k] != c {
				j.clusters[k] = c
				c.keys = append(c.keys, k)
			}
		}
		if at := seen(&e); at.After(c.heard) {
			c.heard = at
		}
	}
	if c.heard.After(j.now) {
		j.now = c.heard
	}
	if c.closed() {
		j.end(c)
	} else {
		j.open[c] = struct{}{}
	}
	j.searchAdd(c)
	c.dirty = false
}

// Changed returns the records that changed since it was last called, in the order in which they first changed. The caller owns them.
func (j *Join) Changed() []tallyman.Record {
	out := j.alone
	j.alone = nil
	for _, c := range j.dirty {
		if !c.dirty {
			continue
		}
		c.dirty = false
		c.rev++
		t := c.judge()
		t.ID, t.Rev = c.id, c.rev
		out = append(out, t)
	}
	j.dirty = j.dirty[:0]
	j.forget()
	return out
}

// Advance tells the Join how late it is, by the clock that evidence is seen by, when no more evidence waits: what fell silent across a gap is judged
// unproven until it is heard of again, and forgotten when it is not.
func (j *Join) Advance(now time.Time) {
	j.now = now
	if !apart(now, j.looked, time.Second) {
		return
	}
	j.looked = now
	for c := range j.open {
		switch {
		case c.lost && apart(now, c.missed, gapsKept*j.cfg.Silence):
			delete(j.open, c)
			j.release(c)
			c.ended = true
		case !c.lost && now.Sub(c.heard) >= j.cfg.Silence && j.blindAfter(c):
			c.lost, c.missed = true, now
			j.touch(c)
		}
	}
	j.gaps = slices.DeleteFunc(j.gaps, func(g tallyman.Evidence) bool { return apart(now, seen(&g), gapsKept*j.cfg.Silence) })
	j.forget()
}

// gapsKept is how long a gap may make silence suspicious, in units of Config.Silence.
const gapsKept = 4

// seen is when evidence came to us. Its own time is its witness's clock, which may be wrong by years.
func seen(e *tallyman.Evidence) time.Time {
	if e.Seen.IsZero() {
		return e.Time
	}
	return e.Seen
}

// apart reports whether two times are further apart than d, whichever is first: a clock that is set changes their order.
func apart(a, b time.Time, d time.Duration) bool {
	by := a.Sub(b)
	return by > d || by < -d
}

// Open returns the number of transfers that run, and of those that wait for late evidence.
func (j *Join) Open() (running, settling int) { return len(j.open), len(j.ended) }

func (j *Join) touch(c *cluster) {
	if !c.dirty {
		c.dirty = true
		j.dirty = append(j.dirty, c)
	}
}

func (j *Join) end(c *cluster) {
	if c.ended {
		return
	}
	c.ended = true
	delete(j.open, c)
	j.ended = append(j.ended, c)
}

// unite moves all of the younger cluster into the older one and tells a last revision of the younger.
func (j *Join) unite(a, b *cluster) *cluster {
	if b.id.Compare(a.id) < 0 {
		a, b = b, a
	}
	for _, e := range b.evidence {
		a.add(e)
	}
	if b.heard.After(a.heard) {
		a.heard = b.heard
	}
	a.keys = append(a.keys, b.keys...)
	for _, k := range b.keys {
		j.clusters[k] = a
	}
	b.keys = nil
	delete(j.open, b)
	j.searchDrop(b)
	if b.rev > 0 {
		last := b.judge()
		last.ID, last.Rev, last.Merged = b.id, b.rev+1, a.id
		j.alone = append(j.alone, last)
	}
	b.dirty, b.ended, b.merged = false, true, true
	return a
}

// forget drops what has settled. A transfer that others still need (a boot search that is not decided) waits with its client.
func (j *Join) forget() {
	n := 0
	for n < len(j.ended) {
		c := j.ended[n]
		if !c.merged && !apart(j.now, c.heard, j.cfg.Settle) && len(j.ended)-n <= j.cfg.Settled {
			break
		}
		j.release(c)
		j.ended[n] = nil
		n++
	}
	j.ended = slices.Delete(j.ended, 0, n)
	j.searchForget()
}

// release makes evidence that comes later begin another record.
func (j *Join) release(c *cluster) {
	for _, k := range c.keys {
		if j.clusters[k] == c {
			delete(j.clusters, k)
		}
	}
}

func (j *Join) addGap(e tallyman.Evidence) {
	j.gaps = append(j.gaps, e)
	j.alone = append(j.alone, &tallyman.Gap{
		ID: j.cfg.Draw(&e), Host: e.Host, Witness: e.Witness, From: e.Began, To: e.Time, Lost: e.Moved, Why: e.Err,
	})
}

// blindAfter reports whether a witness of the cluster could not see at some time after the cluster was last heard of.
func (j *Join) blindAfter(c *cluster) bool {
	for i := range j.gaps {
		g := &j.gaps[i]
		if seen(g).Before(c.heard) {
			continue
		}
		for k := range c.evidence {
			if e := &c.evidence[k]; e.Host == g.Host && e.Witness == g.Witness {
				return true
			}
		}
	}
	return false
}

func event(e *tallyman.Evidence, id tallyman.UUID) *tallyman.Event {
	return &tallyman.Event{
		ID: id, At: e.Time, Host: e.Host, Witness: e.Witness, Kind: e.Kind.String(), Client: e.Peer, Server: e.Self,
		User: e.User, Proc: e.Proc, Path: e.Path, Login: e.Session, Text: e.Err,
	}
}

// Running returns the transfers of which no witness has yet said how they ended, as they are judged now.
func (j *Join) Running() []*tallyman.Transfer {
	var out []*tallyman.Transfer
	for c := range j.open {
		t := c.judge()
		t.ID, t.Rev = c.id, c.rev
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *tallyman.Transfer) int { return a.ID.Compare(b.ID) })
	return out
}
