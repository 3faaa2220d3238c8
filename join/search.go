package join

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"tallyman"
)

// A boot search is a run of not-found by one client that ends within 30 s in a served file: PXELINUX asks for its configuration by UUID, MAC
// and address before "default", Cisco IOS for network-confg, cisconet.cfg and router-confg. Its refusals are no failures. A name that no firmware makes up
// is no part of a search: whoever mistypes one, or tries names in turn, is told of as before.

// client is who searches.
type client struct {
	host, proto string
	ip          netip.Addr
}

// search is what a client asked for of late, by time.
type search struct {
	steps   []step
	missing int // how many of them were not found
}

// step is one request: c is nil when the file was served, and name is what was asked for.
type step struct {
	at   time.Time
	seen time.Time // when we first heard of it
	c    *cluster
	name string
}

// soughtNames are names that boot firmware tries, as patterns of path.Match: fixed ones, and ones made of the machine's UUID, MAC or address.
var soughtNames = []string{
	// PXELINUX and what follows it (syslinux doc/pxelinux.txt; U-Boot doc/README.pxe)
	"????????-????-????-????-????????????", "[0-9a-f][0-9a-f]-??-??-??-??-??-??", "default", "default-*",
	"[0-9A-F]", "[0-9A-F][0-9A-F]", "[0-9A-F][0-9A-F][0-9A-F]", "[0-9A-F][0-9A-F][0-9A-F][0-9A-F]", "[0-9A-F][0-9A-F][0-9A-F][0-9A-F][0-9A-F]",
	"[0-9A-F][0-9A-F][0-9A-F][0-9A-F][0-9A-F][0-9A-F]", "[0-9A-F][0-9A-F][0-9A-F][0-9A-F][0-9A-F][0-9A-F][0-9A-F]",
	"[0-9A-F][0-9A-F][0-9A-F][0-9A-F][0-9A-F][0-9A-F][0-9A-F][0-9A-F]",
	// GRUB (grub-core/net/net.c), iPXE
	"grub.cfg*", "boot.cfg*", "*.ipxe",
	// Cisco IOS autoinstall, phones and switches
	"*-confg", "cisconet.cfg", "ciscortr.cfg", "*.cfg", "*.cnf", "*.cnf.xml", "*.conf",
}

// sought reports whether boot firmware may have made up the name.
func sought(name string) bool {
	base := name[strings.LastIndexByte(name, '/')+1:]
	for _, p := range soughtNames {
		if ok, err := path.Match(p, base); ok && err == nil {
			return true
		}
	}
	return false
}

// inTime orders requests by time; of two at one moment the served one comes last, so that the order of arrival decides nothing.
func inTime(a, b step) int {
	rank := func(st step) int {
		if st.c == nil {
			return 1
		}
		return 0
	}
	return cmp.Or(a.at.Compare(b.at), cmp.Compare(rank(a), rank(b)), cmp.Compare(a.name, b.name))
}

// searchWindow is how long after a refusal the served file may come (design section 4).
const searchWindow = 30 * time.Second

// searchSteps bounds what is remembered of one client.
const searchSteps = 64

// searchAdd files the cluster with its client and decides anew which of the client's refusals are a search.
func (j *Join) searchAdd(c *cluster) {
	st, who := c.request()
	if st == c.filed && who == c.client {
		return
	}
	j.searchDrop(c)
	if c.filed, c.client = st, who; st == (step{}) {
		return
	}
	s := j.clients[who]
	if s == nil {
		s = new(search)
		j.clients[who] = s
		j.arrival = append(j.arrival, who)
	}
	at, _ := slices.BinarySearchFunc(s.steps, st, inTime)
	s.steps = slices.Insert(s.steps, at, st)
	j.steps++
	if st.c != nil {
		s.missing++
	}
	if len(s.steps) > searchSteps {
		j.steps -= s.drop(1)
	}
	j.decide(s)
	j.searchBound()
}

// searchBound forgets the clients that came first when too much is remembered: a flood of requests under forged addresses must not fill the memory.
func (j *Join) searchBound() {
	if j.steps <= j.cfg.Steps {
		return
	}
	n := 0
	for ; j.steps > j.cfg.Steps/4*3 && n < len(j.arrival); n++ {
		who := j.arrival[n]
		if s := j.clients[who]; s != nil {
			j.steps -= len(s.steps)
			delete(j.clients, who)
		}
	}
	j.arrival = slices.Delete(j.arrival, 0, n)
}

// request returns the step that the cluster is, or the zero step if it is no read, or not yet known to be served or missed.
func (c *cluster) request() (step, client) {
	var op tallyman.Op
	var peer netip.AddrPort
	served, missed := false, false
	for i := range c.evidence {
		e := &c.evidence[i]
		if op == tallyman.NoOp {
			op = e.Op
		}
		if !peer.IsValid() {
			peer = e.Peer
		}
		switch e.Kind {
		case tallyman.KindRefusal:
			if missed = e.Reason == tallyman.NotFound && sought(e.Name); !missed {
				return step{}, client{}
			}
		case tallyman.KindOpened, tallyman.KindClosed:
			served = true
		default:
		}
	}
	if op != tallyman.OpGet || !peer.IsValid() || !served && !missed {
		return step{}, client{}
	}
	st := step{at: c.start(), seen: c.firstSeen(), name: c.name()}
	if missed {
		st.c = c
	}
	return st, client{c.evidence[0].Host, c.evidence[0].Proto, peer.Addr()}
}

func (c *cluster) start() time.Time {
	var start time.Time
	for i := range c.evidence {
		t := c.evidence[i].Began
		if t.IsZero() {
			t = c.evidence[i].Time
		}
		if start.IsZero() || t.Before(start) {
			start = t
		}
	}
	return start
}

func (c *cluster) firstSeen() time.Time {
	first := seen(&c.evidence[0])
	for i := range c.evidence {
		if at := seen(&c.evidence[i]); at.Before(first) {
			first = at
		}
	}
	return first
}

func (c *cluster) name() string {
	name := ""
	for i := range c.evidence {
		known(&name, c.evidence[i].Name)
	}
	return name
}

// decide walks back in time: a refusal belongs to a search when what came next, within the window, was served or belongs to it.
func (j *Join) decide(s *search) {
	if s.missing == 0 {
		return
	}
	found, until := "", time.Time{}
	for _, st := range slices.Backward(s.steps) {
		switch {
		case st.c == nil:
			found, until = st.name, st.at
			continue
		case found == "" || until.Sub(st.at) > searchWindow:
			found = ""
		default:
			until = st.at
		}
		if st.c.search != found {
			st.c.search = found
			j.touch(st.c)
		}
	}
}

func (s *search) drop(n int) int {
	for _, st := range s.steps[:n] {
		if st.c != nil {
			s.missing--
		}
	}
	s.steps = slices.Delete(s.steps, 0, n)
	return n
}

// remove takes out a step that was filed before more was known of its request.
func (s *search) remove(st step) int {
	i := slices.Index(s.steps, st)
	if i < 0 {
		return 0
	}
	s.steps = slices.Delete(s.steps, i, i+1)
	if st.c != nil {
		s.missing--
	}
	return 1
}

// searchDrop takes out a request that turned out to be another, or was united with one.
func (j *Join) searchDrop(c *cluster) {
	if s := j.clients[c.client]; s != nil && c.filed != (step{}) {
		j.steps -= s.remove(c.filed)
		j.decide(s)
	}
}

// searchForget drops what can no longer be part of a search. Requests are in the order of their own clock; what its clock sets far from ours goes too.
func (j *Join) searchForget() {
	if !apart(j.now, j.swept, time.Second) {
		return
	}
	j.swept = j.now
	for who, s := range j.clients {
		n := 0
		for n < len(s.steps) && apart(j.now, s.steps[n].seen, searchWindow+j.cfg.Settle) {
			n++
		}
		j.steps -= s.drop(n)
		if len(s.steps) == 0 {
			delete(j.clients, who)
		}
	}
	known := make(map[client]bool, len(j.clients))
	j.arrival = slices.DeleteFunc(j.arrival, func(who client) bool {
		gone := j.clients[who] == nil || known[who]
		known[who] = true
		return gone
	})
}

// with adds a member to the details, unless its value is empty.
func with(details, key, value string) string {
	if value == "" {
		return details
	}
	text, err := json.Marshal(tallyman.Escape(value))
	if err != nil {
		return details
	}
	return withMember(details, `"`+key+`":`+string(text))
}

// withMember adds a member to a JSON object.
func withMember(details, member string) string {
	if len(details) < 2 || details == "{}" {
		return "{" + member + "}"
	}
	return details[:len(details)-1] + "," + member + "}"
}
