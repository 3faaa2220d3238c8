package tftp

import (
	"net/netip"
	"strings"
	"time"

	"tallyman"
	"tallyman/source/logs/format/entry"
)

// atftpd reads atftpd, a thread per request. Its own log file tags PID.THREAD, which pairs the lines; through syslog there is only the pid of all threads,
// and a line without a name is paired only while one request is open. Thread ids come again.
type atftpd struct {
	open map[string][]*atftpdThread // by tag; more than one only where the tag names no thread
}

type atftpdThread struct {
	began  time.Time
	op     tallyman.Op
	name   string
	peer   netip.AddrPort // of uploads without port
	refuse bool
	closed tallyman.Reason // what was told of its end
}

// mostOpen bounds the requests of one tag that may run: atftpd has 100 threads. The oldest is forgotten.
const mostOpen = 256

// NewATFTPD returns the format of atftpd.
func NewATFTPD(entry.Options) entry.Format {
	return &atftpd{open: map[string][]*atftpdThread{}}
}

// Take implements entry.Format.
func (f *atftpd) Take(e *entry.Entry, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	m := e.Message
	if i := strings.Index(m, ".c: "); i > 0 && strings.HasPrefix(m, "tftpd") { // "tftpd_file.c: 1178: recvfrom: ...": file and line of the source
		if number, rest, ok := strings.Cut(m[i+4:], ": "); ok && entry.DigitsOnly(number) {
			m = rest
		}
	}
	switch {
	case strings.HasPrefix(m, "Serving "):
		return f.serving(e, m[len("Serving "):], out)
	case strings.HasPrefix(m, "Fetching from "):
		return f.fetching(e, m[len("Fetching from "):], out)
	case strings.HasPrefix(m, "File ") && strings.HasSuffix(m, " not found"):
		return f.refusal(e, m[5:len(m)-len(" not found")], tallyman.NotFound, "not found", out)
	case strings.HasPrefix(m, "error writing to file "):
		return f.end(e, "", tallyman.DiskFull, "error writing to file", out)
	case strings.HasPrefix(m, "Invalid request <"):
		_, from, _ := entry.CutLast(m, "> from ")
		return f.invalid(e, m, from, out)
	case strings.HasPrefix(m, "Invalid request in 1st packet"):
		return f.invalid(e, m, "", out)
	case strings.HasPrefix(m, "client (") && strings.HasSuffix(m, ") not responding"):
		return f.end(e, m[len("client ("):len(m)-len(") not responding")], tallyman.ClientSilent, "not responding", out)
	case strings.HasPrefix(m, "recvfrom: "), strings.HasPrefix(m, "recvmsg: "):
		_, text, _ := strings.Cut(m, ": ")
		return f.end(e, "", entry.NetReason(text), text, out)
	case strings.HasPrefix(m, "sent ERROR <code: "):
		return f.sentError(e, m[len("sent ERROR <code: "):], out)
	case m == "End of transfer":
		return f.finished(e, out)
	case m == "Aborting transfer":
		return f.aborted(e, out)
	case m == "Server thread exiting":
		f.exit(e)
		return out, entry.Note(entry.WhyProgress)
	case strings.HasPrefix(m, "Creating new socket: "):
		return out, entry.Note(entry.WhyProgress)
	}
	for _, start := range [...]string{
		"timeout", "packet discarded", "window block ", "tsize option", "blksize option", "windowsize option", "multicast option",
		"Requested option", "received ", "sent ", "Source port mismatch", "socket may listen",
	} {
		if strings.HasPrefix(m, start) {
			return out, entry.Note(entry.WhyProgress)
		}
	}
	for _, start := range [...]string{" ", "Advanced Trivial", "Unable to ", "SIGTERM", "select:", "atftpd terminating", "Main thread", "can't", "Can't"} {
		if strings.HasPrefix(m, start) {
			return out, entry.Note(entry.WhyServer)
		}
	}
	return out, entry.Refuse(entry.WhyUnknown)
}

// serving reads "NAME to IP:PORT".
func (f *atftpd) serving(e *entry.Entry, m string, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	name, to, ok := entry.CutLast(m, " to ")
	at, isAddr := entry.Endpoint(to)
	if !ok || !isAddr {
		return out, entry.Refuse(entry.WhyNoAddress)
	}
	t := &atftpdThread{began: tallyman.Clean(e.Time), op: tallyman.OpGet, name: name, peer: at}
	v := f.of(e, t, tallyman.KindRequest)
	e.Finish(&v)
	f.begin(e, t)
	return append(out, v), entry.Result{}
}

// fetching reads "IP to NAME". The name may be empty.
func (f *atftpd) fetching(e *entry.Entry, m string, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	from, name, ok := strings.Cut(m, " to ")
	at, isAddr := entry.Peer(from)
	if !ok || !isAddr {
		return out, entry.Refuse(entry.WhyNoAddress)
	}
	t := &atftpdThread{began: tallyman.Clean(e.Time), op: tallyman.OpPut, name: name, peer: at}
	v := f.of(e, t, tallyman.KindRequest)
	e.Finish(&v)
	f.begin(e, t)
	return append(out, v), entry.Result{}
}

func (f *atftpd) invalid(e *entry.Entry, text, from string, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	v := e.Say(tallyman.KindRefusal, "tftp")
	v.Reason, v.Err, v.Session = tallyman.BadRequest, text, thread(e)
	if at, ok := entry.Peer(from); ok {
		v.Peer = at
	}
	e.Finish(&v)
	return append(out, v), entry.Result{}
}

// refusal reads "File PATH not found".
func (f *atftpd) refusal(e *entry.Entry, path string, reason tallyman.Reason, text string, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	t, sure := f.which(e, func(t *atftpdThread) bool {
		return strings.HasSuffix(path, strings.TrimPrefix(t.name, "/")) && t.closed == ""
	})
	v := f.of(e, t, tallyman.KindRefusal)
	v.Path, v.Reason, v.Err = path, reason, text
	t.refuse = true
	f.done(e, t)
	e.Finish(&v, unless(sure)...)
	return append(out, v), entry.Result{}
}

// sentError reads "CODE, msg: TEXT>" of verbose 7.
func (f *atftpd) sentError(e *entry.Entry, m string, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	digits, rest, ok := strings.Cut(m, ", ")
	code, isNumber := entry.Number(digits)
	text, hasText := entry.Between(rest, "msg: ", ">")
	if !ok || !isNumber || !hasText {
		return out, entry.Refuse(entry.WhyNumber)
	}
	t, sure := f.which(e, func(*atftpdThread) bool { return true })
	if !sure || t.refuse || t.closed != "" {
		return out, entry.Note(entry.WhyRepeated)
	}
	v := f.of(e, t, tallyman.KindRefusal)
	v.Err, v.Reason = text, hpaReason(int(code), text, &hpaRequest{op: t.op})
	t.refuse = true
	e.Finish(&v, entry.NewFact("code", int(code)))
	return append(out, v), entry.Result{}
}

// end is the cause why a thread gives up; "Aborting transfer" or "End of transfer" follows.
func (f *atftpd) end(e *entry.Entry, from string, reason tallyman.Reason, text string, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	a, named := entry.Address(from)
	t, sure := f.which(e, func(t *atftpdThread) bool { return !named || t.peer.Addr() == a })
	if t.closed == reason {
		return out, entry.Note(entry.WhyRepeated)
	}
	if !sure && !named {
		return out, entry.Note(whyWhich)
	}
	v := f.of(e, t, tallyman.KindClosed)
	if !sure {
		v.Peer = netip.AddrPortFrom(a, 0)
	}
	v.Reason, v.Err = reason, text
	t.closed = reason
	e.Finish(&v, unless(sure)...)
	return append(out, v), entry.Result{}
}

// whyWhich: through syslog a line of one of several threads.
const whyWhich = "several transfers run and the line does not say which it means"

// finished reads "End of transfer", which is also written when the client has vanished.
func (f *atftpd) finished(e *entry.Entry, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	t, sure := f.which(e, func(*atftpdThread) bool { return true })
	if !sure {
		return out, entry.Note(whyWhich)
	}
	v := f.of(e, t, tallyman.KindClosed)
	facts := []entry.Fact(nil)
	if t.closed == "" {
		v.Reason = entry.WellDone(t.op)
	} else {
		v.Reason = tallyman.ClosedUnproven
		facts = []entry.Fact{entry.Assumed()}
	}
	f.done(e, t)
	e.Finish(&v, facts...)
	return append(out, v), entry.Result{}
}

// aborted reads "Aborting transfer". Without a cause before it, the client has sent an ERROR, of which the server says nothing.
func (f *atftpd) aborted(e *entry.Entry, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	t, sure := f.which(e, func(*atftpdThread) bool { return true })
	if !sure {
		return out, entry.Note(whyWhich)
	}
	f.done(e, t)
	if t.closed != "" || t.refuse {
		return out, entry.Note(entry.WhyRepeated)
	}
	v := f.of(e, t, tallyman.KindClosed)
	v.Reason, t.closed = tallyman.ClientError, tallyman.ClientError
	e.Finish(&v, entry.Assumed())
	return append(out, v), entry.Result{}
}

// thread is the PID.THREAD of the tag, "" where there is only a pid.
func thread(e *entry.Entry) string {
	if strings.Contains(e.Tag, ".") {
		return e.Tag
	}
	return ""
}

func (f *atftpd) begin(e *entry.Entry, t *atftpdThread) {
	t.name = entry.Keep(t.name)
	list := f.open[e.Tag]
	list = append(list, t)
	if thread(e) != "" || len(list) > mostOpen {
		list = list[len(list)-1:]
	}
	if len(f.open) > 2*entry.Remembered {
		clear(f.open)
	}
	f.open[strings.Clone(e.Tag)] = list
}

// which finds the request that a line speaks of; sure is false if it may be another.
func (f *atftpd) which(e *entry.Entry, fits func(*atftpdThread) bool) (t *atftpdThread, sure bool) {
	n := 0
	for _, o := range f.open[e.Tag] {
		if fits(o) {
			t = o
			n++
		}
	}
	if n == 1 {
		return t, true
	}
	return &atftpdThread{}, false
}

// done forgets a request of a shared tag; a thread of its own is forgotten at its exit.
func (f *atftpd) done(e *entry.Entry, t *atftpdThread) {
	if thread(e) != "" {
		return
	}
	list := f.open[e.Tag]
	for i, o := range list {
		if o == t {
			f.open[e.Tag] = append(list[:i:i], list[i+1:]...)
			return
		}
	}
}

func (f *atftpd) exit(e *entry.Entry) {
	if thread(e) != "" {
		delete(f.open, e.Tag)
	}
}

func (f *atftpd) of(e *entry.Entry, t *atftpdThread, kind tallyman.Kind) tallyman.Evidence {
	v := e.Say(kind, "tftp")
	v.Began, v.Op, v.Name, v.Peer, v.Session = t.began, t.op, t.name, t.peer, thread(e)
	return v
}

// unless marks what was paired by less than a key.
func unless(sure bool) []entry.Fact {
	if sure {
		return nil
	}
	return []entry.Fact{entry.Assumed()}
}
