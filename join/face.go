package join

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tallyman"
)

// role is what kind of witness a cluster's evidence is of. The roles of one transfer bear each other out: a file event the log line, that the
// packets, those our own server.
type role uint8

const (
	noRole role = iota
	filesRole
	logRole
	wireRole
	serverRole
)

func roleOf(witness string) role {
	switch witness {
	case "server":
		return serverRole
	case "wire":
		return wireRole
	case "log":
		return logRole
	case "files":
		return filesRole
	default:
		return noRole
	}
}

// face is what of a cluster can be compared with what others saw.
type face struct {
	role     role
	host     string
	family   string // tftp, ftp (with ftps), sftp; "" of files
	way      string // download, upload
	peer     netip.AddrPort
	base     string    // last element of the name or path
	name     string    // the name as asked, without a leading slash; of those who do not know it, the path
	pid      int32     // whose file events these are
	logger   int32     // who wrote the log line
	takers   []int32   // who answered the packets, where the kernel told; each of them took the request once
	at       time.Time // the request; of a log that tells only the end, and of what has no begin, the end
	ending   bool      // at is the end
	until    time.Time // the end, zero while it runs
	requests int       // how often it was asked
	oneDeed  bool      // the process served this transfer alone
	nameOnly bool      // a name was changed or deleted: no content was moved
	dark     bool      // packets of a transfer whose name, and perhaps way, is encrypted
	broken   bool      // its packets say that it failed
	moved    int64     // bytes as this witness counts them, -1 = not known
	up, down int64     // bytes of the client and of the server, encrypted
}

// look makes the face of the cluster.
func (c *cluster) look() face {
	f := face{moved: -1}
	for i := range c.evidence {
		e := &c.evidence[i]
		if r := roleOf(e.Witness); r > f.role {
			f.role = r
		}
	}
	for i := range c.evidence {
		e := &c.evidence[i]
		if e.Kind == tallyman.KindRenamed {
			f.base, f.name = lastOf(e.Path), strings.TrimLeft(e.Path, "/")
			continue
		}
		known(&f.host, e.Host)
		if f.family == "" {
			f.family = family(e.Proto)
		}
		if f.way == "" {
			f.way = e.Op.Direction()
		}
		f.nameOnly = f.nameOnly || !e.Op.HasVerdict()
		if !f.peer.IsValid() || f.peer.Port() == 0 {
			if e.Peer.IsValid() {
				f.peer = e.Peer
			}
		}
		switch {
		case e.Proc.PID == 0:
		case e.Witness == "wire" && f.role == wireRole:
			if !slices.Contains(f.takers, e.Proc.PID) {
				f.takers = append(f.takers, e.Proc.PID)
			}
		case e.Witness == "files" && f.role == filesRole:
			f.pid = e.Proc.PID
		case e.Witness == "log":
			f.logger = e.Proc.PID
			f.oneDeed = f.oneDeed || e.Session == "" // a process for each request
		}
		if f.base == "" {
			known(&f.base, lastOf(e.Name))
			known(&f.base, lastOf(e.Path))
		}
		if f.name == "" {
			known(&f.name, strings.TrimLeft(e.Name, "/"))
			known(&f.name, strings.TrimLeft(e.Path, "/"))
		}
		if roleOf(e.Witness) == f.role {
			f.times(e)
			f.moved = max(f.moved, e.Moved)
		}
	}
	f.dark = f.role == wireRole && f.family == "ftp" && f.base == ""
	if f.at.IsZero() {
		f.at, f.ending = f.until, true
	}
	return f
}

// times takes when the cluster's own witness saw begin and end.
func (f *face) times(e *tallyman.Evidence) {
	begin := e.Began
	if begin.IsZero() && (e.Kind == tallyman.KindRequest || e.Kind == tallyman.KindOpened) {
		begin = e.Time
	}
	if !begin.IsZero() && (f.at.IsZero() || begin.Before(f.at)) {
		f.at = begin
	}
	if ends(e) && e.Time.After(f.until) {
		f.until = e.Time
	}
	if e.Witness == "wire" && ends(e) {
		var d struct {
			Requests int   `json:"requests"`
			Up       int64 `json:"wire_bytes_up"`
			Down     int64 `json:"wire_bytes_down"`
		}
		if json.Unmarshal([]byte(e.Details), &d) == nil { // a witness without details asked once
			v, _ := ruling(e)
			f.broken = v.Outcome() == "failure"
			f.requests, f.up, f.down = max(f.requests, d.Requests), d.Up, d.Down
		}
	}
}

func family(proto string) string {
	if proto == "ftps" {
		return "ftp"
	}
	return proto
}

// lastOf is the last element of a name. Names differ between witnesses in what stands before it: a root, a chroot, a leading slash.
func lastOf(name string) string {
	name = strings.TrimRight(name, "/")
	return name[strings.LastIndexByte(name, '/')+1:]
}

// foreign reports whether the cluster may be borne out by, or bear out, another.
func (f *face) foreign() bool { return f.role == filesRole || f.role == logRole || f.role == wireRole }
