package join

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"tallyman"
)

// Witnesses name a transfer differently: a log by process and client, the file system by process and path, packets by ports. What they have in
// common is not proof by itself, so who belongs to whom is found by comparing all that share a lane, and found anew whenever one more is known:
//
//	files ──process, else name and moment──▶ log ──process, else client, name and moment──▶ wire ──client's port and moment──▶ server
//
// The answer is a function of the set of evidence. A cluster that bears out another one becomes part of its record.

// longest is how long the child of a server goes on: tftpd-hpa gives up after 63 s.
const longest = 70 * time.Second

// turns is how often the lanes are looked at before the rest waits for the next time. Two do: one for processes, one for names.
const turns = 8

// rematch looks anew at the lanes on which something changed.
func (j *Join) rematch() {
	for turn := 0; len(j.stale) > 0 && turn < turns; turn++ {
		named := turn%2 == 1 // a process says more than a name
		for l := range j.stale {
			if (l.base != "" || l.dark) != named {
				continue
			}
			in := j.lanes[l]
			delete(j.stale, l)
			switch {
			case l.dark:
				j.matchDark(in)
			case l.peer.IsValid():
				j.matchPorts(in)
			case l.pid != 0:
				j.matchProcess(in)
			default:
				j.matchNames(in)
			}
		}
	}
}

// of picks the clusters of one role.
func of(in []*cluster, r role) []*cluster {
	var out []*cluster
	for _, c := range in {
		if c.face.role == r {
			out = append(out, c)
		}
	}
	return out
}

// matchPorts finds the packets of what our own server saw.
func (j *Join) matchPorts(in []*cluster) {
	packets := of(in, wireRole)
	up := map[*cluster]*cluster{}
	for _, m := range pairUp(packets, of(in, serverRole), begin, func(a, b *cluster) (time.Duration, bool) {
		return apartBy(a.face.at, b.face.at)
	}) {
		up[m.a] = m.b
	}
	for _, c := range packets {
		j.bearOut(c, up[c], false)
	}
}

// matchProcess finds the packets that the writer of a log line answered, and the file events of a process that wrote a line or answered packets.
func (j *Join) matchProcess(in []*cluster) {
	packets := slices.DeleteFunc(of(in, wireRole), func(c *cluster) bool { return len(c.face.takers) == 0 })
	for _, l := range of(in, logRole) {
		var best *cluster
		if l.face.oneDeed {
			if best = answered(l, packets); best == nil && l.face.base == "" {
				best = saidBefore(l, in)
			}
		}
		if best != nil || l.byProcess {
			j.bearOut(l, best, best != nil)
		}
	}
	opened := of(in, filesRole)
	said := inSession(opened, slices.DeleteFunc(slices.Clone(in), func(c *cluster) bool { return c.face.logger == 0 || c.face.oneDeed || c.face.nameOnly }))
	lines := slices.DeleteFunc(slices.Clone(in), func(c *cluster) bool { return c.face.logger == 0 || !c.face.oneDeed || c.face.nameOnly })
	for _, f := range opened {
		best := said[f]
		if best == nil {
			best = nearestLine(f, lines)
		}
		if best == nil {
			best = answered(f, packets)
			if best != nil && len(opened) > 1 && !endsIn(f.face.name, best.face.name) {
				best = nil // the process serves many: the name decides
			}
		}
		if best != nil || f.byProcess {
			j.bearOut(f, best, best != nil)
		}
	}
}

// answered finds the packets that the process of c answered while c went on. A process that answered several then serves many: it says nothing.
func answered(c *cluster, packets []*cluster) *cluster {
	var found *cluster
	for _, p := range packets {
		if c.face.at.Sub(p.face.at) < -tolerance || !p.face.until.IsZero() && c.face.at.Sub(p.face.until) > tolerance {
			continue
		}
		if found != nil {
			return nil
		}
		found = p
	}
	return found
}

// saidBefore finds the line of the request for a line of the same process that names none: the reader of the log was restarted in between.
func saidBefore(l *cluster, in []*cluster) *cluster {
	var last *cluster
	for _, r := range of(in, logRole) {
		if r == l || r.face.base == "" || !r.face.oneDeed || r.face.at.After(l.face.at) || l.face.at.Sub(r.face.at) > longest {
			continue
		}
		if last == nil || before(last, r) {
			last = r
		}
	}
	return last
}

// inSession finds the lines for what a process did to files that serves a whole login: name by name and in order, for file events may come late.
func inSession(files, lines []*cluster) map[*cluster]*cluster {
	type deed struct{ way, base string }
	of := map[deed][]*cluster{}
	for _, f := range files {
		of[deed{f.face.way, f.face.base}] = append(of[deed{f.face.way, f.face.base}], f)
	}
	spoken := map[deed][]*cluster{}
	for _, l := range lines {
		if d := (deed{l.face.way, l.face.base}); len(of[d]) > 0 {
			spoken[d] = append(spoken[d], l)
		}
	}
	up := map[*cluster]*cluster{}
	for d, lines := range spoken {
		free := slices.Clone(of[d])
		for _, m := range pairUp(free, slices.DeleteFunc(slices.Clone(lines), ending), begin, sessionGap) {
			up[m.a] = m.b
		}
		free = slices.DeleteFunc(closed(of[d]), func(f *cluster) bool { return up[f] != nil })
		for _, m := range pairUp(free, slices.DeleteFunc(lines, beginning), end, func(f, l *cluster) (time.Duration, bool) {
			return apartBy(f.face.until, l.face.until)
		}) {
			up[m.a] = m.b
		}
	}
	return up
}

// sessionGap compares when a file was opened with what a line of the process says of it.
func sessionGap(f, l *cluster) (time.Duration, bool) { return apartBy(f.face.at, l.face.at) }

func nearestLine(f *cluster, lines []*cluster) *cluster {
	var best *cluster
	nearest := time.Duration(0)
	for _, l := range lines {
		d, ok := processGap(f, l)
		if ok && (best == nil || d < nearest || d == nearest && before(l, best)) {
			best, nearest = l, d
		}
	}
	return best
}

func before(a, b *cluster) bool {
	list := []*cluster{a, b}
	sortBy(begin, list)
	return list[0] == a
}

// processGap compares what a process did to a file with what it said of the one request that it served.
func processGap(f, l *cluster) (time.Duration, bool) {
	at, to := f.face.at, l.face.at
	if l.face.ending && !f.face.until.IsZero() {
		at = f.face.until
	}
	return at.Sub(to).Abs(), at.Sub(to) > -tolerance && (l.face.until.IsZero() || at.Sub(l.face.until) < tolerance)
}

// matchNames finds who belongs to whom among all that name the same file.
func (j *Join) matchNames(in []*cluster) {
	up := map[*cluster]*cluster{}
	lines := slices.DeleteFunc(of(in, logRole), func(l *cluster) bool { return l.byProcess })
	packets := of(in, wireRole)
	quiet := slices.DeleteFunc(slices.Clone(packets), hasLine)
	unsaid, said := byClient(quiet), byClient(lines)
	for ip, of := range said {
		if ip.IsValid() {
			matchLines(of, unsaid[ip], up)
		}
	}
	matchLines(said[netip.Addr{}], quiet, up) // a server that asks the DNS writes a name for its client
	for _, l := range lines {                 // a request that was sent again is logged again
		if up[l] == nil && !l.face.ending {
			up[l] = repeated(l, packets)
		}
	}
	for _, l := range lines {
		if up[l] != nil || !l.inDark() {
			j.bearOut(l, up[l], false)
		}
	}
	byName := slices.DeleteFunc(of(in, filesRole), func(f *cluster) bool { return f.byProcess })
	files := slices.Clone(byName)
	free := slices.DeleteFunc(slices.Clone(packets), hasFiles)
	used := map[*cluster]*cluster{} // packets that lines speak of may have files too
	inKin(files, free, func(files, packets []*cluster) {
		for _, m := range pairUp(files, packets, begin, fileGap) {
			used[m.a], up[m.a] = m.b, m.b
		}
	}, used)
	files = slices.DeleteFunc(files, func(f *cluster) bool {
		if up[f] == nil {
			up[f] = repeated(f, packets)
		}
		if up[f] != nil || !f.inDark() {
			j.bearOut(f, up[f], false)
		}
		return up[f] != nil
	})
	alone := slices.DeleteFunc(slices.Clone(lines), func(l *cluster) bool { return l.up != nil && !l.inDark() || hasFiles(l) })
	pairs := pairUp(slices.Clone(files), slices.DeleteFunc(slices.Clone(alone), ending), begin, func(f, l *cluster) (time.Duration, bool) {
		return apartBy(f.face.at, l.face.at)
	})
	pairs = append(pairs, pairUp(closed(files), slices.DeleteFunc(alone, beginning), end, func(f, l *cluster) (time.Duration, bool) {
		return apartBy(f.face.until, l.face.until)
	})...)
	for _, m := range pairs {
		if up[m.a] == nil {
			up[m.a] = m.b
			j.bearOut(m.a, m.b, false)
		}
	}
	j.crowds(in, lines, slices.DeleteFunc(packets, hasLine), byName, free)
}

// matchLines finds the packets that log lines of one client speak of: by the moment of the request, else by that of the end, else by what was going on.
func matchLines(lines, packets []*cluster, up map[*cluster]*cluster) {
	take := func(pairs []match) {
		for _, m := range pairs {
			up[m.a] = m.b
		}
	}
	inKin(slices.DeleteFunc(slices.Clone(lines), ending), packets, func(lines, packets []*cluster) {
		take(pairUp(lines, packets, begin, func(l, p *cluster) (time.Duration, bool) {
			d, ok := apartBy(l.face.at, p.face.at)
			return d, ok && sameEnds(l, p)
		}))
	}, up)
	inKin(slices.DeleteFunc(slices.Clone(lines), beginning), packets, func(lines, packets []*cluster) {
		take(pairUp(lines, slices.DeleteFunc(packets, running), end, func(l, p *cluster) (time.Duration, bool) {
			d, ok := apartBy(l.face.until, p.face.until)
			return d, ok && sameEnds(l, p)
		}))
	}, up)
	inKin(slices.DeleteFunc(slices.Clone(lines), beginning), packets, func(lines, packets []*cluster) {
		take(onlyOnes(lines, packets, func(l, p *cluster) bool {
			return sameEnds(l, p) && l.face.until.Sub(p.face.at) > -wholeSecond && (running(p) || l.face.until.Before(p.face.until))
		}))
	}, up)
}

// onlyOnes pairs those who fit each other and nobody else: a server that gave up (dnsmasq after half a minute) writes so long before its packets are given up.
func onlyOnes(a, b []*cluster, fit func(a, b *cluster) bool) []match {
	if len(a) > busy || len(b) > busy {
		return nil
	}
	var out []match
	fits := map[*cluster]int{}
	for _, x := range a {
		for _, y := range b {
			if fit(x, y) {
				out = append(out, match{a: x, b: y})
				fits[x]++
				fits[y]++
			}
		}
	}
	return slices.DeleteFunc(out, func(m match) bool { return fits[m.a] > 1 || fits[m.b] > 1 })
}

// inKin calls pair with those of a and of b whose names agree as far as they go, name by name, and then with all that are left. What is in up, or up
// for something in it, is no longer there.
func inKin(a, b []*cluster, pair func(a, b []*cluster), up map[*cluster]*cluster) {
	free := func(list []*cluster) []*cluster {
		taken := map[*cluster]bool{}
		for from, to := range up {
			taken[from], taken[to] = true, to != nil
		}
		return slices.DeleteFunc(slices.Clone(list), func(c *cluster) bool { return taken[c] })
	}
	named, kin := map[string][]*cluster{}, map[string][]*cluster{}
	for _, y := range free(b) {
		named[y.face.name] = append(named[y.face.name], y)
	}
	for _, x := range free(a) {
		for name := x.face.name; name != ""; {
			if len(named[name]) > 0 {
				kin[name] = append(kin[name], x)
				break
			}
			_, name, _ = strings.Cut(name, "/")
		}
	}
	for name, list := range kin {
		pair(list, named[name])
	}
	pair(free(a), free(b))
}

// endsIn reports whether a path ends in the name that was asked for.
func endsIn(path, name string) bool {
	return path == name || strings.HasSuffix(path, "/"+name)
}

// repeated finds the packets of a request that was sent more than once, and at the time of c.
func repeated(c *cluster, packets []*cluster) *cluster {
	for _, p := range packets {
		if p.face.requests > 1 && within(c, p) &&
			(c.face.role == filesRole || c.face.peer.Addr() == p.face.peer.Addr()) {
			return p
		}
	}
	return nil
}

// within reports whether c began while the packets went on, as far as two witnesses agree on a moment.
func within(c, p *cluster) bool {
	return c.face.at.Sub(p.face.at) > -tolerance && (p.face.until.IsZero() || c.face.at.Sub(p.face.until) < tolerance)
}

// fileGap compares when a file was opened with when it was asked for.
func fileGap(f, p *cluster) (time.Duration, bool) {
	d := f.face.at.Sub(p.face.at)
	switch p.face.family {
	case "ftp":
		return d.Abs(), d > -tolerance && (p.face.until.IsZero() || f.face.at.Sub(p.face.until) < tolerance)
	case "tftp":
		return d.Abs(), d.Abs() <= tolerance
	default:
		return 0, false
	}
}

func byClient(in []*cluster) map[netip.Addr][]*cluster {
	out := map[netip.Addr][]*cluster{}
	for _, c := range in {
		ip := c.face.peer.Addr().Unmap()
		out[ip] = append(out[ip], c)
	}
	return out
}

// hasLine reports whether a log line of the process that answered the packets bears the cluster out.
func hasLine(c *cluster) bool {
	return slices.ContainsFunc(c.down, func(d *cluster) bool { return d.face.role == logRole && d.byProcess })
}

// hasFiles reports whether file events of the process that wrote the log bear the cluster out.
func hasFiles(c *cluster) bool {
	return slices.ContainsFunc(c.down, func(d *cluster) bool {
		return d.face.role == filesRole && d.byProcess || d.face.role == logRole && hasFiles(d)
	})
}

func running(c *cluster) bool   { return c.face.until.IsZero() }
func ending(c *cluster) bool    { return c.face.ending }
func beginning(c *cluster) bool { return !c.face.ending }

func closed(in []*cluster) []*cluster {
	return slices.DeleteFunc(slices.Clone(in), func(c *cluster) bool { return c.face.until.IsZero() })
}

// bearOut makes c part of the record of to; nil lets it stand for itself. byProcess says that a process number is the reason.
func (j *Join) bearOut(c, to *cluster, byProcess bool) {
	if c.byProcess && !byProcess && to != nil {
		return // a process says more than a name
	}
	if byProcess != c.byProcess {
		c.byProcess = byProcess
		j.restale(c)
	}
	if c.up == to {
		return
	}
	if c.up != nil {
		j.touch(c.root())
		c.up.down = slices.DeleteFunc(c.up.down, func(d *cluster) bool { return d == c })
	}
	if c.up = to; to != nil {
		to.down = append(to.down, c)
	}
	j.touch(c)
	j.touch(c.root())
	j.restale(c)
}

// restale makes the names of the cluster and of whom it bears out be looked at again, where files are given to those that have none.
func (j *Join) restale(c *cluster) {
	for ; c != nil; c = c.up {
		for _, l := range c.lanes {
			if l.base != "" || l.dark {
				j.stale[l] = struct{}{}
			}
		}
	}
}

func (c *cluster) root() *cluster {
	for c.up != nil {
		c = c.up
	}
	return c
}

// members is the cluster and all that bear it out.
func (c *cluster) members() []*cluster {
	out := []*cluster{c}
	for i := 0; i < len(out); i++ {
		out = append(out, out[i].down...)
	}
	return out
}

// all is the evidence of the record, sorted: what is surely of it, and what may be that of another one of its crowd.
func (c *cluster) all() (sure, doubtful []tallyman.Evidence) {
	sure, doubtful = c.gather(nil, nil, false)
	slices.SortFunc(sure, order)
	slices.SortFunc(doubtful, order)
	return sure, doubtful
}

// gather adds the evidence of the cluster, and of all that bear it out. What lies below a vague link is doubtful as a whole.
func (c *cluster) gather(sure, doubtful []tallyman.Evidence, vague bool) (_, _ []tallyman.Evidence) {
	if vague {
		doubtful = append(doubtful, c.evidence...)
	} else {
		sure = append(sure, c.evidence...)
	}
	for _, d := range c.down {
		sure, doubtful = d.gather(sure, doubtful, vague || d.vague)
	}
	return sure, doubtful
}
