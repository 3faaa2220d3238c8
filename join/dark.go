package join

import (
	"slices"
	"time"

	"tallyman"
)

// Packets of FTP behind TLS name no file. They are given to what a log or the file system tells of the same moments, the same way and as many bytes, where
// one fits clearly better than all others; what is ambiguous stays apart. Whoever has found packets of his own name is left alone.

// Bytes that TLS adds: to each record, and for handshake and certificates.
const (
	handshake = 32 << 10
	perRecord = 8       // one byte in so many at the most: records of some 200 bytes
	destroyed = 6 << 20 // by a reset, in the buffer of the receiver (tcp_rmem)
)

// By how much the nearest must be nearer than the next: a file is closed within milliseconds of the last packets; a log may write whole seconds.
const (
	clearly = 20 * time.Millisecond
	vaguely = time.Second
)

// inDark reports whether the cluster bears out packets that name nothing.
func (c *cluster) inDark() bool { return c.up != nil && c.up.face.dark }

// matchDark finds the lines, and else the files, that packets without a name belong to.
func (j *Join) matchDark(in []*cluster) {
	free := func(r role) []*cluster {
		return slices.DeleteFunc(of(in, r), func(c *cluster) bool { return c.up != nil && !c.inDark() })
	}
	packets := slices.DeleteFunc(free(wireRole), func(c *cluster) bool { return !c.face.dark })
	for _, r := range []role{logRole, filesRole} {
		up := clearPairs(free(r), packets)
		for _, c := range free(r) {
			j.bearOut(c, up[c], false)
		}
		packets = slices.DeleteFunc(packets, func(p *cluster) bool {
			return slices.ContainsFunc(p.down, func(d *cluster) bool { return d.face.role == r })
		})
	}
}

// clearPairs pairs those who are each other's nearest, clearly, and then again those who are among the rest.
func clearPairs(a, b []*cluster) map[*cluster]*cluster {
	up := map[*cluster]*cluster{}
	if len(a) > busy || len(b) > busy {
		return up
	}
	taken := map[*cluster]bool{}
	for {
		best, next := map[*cluster]match{}, map[*cluster]time.Duration{}
		note := func(c *cluster, m match) {
			switch old, ok := best[c]; {
			case !ok:
				best[c], next[c] = m, 1<<62
			case m.gap < old.gap:
				best[c], next[c] = m, old.gap
			default:
				next[c] = min(next[c], m.gap)
			}
		}
		for _, x := range a {
			for _, y := range b {
				if taken[x] || taken[y] {
					continue
				}
				if gap, ok := darkGap(x, y); ok {
					note(x, match{x, y, gap})
					note(y, match{x, y, gap})
				}
			}
		}
		found := false
		for c, m := range best {
			if c == m.a && best[m.b].a == c && min(next[c], next[m.b])-m.gap > c.margin() {
				up[c], found = m.b, true
				taken[c], taken[m.b] = true, true
			}
		}
		if !found {
			return up
		}
	}
}

// moments are when the transfer of the cluster began and ended: by the file system, if that saw it, since a log may write whole seconds.
func (c *cluster) moments() (begin, end time.Time) {
	for _, d := range c.down {
		if d.face.role == filesRole {
			return d.face.at, d.face.until
		}
	}
	if c.face.ending {
		return begin, c.face.until
	}
	return c.face.at, c.face.until
}

// margin is by how much another one must be further away.
func (c *cluster) margin() time.Duration {
	if _, end := c.moments(); end.Nanosecond() == 0 && !end.IsZero() {
		return vaguely
	}
	return clearly
}

// darkGap compares a line, or what was done to a file, with packets that name nothing.
func darkGap(c, p *cluster) (gap time.Duration, ok bool) {
	f, q := &c.face, &p.face
	if f.way == "" && f.role == filesRole || q.way != "" && f.way != q.way || f.role == logRole && f.peer.IsValid() && f.peer.Addr().Unmap() != q.peer.Addr().Unmap() {
		return 0, false
	}
	begin, end := c.moments()
	apart := begin.Sub(q.at).Abs()
	switch {
	case !begin.IsZero() && apart > tolerance, !end.IsZero() && end.Before(q.at.Add(-tolerance)):
		return 0, false
	case q.until.IsZero(), end.IsZero():
		return apart, !begin.IsZero()
	}
	gap = end.Sub(q.until).Abs()
	if gap > tolerance || !darkBytes(f, q) {
		return 0, false
	}
	if !begin.IsZero() {
		gap += apart
	}
	return gap, true
}

// darkBytes reports whether so many bytes may be so many behind TLS.
func darkBytes(f, q *face) bool {
	bytes := max(q.up, q.down)
	switch {
	case f.moved < 0:
		return true
	case f.way == tallyman.OpPut.Direction() && f.moved > bytes: // all that was stored has gone over the wire; what was read to be sent may not have
		return false
	case q.broken:
		return bytes <= f.moved+f.moved/perRecord+destroyed
	default:
		return bytes <= f.moved+f.moved/perRecord+handshake
	}
}
