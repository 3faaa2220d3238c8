package format

import (
	"net/netip"
	"strings"
	"time"

	"tallyman"
)

// hpa reads tftpd-hpa: a child per request, so its pid pairs the lines. It writes requests only with -v and refusals only with -vv, and never
// the end of a transfer that ends well.
type hpa struct {
	requests *memo[int32, *hpaRequest]
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
	assigned []fact
}

func newHPA(Options) Format { return &hpa{requests: newMemo[int32, *hpaRequest]()} }

func (f *hpa) Take(e *Entry, out []tallyman.Evidence) ([]tallyman.Evidence, Result) {
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
		return f.end(e, tallyman.SizeProbe, "client does not accept options", out), Result{}
	case strings.HasPrefix(m, "connection refused from "):
		return f.wrapper(e, m[len("connection refused from "):], out)
	case strings.HasPrefix(m, "nak: "):
		return f.nakLost(e, m[len("nak: "):], out)
	}
	for _, call := range [...]string{"tftpd: read(ack): ", "tftpd: read: ", "tftpd: write(ack): ", "tftpd: write: ", "tftpd: oack: "} {
		if text, ok := strings.CutPrefix(m, call); ok {
			return f.end(e, netReason(text), text, out), Result{}
		}
	}
	for _, call := range [...]string{"recvfrom: ", "bind: ", "fork: ", "cannot ", "Cannot ", "ioctl", "socket", "tftpd: ", "in.tftpd", "received interrupt", "setsockopt"} {
		if strings.HasPrefix(m, call) {
			return out, noted(whyServer)
		}
	}
	return out, refused(whyUnknown)
}

// request reads "IP filename NAME" or "IP filename NAME remapped to NEW", where NAME may hold any text.
func (f *hpa) request(e *Entry, m string, op tallyman.Op, out []tallyman.Evidence) ([]tallyman.Evidence, Result) {
	from, rest, ok := strings.Cut(m, " filename ")
	at, isAddr := peer(from)
	if !ok || !isAddr {
		return out, refused(whyNoAddress)
	}
	old, _ := f.requests.get(e.PID)
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
		r.assigned = []fact{{"remap", "assumed"}}
	case n > 1:
		r.assigned = []fact{{"remap", "ambiguous"}}
	}
	v := e.say(tallyman.KindRequest, "tftp")
	v.Began, v.Op, v.Name, v.Path, v.Peer = r.began, op, r.name, r.path, at
	v.Proc.PID = e.PID
	e.finish(&v, r.assigned...)
	if e.PID != 0 {
		r.name, r.path, r.input = keep(r.name), keep(r.path), keep(r.input)
		f.requests.put(e.PID, r)
	}
	return append(out, v), Result{}
}

// nak reads "CODE, TEXT) to IP".
func (f *hpa) nak(e *Entry, m string, out []tallyman.Evidence) ([]tallyman.Evidence, Result) {
	m, to, ok := cutLast(m, ") to ")
	digits, text, cut := strings.Cut(m, ", ")
	code, isNumber := number(digits)
	at, isAddr := peer(to)
	switch {
	case !ok || !cut || !isNumber || code > 65535:
		return out, refused(whyNumber)
	case !isAddr:
		return out, refused(whyNoAddress)
	}
	r, known := f.requests.get(e.PID)
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
	e.finish(&v, append([]fact{{"code", int(code)}}, r.assigned...)...)
	return append(out, v), Result{}
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
		return denial(r.op)
	case 3:
		return tallyman.DiskFull
	case 4, 5, 8:
		return tallyman.BadRequest
	case 6:
		return tallyman.Exists
	}
	return fileReason(text, denial(r.op))
}

// nakLost is an ERROR that could not be sent. Without -vv it is all that is said of the refusal.
func (f *hpa) nakLost(e *Entry, text string, out []tallyman.Evidence) ([]tallyman.Evidence, Result) {
	r, known := f.requests.get(e.PID)
	if known && r.refused {
		return out, noted(whyRepeated)
	}
	if !known {
		r = &hpaRequest{}
	}
	v := f.of(e, r, tallyman.KindRefusal)
	v.Err = text
	e.finish(&v, r.assigned...)
	return append(out, v), Result{}
}

// wrapper is a denial by hosts.deny. The address that the line names is the server's own (tftpd.c of 5.2).
func (f *hpa) wrapper(e *Entry, own string, out []tallyman.Evidence) ([]tallyman.Evidence, Result) {
	self, ok := peer(own)
	if !ok {
		return out, refused(whyNoAddress)
	}
	v := e.say(tallyman.KindRefusal, "tftp")
	v.Self, v.Reason, v.Proc.PID = self, tallyman.Policy, e.PID
	e.finish(&v)
	return append(out, v), Result{}
}

// end is a warning with which the child gives up.
func (f *hpa) end(e *Entry, reason tallyman.Reason, text string, out []tallyman.Evidence) []tallyman.Evidence {
	r, known := f.requests.get(e.PID)
	if !known {
		r = &hpaRequest{}
	}
	v := f.of(e, r, tallyman.KindClosed)
	v.Reason, v.Err = reason, text
	e.finish(&v, r.assigned...)
	return append(out, v)
}

// of starts evidence about a request that is known.
func (f *hpa) of(e *Entry, r *hpaRequest, kind tallyman.Kind) tallyman.Evidence {
	v := e.say(kind, "tftp")
	v.Began, v.Op, v.Name, v.Path, v.Peer, v.Proc.PID = r.began, r.op, r.name, r.path, r.peer, e.PID
	if r.began.IsZero() {
		v.Name = r.input
	}
	return v
}

// remap notes what the map does with a name, before the request line tells it.
func (f *hpa) remap(e *Entry, m string) Result {
	if e.PID == 0 {
		return noted(whyProgress)
	}
	if input, ok := strings.CutPrefix(m, "input: "); ok {
		f.requests.put(e.PID, &hpaRequest{input: keep(input), mapped: len(input) <= 4096})
		return noted(whyPending)
	}
	rest, isRule := strings.CutPrefix(m, "rule ")
	_, act, ok := strings.Cut(rest, ": ")
	switch {
	case m == "done":
	case isRule && ok && (act == "exit" || strings.HasPrefix(act, "abort")):
		if r, known := f.requests.get(e.PID); known {
			r.stopped = true
		}
	case isRule && ok:
	default:
		return refused(whyUnknown)
	}
	return noted(whyPending)
}
