package join

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"tallyman"
)

// key is what two pieces of evidence have in common that certainly speak of one transfer. Who else speaks of it is found by comparing: see rematch.
type key struct {
	host, family string
	peer         netip.AddrPort
	self         netip.Addr // without the port: that of a TFTP server changes with its first answer
	began        int64      // microseconds
}

// deed is what evidence of one process and one file has in common, or of one process, or nothing but itself.
type deed struct {
	host, witness string
	began         int64
	proc          int32
	file          string
	seq           tallyman.ID // of evidence that has nothing in common with other
}

// keysOf returns the keys of the evidence: who saw it from both ends names a transfer by the client's port and the time of its request. A log
// names it by the process and the time of its line, the file system by the process, the file and the time of its opening.
func keysOf(e *tallyman.Evidence) (k key, both bool, d deed, one bool) {
	if e.Peer.IsValid() && e.Peer.Port() != 0 && !e.Began.IsZero() {
		k, both = key{host: e.Host, family: family(e.Proto), peer: e.Peer, self: e.Self.Addr(), began: e.Began.UnixMicro()}, true
	}
	switch {
	case e.Proc.PID != 0 && !e.Began.IsZero() && (e.Witness == "log" || e.Witness == "files"):
		d, one = deed{host: e.Host, witness: e.Witness, proc: e.Proc.PID, file: e.File, began: e.Began.UnixMicro()}, true
		if e.Witness == "log" && e.Session != "" {
			d.file = e.Name // one login, many files, and a stamp may have whole seconds
		}
	case e.Witness == "files" && e.File != "" && !e.Began.IsZero(): // inotify knows no process
		d, one = deed{host: e.Host, witness: e.Witness, file: e.File + "/" + e.Op.Direction(), began: e.Began.UnixMicro()}, true
	case !both && e.Session != "" && !e.Began.IsZero() && e.Witness == "log": // a thread (atftpd); of an upload it does not know the client's port
		d, one = deed{host: e.Host, witness: e.Witness, file: e.Session + "/" + e.Name, began: e.Began.UnixMicro()}, true
	case !both:
		d, one = deed{host: e.Host, witness: e.Witness, seq: e.ID}, true
	}
	return k, both, d, one
}

// cluster is all evidence of one transfer.
type cluster struct {
	id       tallyman.UUID
	rev      uint32
	keys     []key
	deeds    []deed
	evidence []tallyman.Evidence // sorted
	doubtful []tallyman.Evidence // of a record: what may be that of another one of the crowd
	search   string              // the file that ended the boot search to which this refusal belongs
	filed    step                // where the request stands among those of its client
	client   client
	shared   bool // a judged transfer holds the evidence: it is cloned before it is moved about
	dirty    bool
	ended    bool
	merged   bool
	lost     bool      // it fell silent across a gap
	missed   time.Time // when that was found
	mute     bool      // the file was closed, and the log of its server, which would say so before, has not
	heard    time.Time // when the newest evidence of it was seen

	face      face
	lanes     []lane
	up        *cluster   // whose record it is part of; nil: it has its own
	down      []*cluster // who is part of its record
	byProcess bool       // up was found by the process
	vague     bool       // up was found by name and order, and others fit as well
	crowd     crowd      // what else may belong to it
	past      int        // of how many it was one when some of them were forgotten
	told      bool       // the stores have a record under its id
	handle    handle     // of a file under a temporary name
	released  bool       // evidence that comes later begins another one
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

// closed reports whether the cluster's own witness said how it ended. A log line of a request is the last word, often: few servers write down an end.
func (c *cluster) closed() bool {
	claim := true
	for i := range c.evidence {
		e := &c.evidence[i]
		if ends(e) {
			return true
		}
		claim = claim && e.Witness == "log"
	}
	return claim
}

func ends(e *tallyman.Evidence) bool {
	return e.Kind == tallyman.KindClosed || e.Kind == tallyman.KindRefusal
}
