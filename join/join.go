// Package join makes transfers of evidence: it finds out which evidence speaks of the same movement of a file, and judges it.
//
//	Evidence --Add--> keys --> cluster (what one witness saw of a transfer) --rematch--> clusters that belong together --Changed--> judge --> Transfer with verdict
//
// It promises that the same evidence gives the same records in whatever order it comes, however often, and across a restart: a
// transfer is judged from the set of its evidence alone. Two pieces of evidence belong together when they share a key, directly or through
// others; clusters of witnesses who share none are compared by process, client, name and moment, anew whenever one more is known. Only the UUID
// and the revision depend on the order. When evidence unites two records, the younger (by UUID) gets a last revision that names the older one.
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
	Linger  time.Duration // how long a line of a log that tells no end waits for the end of what it speaks of
	Flush   time.Duration // how much later than another witness a log may come; less than Settle
	Silence time.Duration // an active transfer of which nothing was heard for so long, across a gap of its witness, is unproven
	Draw    func(first *tallyman.Evidence) tallyman.UUID
}

// Defaults returns the configuration of a running server.
func Defaults() Config {
	return Config{
		Settle: 5 * time.Second, Linger: 75 * time.Second, Flush: 3 * time.Second, Settled: 8192, Steps: 32768, Silence: 2 * time.Minute,
		Draw: func(e *tallyman.Evidence) tallyman.UUID { return tallyman.DrawUUID(e.Seen, e.ID) },
	}
}

// Join holds the transfers that run or have just ended.
type Join struct {
	cfg      Config
	clusters map[key]*cluster
	deeds    map[deed]*cluster
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
	hushed   time.Time
	lanes    map[lane][]*cluster // those that may belong together
	stale    map[lane]struct{}   // lanes on which something changed
	wired    bool                // packets were seen
	dark     bool                // packets that name nothing were seen
	names    int                 // renames and deletes, of which there are no records yet
	handles  map[handle]*cluster // uploads under a temporary name
	renames  map[handle]tallyman.Evidence
}

// New returns an empty Join.
func New(cfg Config) *Join {
	return &Join{
		cfg: cfg, clusters: map[key]*cluster{}, deeds: map[deed]*cluster{}, clients: map[client]*search{}, open: map[*cluster]struct{}{},
		lanes: map[lane][]*cluster{}, stale: map[lane]struct{}{}, handles: map[handle]*cluster{}, renames: map[handle]tallyman.Evidence{},
	}
}

// Add takes one piece of evidence. What it changed is told by the next Changed.
func (j *Join) Add(e tallyman.Evidence) {
	j.now = seen(&e)
	if e.Kind == tallyman.KindGap {
		j.addGap(e)
		return
	}
	if e.Kind == tallyman.KindRenamed || e.Kind == tallyman.KindDeleted {
		j.rename(&e)
		return
	}
	if e.Kind.Alone() {
		j.alone = append(j.alone, event(&e, j.cfg.Draw(&e)))
		return
	}
	if isLocal(&e) {
		j.local(&e)
		return
	}
	c, isNew := j.place(e)
	if !isNew {
		return
	}
	c.heard, c.lost = j.now, false
	j.touch(c)
	j.settle(c)
	j.searchAdd(c)
}

// place puts the evidence into its cluster and reports whether it says anything new.
func (j *Join) place(e tallyman.Evidence) (c *cluster, isNew bool) {
	if h := (handle{e.Host, e.File}); e.Kind == tallyman.KindRenamed && j.handles[h] != nil { // of a former run
		c = j.handles[h]
		isNew = c.add(e)
		j.file(c)
		return c, isNew
	}
	k, both, d, one := keysOf(&e)
	if both {
		c = j.clusters[k]
	}
	if one {
		switch found := j.deeds[d]; {
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
	if both && j.clusters[k] != c {
		j.clusters[k] = c
		c.keys = append(c.keys, k)
	}
	if one && j.deeds[d] != c {
		j.deeds[d] = c
		c.deeds = append(c.deeds, d)
	}
	if !c.add(e) {
		return c, false
	}
	if e.Witness != "server" || j.wired || c.lanes != nil {
		j.file(c)
	}
	j.hold(c, &e)
	return c, true
}

// settle files the cluster as running or ended.
func (j *Join) settle(c *cluster) {
	if c.closed() {
		j.end(c)
	} else if !c.ended {
		j.open[c] = struct{}{}
	}
}

// Changed returns the records that changed since it was last called, in the order in which they first changed. The caller owns them.
func (j *Join) Changed() []tallyman.Record {
	j.rematch()
	j.hush()
	out := j.alone
	j.alone = nil
	for _, c := range j.dirty {
		if c.dirty && !c.merged {
			out = j.tell(c.root(), out)
		}
		c.dirty = false
	}
	j.dirty = j.dirty[:0]
	j.forget()
	return out
}

// tell makes the records of the cluster: its own one, under the oldest id that the stores know of those who bear it out, and a last revision under
// each other one.
func (j *Join) tell(root *cluster, out []tallyman.Record) []tallyman.Record {
	if root.down == nil {
		root.dirty, root.told = false, true
		root.rev++
		t := root.judge()
		t.ID, t.Rev = root.id, root.rev
		return append(out, t)
	}
	members := root.members()
	bearer := root
	for _, c := range members {
		c.dirty = false
		if c.told != bearer.told && c.told || c.told == bearer.told && c.id.Compare(bearer.id) < 0 {
			bearer = c
		}
	}
	t := root.transfer()
	bearer.rev++
	bearer.told = true
	t.ID, t.Rev = bearer.id, bearer.rev
	out = append(out, t)
	for _, c := range members {
		if c != bearer && c.told {
			c.rev++
			c.told = false
			last := c.judge()
			last.ID, last.Rev, last.Merged = c.id, c.rev, bearer.id
			out = append(out, last)
		}
	}
	return out
}

// transfer judges the cluster with all that bear it out.
func (c *cluster) transfer() *tallyman.Transfer {
	if len(c.down) == 0 {
		return c.judge()
	}
	whole := cluster{search: c.search, lost: c.lost, crowd: c.crowd, mute: slices.ContainsFunc(c.members(), func(m *cluster) bool { return m.mute })}
	whole.evidence, whole.doubtful = c.all()
	return whole.judge()
}

// Advance tells the Join how late it is, by the clock that evidence is seen by, when no more evidence waits: what fell silent across a gap is judged
// unproven until it is heard of again, and forgotten when it is not.
func (j *Join) Advance(now time.Time) {
	j.now = now
	if !apart(now, j.looked, time.Second) {
		return
	}
	j.looked = now
	j.rematch() // what is forgotten below may have found its like in this batch
	j.hush()
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

// Names returns how much was told of files that were renamed or deleted. That is no movement of a content; there are no records of it yet.
func (j *Join) Names() int { return j.names }

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
	if b.told != a.told && b.told || b.told == a.told && b.id.Compare(a.id) < 0 {
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
	a.deeds = append(a.deeds, b.deeds...)
	for _, d := range b.deeds {
		j.deeds[d] = a
	}
	b.keys, b.deeds = nil, nil
	j.inherit(a, b)
	delete(j.open, b)
	j.searchDrop(b)
	j.unfile(b)
	j.bearOut(b, nil, false)
	for _, d := range slices.Clone(b.down) {
		j.bearOut(d, nil, false)
		j.file(d)
	}
	if b.told {
		b.told = false
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
	var wait []*cluster
	for n < len(j.ended) {
		c := j.ended[n]
		over := len(j.ended)-n > j.cfg.Settled
		if !c.merged && !c.released && !over {
			if !apart(j.now, c.heard, j.patience(c)) {
				break
			}
			if j.needed(c) {
				wait = append(wait, c)
				j.ended[n] = nil
				n++
				continue
			}
		}
		for _, m := range c.root().members() {
			j.release(m)
		}
		j.ended[n] = nil
		n++
	}
	j.ended = append(slices.Delete(j.ended, 0, n), wait...)
	j.searchForget()
}

// patience is how long the cluster waits for more. Where a log tells no end, the packets may: those of a request that nobody answered come last of all,
// long after its file was closed again.
func (j *Join) patience(c *cluster) time.Duration {
	if root := c.root(); root.face.role == logRole && root.face.until.IsZero() {
		return j.cfg.Linger
	}
	return j.cfg.Settle
}

// needed reports whether one of those with whom the cluster shares a record has not settled.
func (j *Join) needed(c *cluster) bool {
	if c.up == nil && c.down == nil {
		return false
	}
	for _, m := range c.root().members() {
		if !m.ended || !apart(j.now, m.heard, j.patience(m)) {
			return true
		}
	}
	return false
}

// release makes evidence that comes later begin another record.
func (j *Join) release(c *cluster) {
	for _, k := range c.keys {
		if j.clusters[k] == c {
			delete(j.clusters, k)
		}
	}
	for _, d := range c.deeds {
		if j.deeds[d] == c {
			delete(j.deeds, d)
		}
	}
	for _, l := range c.lanes {
		j.leave(c, l)
		if l.base != "" { // those of its crowd that stay are no less one of it
			for _, o := range j.lanes[l] {
				o.past = max(o.past, o.crowd.of)
			}
		}
	}
	if j.handles[c.handle] == c {
		delete(j.handles, c.handle)
	}
	delete(j.open, c)
	c.keys, c.deeds, c.lanes, c.released, c.ended = nil, nil, nil, true, true
}

// mostGaps bounds the gaps that are remembered. When there are more, a gap widens the newest one of the same witness, which can only make more doubtful; where
// there is none, the oldest is forgotten.
const mostGaps = 256

func (j *Join) addGap(e tallyman.Evidence) {
	j.keepGap(e)
	j.alone = append(j.alone, &tallyman.Gap{
		ID: j.cfg.Draw(&e), Host: e.Host, Witness: e.Witness, From: e.Began, To: e.Time, Lost: e.Moved, Why: e.Err,
	})
}

func (j *Join) keepGap(e tallyman.Evidence) {
	if len(j.gaps) < mostGaps {
		j.gaps = append(j.gaps, e)
		return
	}
	at := len(j.gaps) - 1
	for at > 0 && (j.gaps[at].Host != e.Host || j.gaps[at].Witness != e.Witness) {
		at--
	}
	if old := &j.gaps[at]; old.Host == e.Host && old.Witness == e.Witness {
		if old.Began.Before(e.Began) {
			e.Began = old.Began
		}
		if old.Time.After(e.Time) {
			e.Time = old.Time
		}
	}
	j.gaps = append(slices.Delete(j.gaps, at, at+1), e)
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

// Running returns the transfers of which no witness has yet said how they ended, as they are judged now.
func (j *Join) Running() []*tallyman.Transfer {
	var out []*tallyman.Transfer
	done := map[*cluster]bool{}
	for c := range j.open {
		member := c.up != nil
		c = c.root()
		if done[c] {
			continue
		}
		t := c.transfer()
		if v := t.Judgement.Verdict; member && v != tallyman.Active || v == tallyman.Failed {
			continue // a file is still open, or packets are waited for, and the end is known all the same
		}
		done[c] = true
		t.ID, t.Rev = c.id, c.rev
		for _, m := range c.members() {
			if m.told {
				t.ID, t.Rev = m.id, m.rev
			}
		}
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *tallyman.Transfer) int { return a.ID.Compare(b.ID) })
	return out
}
