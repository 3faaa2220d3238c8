package join

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"tallyman"
)

// key is what two pieces of evidence of one transfer have in common. Either both ends with the moment of the request, or the process that
// served nothing but this transfer.
type key struct {
	host, proto string
	peer        netip.AddrPort
	self        netip.Addr // without the port: that of a TFTP server changes with its first answer
	began       int64      // microseconds
	proc        tallyman.Proc
}

// keysOf returns the keys of the evidence. Our own server, one process for all transfers, names a transfer by both ends and the time of its request; a
// foreign server that forks for each transfer is named by its process.
func keysOf(e *tallyman.Evidence) []key {
	keys := make([]key, 0, 2)
	if e.Peer.IsValid() && !e.Began.IsZero() {
		keys = append(keys, key{host: e.Host, proto: e.Proto, peer: e.Peer, self: e.Self.Addr(), began: e.Began.UnixMicro()})
	}
	if e.Proc.PID != 0 && e.Witness != "server" {
		keys = append(keys, key{host: e.Host, proto: e.Proto, proc: e.Proc})
	}
	return keys
}

// cluster is all evidence of one transfer.
type cluster struct {
	id       tallyman.UUID
	rev      uint32
	keys     []key
	evidence []tallyman.Evidence // sorted
	search   string              // the file that ended the boot search to which this refusal belongs
	filed    step                // where the request stands among those of its client
	client   client
	shared   bool // a judged transfer holds the evidence: it is cloned before it is moved about
	dirty    bool
	ended    bool
	merged   bool
	lost     bool      // it fell silent across a gap
	missed   time.Time // when that was found
	heard    time.Time // when the newest evidence of it was seen
}

// add keeps the evidence in order and reports whether it says anything new. Of reports of progress only the furthest stays.
func (c *cluster) add(e tallyman.Evidence) bool {
	for i := range c.evidence {
		old := &c.evidence[i]
		if !e.ID.IsZero() && old.ID == e.ID {
			return false
		}
		if e.Kind == tallyman.KindProgress && old.Kind == tallyman.KindProgress && old.Witness == e.Witness {
			if order(*old, e) >= 0 {
				return false
			}
			c.own()
			c.evidence = slices.Delete(c.evidence, i, i+1)
			break
		}
	}
	if n := len(c.evidence); n > 0 && order(c.evidence[n-1], e) > 0 {
		c.own()
		at, _ := slices.BinarySearchFunc(c.evidence, e, order)
		c.evidence = slices.Insert(c.evidence, at, e)
		return true
	}
	if c.evidence == nil {
		c.evidence = make([]tallyman.Evidence, 0, 2)
	}
	c.evidence = append(c.evidence, e)
	return true
}

// own makes the evidence the cluster's alone.
func (c *cluster) own() {
	if c.shared {
		c.evidence, c.shared = slices.Clone(c.evidence), false
	}
}

// order sorts evidence by its time, then by its nature, so that evidence of one moment has one order.
func order(a, b tallyman.Evidence) int {
	return cmp.Or(
		a.Time.Compare(b.Time), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Witness, b.Witness), cmp.Compare(a.Moved, b.Moved), a.ID.Compare(b.ID),
	)
}

func (c *cluster) last() time.Time { return c.evidence[len(c.evidence)-1].Time }

// closed reports whether a witness said how it ended.
func (c *cluster) closed() bool {
	for i := range c.evidence {
		if ends(&c.evidence[i]) {
			return true
		}
	}
	return false
}

func ends(e *tallyman.Evidence) bool {
	return e.Kind == tallyman.KindClosed || e.Kind == tallyman.KindRefusal
}
