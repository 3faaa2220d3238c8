package ssh

import (
	"strings"
	"time"

	"tallyman"
	"tallyman/source/logs/format/entry"
)

// sshd reads the logins of OpenSSH. A process per connection: what one line leaves out, such as the client, an earlier line of the pid may have told. Some
// lines are failures only if no success follows (a second key, PAM before the password): these wait.
//
// A user name may hold any text, addresses too: names are read from both ends, and of two readings the one with the known client of this pid counts.
type sshd struct {
	connections *entry.Memo[int32, *sshConnection]
	waiting     map[int32]*sshConnection // those with something that waits
	silence     *Silence
}

type sshConnection struct {
	host, port string
	user       string
	told       bool // a failed login was told
	waits      *tallyman.Evidence
	waitsFacts []entry.Fact
	waitsEntry entry.Entry
	keys       int // keys that were tried in vain
}

// mostWaiting bounds the failures that wait for their connection; more are told at once.
const mostWaiting = 4096

// NewSSHD returns the format of sshd.
func NewSSHD(silence *Silence) entry.Format {
	return &sshd{connections: entry.NewMemo[int32, *sshConnection](), waiting: map[int32]*sshConnection{}, silence: silence}
}

// Take implements entry.Format.
func (f *sshd) Take(e *entry.Entry, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	m := e.Message
	if strings.HasPrefix(m, "[ID ") { // Solaris: "[ID 800047 auth.info] "
		if _, rest, ok := strings.Cut(m, "] "); ok {
			m = rest
		}
	}
	m = strings.TrimRight(m, " ")
	m, preauth := strings.CutSuffix(m, " [preauth]")
	m = strings.TrimPrefix(strings.TrimPrefix(m, "error: "), "fatal: ")
	c, known := f.connections.Get(e.PID)
	if !known || e.PID == 0 {
		c = &sshConnection{}
	}
	a := &sshLine{f: f, e: e, c: c, preauth: preauth, out: out}
	for i := range sshRules {
		if rest, ok := strings.CutPrefix(m, sshRules[i].start); ok {
			result := sshRules[i].take(a, rest)
			if a.unsure {
				c.host, c.port = "", ""
			}
			if e.PID != 0 {
				f.connections.Put(e.PID, c)
			}
			return a.out, result
		}
	}
	if entry.PAMOther(m) {
		return out, entry.Note(entry.WhySession)
	}
	return out, entry.Refuse(entry.WhyUnknown)
}

// sshLine is one line that is being read.
type sshLine struct {
	f       *sshd
	e       *entry.Entry
	c       *sshConnection
	preauth bool
	unsure  bool // the client that was read may be another one
	out     []tallyman.Evidence
}

// at remembers the client of the connection.
func (a *sshLine) at(host, port string) {
	if host != "" {
		a.c.host, a.c.port = entry.Keep(host), entry.Keep(port)
	}
}

// evidence starts evidence about the connection.
func (a *sshLine) evidence(kind tallyman.Kind) (tallyman.Evidence, []entry.Fact) {
	v := a.e.Session(kind, "sftp")
	v.User = a.c.user
	var facts []entry.Fact
	if p, ok := entry.Endpoint(a.c.host + ":" + a.c.port); ok && a.c.port != "" {
		v.Peer = p
	} else if a.c.host != "" {
		facts = entry.Client(&v, a.c.host)
	}
	return v, facts
}

// fail tells a failed login. A failure of a connection of which one was told is marked.
func (a *sshLine) fail(reason tallyman.Reason, text string, facts ...entry.Fact) entry.Result {
	v, more := a.evidence(tallyman.KindLoginFailed)
	v.Reason, v.Err = reason, text
	facts = append(facts, more...)
	if a.c.told && reason != tallyman.LoginFailed {
		facts = append(facts, entry.NewFact("repeats", true))
	}
	a.c.told, a.c.waits, a.c.keys = true, nil, 0
	delete(a.f.waiting, a.e.PID)
	a.e.Finish(&v, facts...)
	a.out = append(a.out, v)
	return entry.Result{}
}

// wait keeps a failure back until it is known what became of the connection.
func (a *sshLine) wait(text string) entry.Result {
	v, facts := a.evidence(tallyman.KindLoginFailed)
	v.Reason, v.Err = tallyman.LoginFailed, text
	if a.e.PID == 0 || len(a.f.waiting) >= mostWaiting && a.f.waiting[a.e.PID] == nil {
		a.e.Finish(&v, facts...)
		a.out = append(a.out, v)
		return entry.Result{}
	}
	a.c.waits, a.c.waitsFacts, a.c.waitsEntry = &v, facts, *a.e
	a.f.waiting[a.e.PID] = a.c
	return entry.Note(entry.WhyPending)
}

// release tells what was kept back.
func (c *sshConnection) release(out []tallyman.Evidence) []tallyman.Evidence {
	if c.waits == nil {
		return out
	}
	c.waitsEntry.Finish(c.waits, c.waitsFacts...)
	out = append(out, *c.waits)
	c.waits, c.told = nil, true
	return out
}

// Settle implements entry.Settler.
func (f *sshd) Settle(then time.Time, out []tallyman.Evidence) []tallyman.Evidence {
	for pid, c := range f.waiting {
		if c.waits == nil {
			delete(f.waiting, pid)
			continue
		}
		if !c.waits.Time.After(then) {
			out = c.release(out)
			delete(f.waiting, pid)
		}
	}
	return out
}

// sshFrom is one reading of "USER from HOST [port N] [ssh2][: more]".
type sshFrom struct{ user, host, port string }

// readFrom finds the client in text that begins with a user name, by the readings that are possible: the client of this pid if it is known, else the
// first one. unsure says that another reading remains.
func (a *sshLine) readFrom(s string) (r sshFrom, unsure, ok bool) {
	n := 0
	for i := 0; ; {
		j := strings.Index(s[i:], "from ")
		if j < 0 {
			break
		}
		at := i + j
		i = at + len("from ")
		if at > 0 && s[at-1] != ' ' {
			continue
		}
		one, fits := readEnd(s[i:])
		if !fits {
			continue
		}
		one.user = strings.TrimSuffix(s[:at], " ")
		n++
		if n == 1 || a.c.host != "" && one.host == a.c.host && r.host != a.c.host {
			r = one
		}
	}
	return r, n > 1 && r.host != a.c.host, n > 0
}

// readEnd reads "HOST", "HOST port N", "HOST port N ssh2", "HOST port N ssh2: more" or "HOST via ADDRESS" to the end of the line.
func readEnd(s string) (r sshFrom, ok bool) {
	host, rest, more := strings.Cut(s, " ")
	if host == "" {
		return sshFrom{}, false
	}
	r.host = host
	if !more {
		return r, true
	}
	if _, found := strings.CutPrefix(rest, "via "); found {
		return r, !strings.Contains(rest[4:], " ")
	}
	rest, found := strings.CutPrefix(rest, "port ")
	if !found {
		return sshFrom{}, false
	}
	r.port, rest, more = strings.Cut(rest, " ")
	if !entry.DigitsOnly(r.port) {
		return sshFrom{}, false
	}
	return r, !more || rest == "ssh1" || rest == "ssh2" || strings.HasPrefix(rest, "ssh1: ") || strings.HasPrefix(rest, "ssh2: ")
}

// readLast reads "USER HOST port N" or "HOST [port N]" from the end: a user name may hold spaces.
func readLast(s string) (r sshFrom, ok bool) {
	if head, port, cut := entry.CutLast(s, " port "); cut && entry.DigitsOnly(port) {
		s, r.port = head, port
	}
	var more bool
	r.user, r.host, more = entry.CutLast(s, " ")
	if !more {
		r.user, r.host = "", s
	}
	_, ok = entry.Address(r.host)
	return r, ok
}

// known reads client and user of the rest of a line and remembers them.
func (a *sshLine) known(s string) (facts []entry.Fact, ok bool) {
	r, unsure, ok := a.readFrom(s)
	if !ok {
		return nil, false
	}
	if unsure {
		facts = []entry.Fact{entry.NewFact("peer", "ambiguous")}
	}
	a.at(r.host, r.port)
	a.c.user, a.unsure = entry.Keep(r.user), unsure
	return facts, true
}
