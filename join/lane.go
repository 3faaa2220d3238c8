package join

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// How far apart two witnesses may see the same moment. A log may write whole seconds, and late.
const (
	tolerance = 2 * time.Second
	// wholeSecond is how much earlier than it was the stamp of a log may be that knows no fractions.
	wholeSecond = time.Second
	// busy is how many of each side are compared each with each. Where there are more they are taken in order.
	busy = 64
)

// lane is what clusters must have in common to be looked at together: the client's port, or the process, or the name.
type lane struct {
	host string
	peer netip.AddrPort
	pid  int32
	way  string
	base string
	dark bool // what may belong to packets that name nothing
}

// lanesOf are the lanes on which a cluster is looked for. dark says that there are packets that name nothing.
func (f *face) lanesOf(dark bool) []lane {
	if f.role == noRole {
		return nil
	}
	var out []lane
	if f.role >= wireRole && f.peer.IsValid() {
		out = append(out, lane{host: f.host, peer: f.peer})
	}
	if pid := cmp.Or(f.pid, f.logger); pid != 0 {
		out = append(out, lane{host: f.host, pid: pid})
	}
	for _, pid := range f.takers {
		out = append(out, lane{host: f.host, pid: pid})
	}
	if f.role < serverRole && f.way != "" && f.base != "" {
		out = append(out, lane{host: f.host, way: f.way, base: f.base})
	}
	if dark && (f.dark || (f.role == logRole || f.role == filesRole) && (f.family == "ftp" || f.family == "")) {
		out = append(out, lane{host: f.host, dark: true})
	}
	return out
}

// file puts the cluster where others look for it. What our own server saw is there only when packets were seen too.
func (j *Join) file(c *cluster) {
	c.face = c.look()
	if c.face.role == wireRole && !j.wired {
		j.wired = true
		for _, k := range j.clusters { // what has no key is not our own server's
			j.file(k)
		}
	}
	if c.face.dark && !j.dark {
		j.dark = true
		for _, k := range j.deeds {
			j.file(k)
		}
	}
	var want []lane
	if c.face.foreign() || j.wired || c.face.logger != 0 {
		want = c.face.lanesOf(j.dark)
	}
	for _, l := range c.lanes {
		if !slices.Contains(want, l) {
			j.leave(c, l)
		}
		j.stale[l] = struct{}{}
	}
	for _, l := range want {
		if !slices.Contains(c.lanes, l) {
			j.lanes[l] = append(j.lanes[l], c)
		}
		j.stale[l] = struct{}{}
	}
	c.lanes = want
}

// unfile takes the cluster out of all lanes.
func (j *Join) unfile(c *cluster) {
	for _, l := range c.lanes {
		j.leave(c, l)
		j.stale[l] = struct{}{}
	}
	c.lanes = nil
}

func (j *Join) leave(c *cluster, l lane) {
	in := j.lanes[l]
	if i := slices.Index(in, c); i >= 0 {
		in = slices.Delete(in, i, i+1)
	}
	if j.lanes[l] = in; len(in) == 0 {
		delete(j.lanes, l)
	}
}

// match is two clusters that may speak of the same transfer, and how far apart their moments are.
type match struct {
	a, b *cluster
	gap  time.Duration
}

// moment is when something happened, as far as a comparison goes.
type moment func(*cluster) time.Time

func begin(c *cluster) time.Time { return c.face.at }
func end(c *cluster) time.Time   { return c.face.until }

// pairUp finds out which of a belongs to which of b; each is taken once. gap says how far apart two are, and whether they fit at all. In a burst,
// which is a run of moments that are all close to the next, with as many of a as of b, the order decides: requests are written down in the order
// in which they came. Elsewhere the nearest belong together.
func pairUp(a, b []*cluster, when moment, gap func(a, b *cluster) (time.Duration, bool)) []match {
	sortBy(when, a)
	sortBy(when, b)
	var out []match
	for len(a) > 0 && len(b) > 0 {
		na, nb := burst(a, b, when)
		out = append(out, inBurst(a[:na], b[:nb], gap)...)
		a, b = a[na:], b[nb:]
	}
	return out
}

// burst returns how many of each belong to the first run of moments.
func burst(a, b []*cluster, when moment) (na, nb int) {
	var last time.Time
	for na < len(a) || nb < len(b) {
		fromA := nb == len(b) || na < len(a) && !when(b[nb]).Before(when(a[na]))
		next := b
		i := nb
		if fromA {
			next, i = a, na
		}
		at := when(next[i])
		if !last.IsZero() && at.Sub(last) > tolerance {
			break
		}
		if last = at; fromA {
			na++
		} else {
			nb++
		}
	}
	return na, nb
}

func inBurst(a, b []*cluster, gap func(a, b *cluster) (time.Duration, bool)) []match {
	var out []match
	if len(a) == len(b) || len(a) > busy || len(b) > busy {
		for i := range min(len(a), len(b)) {
			if d, ok := gap(a[i], b[i]); ok {
				out = append(out, match{a[i], b[i], d})
			}
		}
		if len(out) == len(a) || len(a) > busy || len(b) > busy {
			return out
		}
		out = out[:0]
	}
	for _, x := range a {
		for _, y := range b {
			if d, ok := gap(x, y); ok {
				out = append(out, match{x, y, d})
			}
		}
	}
	slices.SortStableFunc(out, func(x, y match) int { return cmp.Compare(x.gap, y.gap) })
	taken := map[*cluster]bool{}
	return slices.DeleteFunc(out, func(m match) bool {
		if taken[m.a] || taken[m.b] {
			return true
		}
		taken[m.a], taken[m.b] = true, true
		return false
	})
}

// sortBy orders clusters so that the order in which they came decides nothing.
func sortBy(when moment, list []*cluster) {
	slices.SortFunc(list, func(a, b *cluster) int {
		return cmp.Or(when(a).Compare(when(b)), a.face.peer.Compare(b.face.peer), cmp.Compare(a.face.pid, b.face.pid), order(a.evidence[0], b.evidence[0]))
	})
}

// apartBy is the distance of two moments, and whether it is within what witnesses may differ by.
func apartBy(a, b time.Time) (time.Duration, bool) {
	d := a.Sub(b).Abs()
	return d, d <= tolerance
}
