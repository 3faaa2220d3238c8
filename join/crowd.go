package join

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"tallyman"
)

// Where no process number says which line, file and packets belong together, and a client asks for one name several times within a moment, they are paired by
// order, so that there is one record for each request. But the order is a guess, and a guess proves nothing: such a record says that it is one of so many,
// and its verdict is the one that holds whichever of them belongs to it.

// crowd is what may belong to a cluster besides what surely does. The zero crowd is that of one that nothing else fits.
type crowd struct {
	of      int             // it is one of so many
	left    bool            // of a line: all packets that it fits are taken by others
	unsure  bool            // some that may belong to it are forgotten, or too many to be looked at
	files   int             // how many of those that may belong to it closed a file; the shortest and the longest they left:
	least   int64           //
	most    int64           //
	idle    bool            // each of them closed it without a look
	path    string          // of each of them; "" if they differ
	refusal tallyman.Reason // what each line says that may belong to it; "" if they differ
	failing bool            // more lines tell of a failure than others failed
	differs bool            // one of them has another digest
}

// choices is who fits whom.
type choices struct {
	packets map[*cluster][]*cluster // of a line or file
	claims  map[*cluster][]*cluster // of packets
	many    bool                    // they were not compared
}

// choose compares all with all. Those whose names agree are preferred to those whose names do not.
func choose(claims, packets []*cluster, fit func(x, p *cluster) bool) choices {
	c := choices{map[*cluster][]*cluster{}, map[*cluster][]*cluster{}, len(claims)*len(packets) > busy*busy}
	for _, x := range claims {
		if c.many {
			c.packets[x] = packets
			continue
		}
		var kin, other []*cluster
		for _, p := range packets {
			switch {
			case !fit(x, p):
			case endsIn(x.face.name, p.face.name) || endsIn(p.face.name, x.face.name):
				kin = append(kin, p)
			default:
				other = append(other, p)
			}
		}
		if kin == nil {
			kin = other
		}
		c.packets[x] = kin
		for _, p := range kin {
			c.claims[p] = append(c.claims[p], x)
		}
	}
	if c.many {
		for _, p := range packets {
			c.claims[p] = claims
		}
	}
	return c
}

// rivals are the packets that something fits that fits p, p among them.
func (c *choices) rivals(p *cluster) []*cluster {
	if c.many {
		return c.packets[c.claims[p][0]]
	}
	var out []*cluster
	for _, x := range c.claims[p] {
		for _, q := range c.packets[x] {
			if !slices.Contains(out, q) {
				out = append(out, q)
			}
		}
	}
	return out
}

// crowds says of each cluster on a lane whether it is known what belongs to it. The other lists are those among which was paired by name.
func (j *Join) crowds(in, lines, unsaid, files, free []*cluster) {
	found := map[*cluster]crowd{}
	vague := map[*cluster]bool{}
	byPeer := byClient(unsaid)
	for ip, said := range byClient(lines) {
		found, vague = take(choose(said, byPeer[ip], lineFits), found, vague)
	}
	found, vague = take(choose(files, free, fileFits), found, vague)
	alone := slices.DeleteFunc(slices.Clone(lines), func(l *cluster) bool { return l.up != nil })
	loose := slices.DeleteFunc(slices.Clone(files), func(f *cluster) bool { return f.up != nil && f.up.face.role != logRole })
	found, vague = take(choose(loose, alone, pairFits), found, vague)
	for _, c := range in {
		w := found[c]
		if w.of > 0 && w.of < c.past {
			w.of, w.unsure = c.past, true
		}
		if c.crowd != w || c.vague != vague[c] {
			c.crowd, c.vague = w, vague[c]
			j.touch(c.root())
		}
	}
}

// take adds what the choices say.
func take(c choices, found map[*cluster]crowd, vague map[*cluster]bool) (map[*cluster]crowd, map[*cluster]bool) {
	for p, claims := range c.claims {
		if len(claims) == 0 {
			continue
		}
		rivals := c.rivals(p)
		if len(rivals) == 1 && len(claims) <= max(1, p.face.requests) && p.past == 0 {
			continue
		}
		w := found[p]
		w.of = max(w.of, len(rivals), len(claims))
		if w.unsure = w.unsure || c.many; !w.unsure {
			w.weigh(p, claims, rivals)
		}
		found[p] = w
		for _, x := range claims {
			vague[x] = vague[x] || x.up == p
		}
	}
	for x, fit := range c.packets {
		if x.up == nil && len(fit) > 0 && x.face.role == logRole {
			found[x] = crowd{of: len(fit) + 1, left: true}
		}
	}
	return found, vague
}

// weigh looks at all that may belong to p.
func (w *crowd) weigh(p *cluster, claims, rivals []*cluster) {
	failures, room := 0, 0
	for i, x := range claims {
		refusal := tallyman.Reason("")
		for _, m := range x.members() {
			for k := range m.evidence {
				e := &m.evidence[k]
				if e.Kind == tallyman.KindRefusal && e.Witness == "log" {
					refusal = e.Reason
				}
				w.differs = w.differs || differ(e.Digest, p)
			}
			if m.face.role == filesRole {
				w.file(m)
			}
		}
		if x.face.role == logRole {
			if v := x.claim(); v.Outcome() == "failure" {
				failures++
			}
			if i > 0 && refusal != w.refusal {
				refusal = ""
			}
			w.refusal = refusal
		}
	}
	for _, r := range rivals {
		if r.claim() == tallyman.Complete {
			room--
		}
		room += max(1, r.face.requests)
	}
	w.failing = w.failing || failures > room
	if w.files < len(rivals) {
		w.idle, w.path = false, "" // one of them has none that we know of
	}
}

// file adds a file that may belong. What was opened twice at one moment, by nobody knows whom, may be two.
func (w *crowd) file(f *cluster) {
	for i := range f.evidence {
		e := &f.evidence[i]
		if e.Kind != tallyman.KindClosed || e.Witness != "files" {
			continue
		}
		if w.files == 0 {
			w.least, w.most, w.idle, w.path = e.Size, e.Size, true, e.Path
		}
		w.files++
		w.least, w.most, w.idle = min(w.least, e.Size), max(w.most, e.Size), w.idle && f.idle()
		if w.path != e.Path {
			w.path = ""
		}
	}
}

// claim is what the cluster says by itself of how it ended.
func (c *cluster) claim() tallyman.Verdict {
	if e := c.chief(); e != nil {
		v, _ := ruling(e)
		return v
	}
	return tallyman.Active
}

// differ reports whether packets have another digest of the same kind.
func differ(d tallyman.Digest, p *cluster) bool {
	return d != "" && slices.ContainsFunc(p.evidence, func(e tallyman.Evidence) bool {
		return e.Digest != "" && e.Digest != d && kindOf(e.Digest) == kindOf(d)
	})
}

// lineFits reports whether a line may speak of the packets.
func lineFits(l, p *cluster) bool {
	if !sameEnds(l, p) {
		return false
	}
	if p.face.requests > 1 && within(l, p) {
		return true
	}
	if !l.face.ending {
		_, ok := apartBy(l.face.at, p.face.at)
		return ok
	}
	if l.face.until.After(p.face.at) && (running(p) || l.face.until.Before(p.face.until)) {
		return true
	}
	_, ok := apartBy(l.face.until, p.face.until)
	return ok && !running(p)
}

// sameEnds reports whether a line and packets are of one protocol, and of one port of the client and one process as far as both are known.
func sameEnds(l, p *cluster) bool {
	stranger := l.face.oneDeed && len(p.face.takers) > 0 && p.face.requests < 2 && !slices.Contains(p.face.takers, l.face.logger)
	return l.face.family == p.face.family && (l.face.peer.Port() == 0 || l.face.peer == p.face.peer) && !stranger
}

// fileFits reports whether a file may be that of the packets.
func fileFits(f, p *cluster) bool {
	_, ok := fileGap(f, p)
	return ok || p.face.requests > 1 && within(f, p)
}

// pairFits reports whether a file may be that of a line.
func pairFits(f, l *cluster) bool {
	at, to := f.face.at, l.face.at
	if l.face.ending {
		if at, to = f.face.until, l.face.until; at.IsZero() {
			return false
		}
	}
	_, ok := apartBy(at, to)
	return ok
}

// waver makes a verdict one that holds whichever of the crowd belongs to the record.
func (c *cluster) waver(t *tallyman.Transfer) {
	w, j := &c.crowd, &t.Judgement
	for i := range c.doubtful {
		if who := c.doubtful[i].Witness; !slices.Contains(j.For, who) && !slices.Contains(j.Against, who) {
			j.For = append(j.For, who)
		}
	}
	slices.Sort(j.For)
	if w.of == 0 {
		return
	}
	if t.Path == "" || !strings.HasPrefix(t.Path, "/") && w.path != "" {
		t.Path = w.path
	}
	known := !w.unsure && w.files > 0
	put := t.Op == tallyman.OpPut && t.Bytes >= 0 && !strings.Contains(t.Details, `"mode":"netascii"`)
	switch {
	case w.left && j.Verdict != tallyman.Active:
		j.Verdict, j.Reason = tallyman.Unproven, tallyman.LogOnly
	case j.Verdict == tallyman.Complete && put && known && w.path != "" && w.most < t.Bytes:
		j.Verdict, j.Reason = tallyman.Contradicted, tallyman.StoredShort
	case j.Verdict == tallyman.Complete && (w.failing || w.differs || put && (w.unsure || known && w.least < t.Bytes)):
		j.Verdict, j.Reason = tallyman.Unproven, tallyman.ClosedUnproven
	case j.Reason == tallyman.FinalAck && put && known && w.path != "" && w.least == t.Bytes && w.most == t.Bytes:
		j.Reason = tallyman.Stored
	case j.Verdict == tallyman.Refused && !w.unsure && tallyman.Legal(tallyman.Refused, w.refusal):
		j.Reason = w.refusal
	case j.Reason == tallyman.Timeout && t.Bytes <= 0 && known && w.idle:
		j.Reason = tallyman.DroppedLocked
	}
}

// oneOf is the member of the details that says of how many a record is one.
const oneOf = `"one_of":`

// withCrowd adds it.
func withCrowd(details string, of int) string {
	if of < 2 {
		return details
	}
	return withMember(details, oneOf+strconv.Itoa(of))
}

// crowdIn reads it.
func crowdIn(details string) int {
	var d struct {
		OneOf int `json:"one_of"`
	}
	if !strings.Contains(details, oneOf) || json.Unmarshal([]byte(details), &d) != nil {
		return 0
	}
	return d.OneOf
}
