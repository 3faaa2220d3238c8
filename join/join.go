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
	Settle  time.Duration // how long, by evidence time, a transfer that ended waits for late evidence
	Settled int           // how many ended transfers wait at the most; the oldest is forgotten first
	Silence time.Duration // an active transfer of which nothing was heard for so long, across a gap of its witness, is unproven
	Draw    func(first *tallyman.Evidence) tallyman.UUID
}

// Defaults returns the configuration of a running server.
func Defaults() Config {
	return Config{
		Settle: 5 * time.Second, Settled: 8192, Silence: 2 * time.Minute,
		Draw: func(e *tallyman.Evidence) tallyman.UUID { return tallyman.DrawUUID(e.Seen, e.ID) },
	}
}

// Join holds the transfers that run or have just ended.
type Join struct {
	cfg      Config
	clusters map[key]*cluster
	clients  map[client]*search
	open     map[*cluster]struct{}
	ended    []*cluster // in the order in which they ended: the next to be forgotten first
	dirty    []*cluster
	alone    []tallyman.Record
	gaps     []tallyman.Evidence // of witnesses that sign transfers, newest last
	newest   time.Time
	swept    time.Time
}

// New returns an empty Join.
func New(cfg Config) *Join {
	return &Join{cfg: cfg, clusters: map[key]*cluster{}, clients: map[client]*search{}, open: map[*cluster]struct{}{}}
}

// Add takes one piece of evidence. What it changed is told by the next Changed.
func (j *Join) Add(e tallyman.Evidence) {
	if e.Time.After(j.newest) {
		j.newest = e.Time
	}
	switch e.Kind {
	case tallyman.KindGap:
		j.addGap(e)
		return
	case tallyman.KindOrder:
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
		if e.Time.After(j.newest) {
			j.newest = e.Time
		}
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

// Advance tells the Join how late it is, so that it can judge what fell silent across a gap. It may be called at any time.
func (j *Join) Advance(now time.Time) {
	if now.After(j.newest) {
		j.newest = now
	}
	for c := range j.open {
		last := c.last()
		if now.Sub(last) < j.cfg.Silence || !j.blindAfter(c, last) {
			continue
		}
		c.lost = true
		j.touch(c)
		j.end(c)
	}
	j.gaps = slices.DeleteFunc(j.gaps, func(g tallyman.Evidence) bool { return now.Sub(g.Time) > 4*j.cfg.Silence })
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
	a.lost = a.lost || b.lost
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
		if !c.merged && j.newest.Sub(c.last()) <= j.cfg.Settle && len(j.ended)-n <= j.cfg.Settled {
			break
		}
		for _, k := range c.keys {
			if j.clusters[k] == c {
				delete(j.clusters, k)
			}
		}
		j.ended[n] = nil
		n++
	}
	j.ended = slices.Delete(j.ended, 0, n)
	j.searchForget()
}

func (j *Join) addGap(e tallyman.Evidence) {
	j.gaps = append(j.gaps, e)
	j.alone = append(j.alone, &tallyman.Gap{
		ID: j.cfg.Draw(&e), Host: e.Host, Witness: e.Witness, From: e.Began, To: e.Time, Lost: e.Moved, Why: e.Err,
	})
}

// blindAfter reports whether a witness of the cluster could not see at some time after it was last heard.
func (j *Join) blindAfter(c *cluster, last time.Time) bool {
	for i := range j.gaps {
		g := &j.gaps[i]
		if !g.Time.Before(last) && g.Host == c.evidence[0].Host {
			return true
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
