package tftp

import (
	"net/netip"
	"strings"
	"time"

	"tallyman"
	"tallyman/source/logs/format/entry"
)

// hpa reads tftpd-hpa: a child per request, so its pid pairs the lines. It writes requests only with -v and refusals only with -vv, and never
// the end of a transfer that ends well.
type hpa struct {
	requests *entry.Memo[int32, *hpaRequest]
}

// hpaRequest is what is known of one child.
type hpaRequest struct {
	began    time.Time // of the request line; zero as long as there are only lines of the map (-vvv)
	op       tallyman.Op
	name     string
	path     string
	peer     netip.AddrPort
	input    string // the name before the map
	mapped   bool   // input is known
	stopped  bool   // the map refused the name
	refused  bool
	assigned []entry.Fact
}

// NewHPA returns the format of tftpd-hpa.
func NewHPA(entry.Options) entry.Format { return &hpa{requests: entry.NewMemo[int32, *hpaRequest]()} }

// Take implements entry.Format.
func (f *hpa) Take(e *entry.Entry, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	m := strings.TrimSuffix(e.Message, "\n")
	switch {
	case strings.HasPrefix(m, "RRQ from "):
		return f.request(e, m[len("RRQ from "):], tallyman.OpGet, out)
	case strings.HasPrefix(m, "WRQ from "):
		return f.request(e, m[len("WRQ from "):], tallyman.OpPut, out)
	case strings.HasPrefix(m, "sending NAK ("):
		return f.nak(e, m[len("sending NAK ("):], out)
	case strings.HasPrefix(m, "remap: "):
		return out, f.remap(e, m[len("remap: "):])
	case m == "tftp: client does not accept options":
		return f.end(e, tallyman.SizeProbe, "client does not accept options", out), entry.Result{}
	case strings.HasPrefix(m, "connection refused from "):
		return f.wrapper(e, m[len("connection refused from "):], out)
	case strings.HasPrefix(m, "nak: "):
		return f.nakLost(e, m[len("nak: "):], out)
	}
	for _, call := range [...]string{"tftpd: read(ack): ", "tftpd: read: ", "tftpd: write(ack): ", "tftpd: write: ", "tftpd: oack: "} {
		if text, ok := strings.CutPrefix(m, call); ok {
			return f.end(e, entry.NetReason(text), text, out), entry.Result{}
		}
	}
	for _, call := range [...]string{"recvfrom: ", "bind: ", "fork: ", "cannot ", "Cannot ", "ioctl", "socket", "tftpd: ", "in.tftpd", "received interrupt", "setsockopt"} {
		if strings.HasPrefix(m, call) {
			return out, entry.Note(entry.WhyServer)
		}
	}
	return out, entry.Refuse(entry.WhyUnknown)
}

// request reads "IP filename NAME" or "IP filename NAME remapped to NEW", where NAME may hold any text.
func (f *hpa) request(e *entry.Entry, m string, op tallyman.Op, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	from, rest, ok := strings.Cut(m, " filename ")
	at, isAddr := entry.Peer(from)
	if !ok || !isAddr {
		return out, entry.Refuse(entry.WhyNoAddress)
	}
	old, _ := f.requests.Get(e.PID)
	r := &hpaRequest{began: tallyman.Clean(e.Time), op: op, name: rest, peer: at}
	if old != nil && old.mapped && old.began.IsZero() {
		r.input, r.mapped, r.stopped = old.input, true, old.stopped
	}
	const arrow = " remapped to "
	switch n := strings.Count(rest, arrow); {
	case r.mapped && rest == r.input: // the map left it as it was
	case r.mapped && strings.HasPrefix(rest, r.input+arrow):
		r.name, r.path = r.input, rest[len(r.input)+len(arrow):]
	case n == 1: // a map's work, or a client's joke
		r.name, r.path, _ = strings.Cut(rest, arrow)
		r.assigned = []entry.Fact{entry.NewFact("remap", "assumed")}
	case n > 1:
		r.assigned = []entry.Fact{entry.NewFact("remap", "ambiguous")}
	}
	v := e.Say(tallyman.KindRequest, "tftp")
	v.Began, v.Op, v.Name, v.Path, v.Peer = r.began, op, r.name, r.path, at
	v.Proc.PID = e.PID
	e.Finish(&v, r.assigned...)
	if e.PID != 0 {
		r.name, r.path, r.input = entry.Keep(r.name), entry.Keep(r.path), entry.Keep(r.input)
		f.requests.Put(e.PID, r)
	}
	return append(out, v), entry.Result{}
}

// nak reads "CODE, TEXT) to IP".
func (f *hpa) nak(e *entry.Entry, m string, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	m, to, ok := entry.CutLast(m, ") to ")
	digits, text, cut := strings.Cut(m, ", ")
	code, isNumber := entry.Number(digits)
	at, isAddr := entry.Peer(to)
	switch {
	case !ok || !cut || !isNumber || code > 65535:
		return out, entry.Refuse(entry.WhyNumber)
	case !isAddr:
		return out, entry.Refuse(entry.WhyNoAddress)
	}
	r, known := f.requests.Get(e.PID)
	if !known {
		r = &hpaRequest{}
	}
	reason := hpaReason(int(code), text, r)
	v := f.of(e, r, tallyman.KindRefusal)
	if r.op == tallyman.OpPut && code != 8 && reason == tallyman.DiskFull {
		v.Kind = tallyman.KindClosed // it is found out while blocks are written
	}
	v.Peer, v.Reason, v.Err = at, reason, text
	r.refused = true
	e.Finish(&v, append([]entry.Fact{entry.NewFact("code", int(code))}, r.assigned...)...)
	return append(out, v), entry.Result{}
}

// hpaReason knows the texts of the server and of the C library.
func hpaReason(code int, text string, r *hpaRequest) tallyman.Reason {
	if r.stopped {
		return tallyman.RemapDenied
	}
	switch text {
	case "File must have global read permissions":
		return tallyman.NotReadable
	case "File must have global write permissions":
		return tallyman.NotWritable
	case "Insufficient space for options":
		return tallyman.BadRequest
	}
	switch code {
	case 1:
		return tallyman.NotFound
	case 2:
		return entry.Denial(r.op)
	case 3:
		return tallyman.DiskFull
	case 4, 5, 8:
		return tallyman.BadRequest
	case 6:
		return tallyman.Exists
	}
	return entry.FileReason(text, entry.Denial(r.op))
}

// nakLost is an ERROR that could not be sent. Without -vv it is all that is said of the refusal.
func (f *hpa) nakLost(e *entry.Entry, text string, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	r, known := f.requests.Get(e.PID)
	if known && r.refused {
		return out, entry.Note(entry.WhyRepeated)
	}
	if !known {
		r = &hpaRequest{}
	}
	v := f.of(e, r, tallyman.KindRefusal)
	v.Err = text
	e.Finish(&v, r.assigned...)
	return append(out, v), entry.Result{}
}

// wrapper is a denial by hosts.deny. The address that the line names is the server's own (tftpd.c of 5.2).
func (f *hpa) wrapper(e *entry.Entry, own string, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	self, ok := entry.Peer(own)
	if !ok {
		return out, entry.Refuse(entry.WhyNoAddress)
	}
	v := e.Say(tallyman.KindRefusal, "tftp")
	v.Self, v.Reason, v.Proc.PID = self, tallyman.Policy, e.PID
	e.Finish(&v)
	return append(out, v), entry.Result{}
}

// end is a warning with which the child gives up.
func (f *hpa) end(e *entry.Entry, reason tallyman.Reason, text string, out []tallyman.Evidence) []tallyman.Evidence {
	r, known := f.requests.Get(e.PID)
	if !known {
		r = &hpaRequest{}
	}
	v := f.of(e, r, tallyman.KindClosed)
	v.Reason, v.Err = reason, text
	e.Finish(&v, r.assigned...)
	return append(out, v)
}

// of starts evidence about a request that is known.
func (f *hpa) of(e *entry.Entry, r *hpaRequest, kind tallyman.Kind) tallyman.Evidence {
	v := e.Say(kind, "tftp")
	v.Began, v.Op, v.Name, v.Path, v.Peer, v.Proc.PID = r.began, r.op, r.name, r.path, r.peer, e.PID
	if r.began.IsZero() {
		v.Name = r.input
	}
	return v
}

// remap notes what the map does with a name, before the request line tells it.
func (f *hpa) remap(e *entry.Entry, m string) entry.Result {
	if e.PID == 0 {
		return entry.Note(entry.WhyProgress)
	}
	if input, ok := strings.CutPrefix(m, "input: "); ok {
		f.requests.Put(e.PID, &hpaRequest{input: entry.Keep(input), mapped: len(input) <= 4096})
		return entry.Note(entry.WhyPending)
	}
	rest, isRule := strings.CutPrefix(m, "rule ")
	_, act, ok := strings.Cut(rest, ": ")
	switch {
	case m == "done":
	case isRule && ok && (act == "exit" || strings.HasPrefix(act, "abort")):
		if r, known := f.requests.Get(e.PID); known {
			r.stopped = true
		}
	case isRule && ok:
	default:
		return entry.Refuse(entry.WhyUnknown)
	}
	return entry.Note(entry.WhyPending)
}
