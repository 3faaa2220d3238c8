package format

import (
	"strings"
	"time"

	"tallyman"
	"tallyman/source/logs/format/line"
)

// pureFTPd reads what pure-ftpd writes to syslog: "(USER@CLIENT) [LEVEL] MESSAGE", with -d the commands too. It calls every transfer a
// success, so its claims say nothing about failures.
type pureFTPd struct {
	commands *memo[int32, pureCommand]
}

type pureCommand struct {
	at         time.Time
	verb, name string
}

func newPureFTPd(Options) Format { return &pureFTPd{commands: newMemo[int32, pureCommand]()} }

func (f *pureFTPd) Take(e *Entry, out []tallyman.Evidence) ([]tallyman.Evidence, Result) {
	head, m, ok := strings.Cut(e.Message, ") [")
	head, open := strings.CutPrefix(head, "(")
	level, m, cut := strings.Cut(m, "] ")
	user, from, at := cutLast(head, "@")
	switch {
	case pamOther(e.Message):
		return out, noted(whySession)
	case !ok || !open || !cut || !at:
		return out, refused(whyUnknown)
	}
	v := e.session(tallyman.KindClosed, "ftp")
	if user != "?" {
		v.User = user
	}
	facts := client(&v, from)
	c, known := f.commands.get(e.PID)
	switch {
	case level == "DEBUG":
		return f.command(e, &v, m, facts, out)
	case level == "INFO" && strings.HasSuffix(m, " is now logged in"):
		v.Kind, v.User = tallyman.KindLogin, strings.TrimSuffix(m, " is now logged in")
	case level == "INFO" && strings.HasPrefix(m, "Anonymous user logged in"):
		v.Kind, v.User = tallyman.KindLogin, "anonymous"
	case strings.HasPrefix(m, "Authentication failed for user ["):
		v.Kind, v.Reason, v.Err = tallyman.KindLoginFailed, tallyman.LoginFailed, "authentication failed"
		v.User, _ = between(m, "Authentication failed for user [", "]")
	case level == "NOTICE" && strings.HasPrefix(m, "/") && strings.HasSuffix(m, "KB/sec)"): // a path is whole, so "Deleted x uploaded  (...)" is none
		if !pureTransfer(&v, m) {
			return out, refused(whyUnknown)
		}
		facts = append(facts, isAssumed())
		if known && ftpOp(c.verb).MovesContent() {
			v.Began, v.Name, v.Op = c.at, c.name, ftpOp(c.verb)
			f.commands.drop(e.PID)
		}
	case level == "NOTICE" && strings.HasPrefix(m, "Deleted "):
		v.Op, v.Reason, v.Path = tallyman.OpDelete, tallyman.ClosedWell, m[len("Deleted "):]
	case level == "NOTICE" && strings.HasPrefix(m, "File successfully renamed or moved: ["):
		pair, _ := between(m, "File successfully renamed or moved: [", "]")
		v.Op, v.Reason = tallyman.OpRename, tallyman.ClosedWell
		if strings.Count(pair, "]->[") != 1 {
			return out, refused(whyAmbiguous)
		}
		v.From, v.Path, _ = strings.Cut(pair, "]->[")
	case level == "ERROR" || level == "WARNING" || strings.HasPrefix(m, "Can't "):
		if !known {
			return out, noted(whySession)
		}
		v.Err, v.Op, v.Name, v.Began = m, ftpOp(c.verb), c.name, c.at
		_, text, _ := cutLast(m, ": ")
		v.Kind, v.Reason = tallyman.KindCommandRefused, tallyman.NotAllowed
		if v.Op.MovesContent() {
			v.Kind, v.Reason = tallyman.KindRefusal, fileReason(text, denial(v.Op))
		} else {
			v.Began = time.Time{}
		}
		facts = append(facts, fact{"command", c.verb})
	default:
		return out, noted(whySession)
	}
	e.finish(&v, facts...)
	return append(out, v), Result{}
}

// command reads "Command [stor] [NAME]".
func (f *pureFTPd) command(e *Entry, v *tallyman.Evidence, m string, facts []fact, out []tallyman.Evidence) ([]tallyman.Evidence, Result) {
	inner, ok := between(m, "Command [", "]")
	verb, name, cut := strings.Cut(inner, "] [")
	if !ok || !cut {
		return out, noted(whySession)
	}
	if e.PID != 0 {
		f.commands.put(e.PID, pureCommand{at: v.Time, verb: keep(strings.ToUpper(verb)), name: keep(name)})
	}
	op := ftpOp(verb)
	if !op.MovesContent() {
		return out, noted(whySession)
	}
	v.Kind, v.Op, v.Name, v.Began = tallyman.KindRequest, op, name, v.Time
	e.finish(v, facts...)
	return append(out, *v), Result{}
}

// pureTransfer reads "PATH uploaded  (N bytes, RKB/sec)" from the end.
func pureTransfer(v *tallyman.Evidence, m string) bool {
	path, counts, ok := cutLast(m, "  (")
	digits, _, cut := strings.Cut(counts, " bytes, ")
	n, isNumber := number(digits)
	if !ok || !cut || !isNumber {
		return false
	}
	v.Moved = n
	if v.Path, ok = strings.CutSuffix(path, " uploaded"); ok {
		v.Op, v.Reason = tallyman.OpPut, tallyman.Stored
		return true
	}
	v.Path, ok = strings.CutSuffix(path, " downloaded")
	v.Op, v.Reason = tallyman.OpGet, tallyman.ClosedWell
	return ok
}

// pureW3C reads AltLog w3c: "2026-11-20 17:47:13 CLIENT []created PATH 226 USER BYTES".
type pureW3C struct{}

func newPureW3C(Options) Format { return pureW3C{} }

func pureW3CLine(raw string, c line.Clock) (Entry, bool) {
	at, rest, ok := c.ISO(raw)
	if !ok {
		return Entry{}, false
	}
	_, _, _, ok = w3cParts(rest)
	return Entry{Time: at, Message: rest, Raw: raw}, ok
}

func w3cParts(s string) (host, verb, rest string, ok bool) {
	s, ok = strings.CutPrefix(s, " ")
	host, s, cut := strings.Cut(s, " ")
	verb, rest, cut2 := strings.Cut(s, " ")
	return host, verb, rest, ok && cut && cut2 && (verb == "[]created" || verb == "[]sent")
}

func (pureW3C) Take(e *Entry, out []tallyman.Evidence) ([]tallyman.Evidence, Result) {
	host, verb, rest, ok := w3cParts(e.Message)
	rest, size, ok1 := cutLast(rest, " ")
	rest, user, ok2 := cutLast(rest, " ")
	path, code, ok3 := cutLast(rest, " ")
	n, isNumber := number(size)
	if !ok || !ok1 || !ok2 || !ok3 || !isNumber || !digitsOnly(code) {
		return out, refused(whyNumber)
	}
	v := e.say(tallyman.KindClosed, "ftp")
	facts := append(client(&v, host), isAssumed())
	v.User, v.Path, v.Moved, v.Op = user, path, n, tallyman.OpGet
	if verb == "[]created" {
		v.Op = tallyman.OpPut
	}
	v.Reason = wellDone(v.Op)
	e.finish(&v, facts...)
	return append(out, v), Result{}
}

// pureStats reads AltLog stats: "1795196838 6b0087a5.12a3 USER CLIENT U BYTES SECONDS PATH".
type pureStats struct{}

func newPureStats(Options) Format { return pureStats{} }

func pureStatsLine(raw string, _ line.Clock) (Entry, bool) {
	stamp, rest, ok := strings.Cut(raw, " ")
	seconds, isNumber := number(stamp)
	if !ok || !isNumber || seconds < 1e8 || seconds > 1e11 {
		return Entry{}, false
	}
	_, ok = statsParts(rest)
	return Entry{Time: time.Unix(seconds, 0).UTC(), Message: rest, Raw: raw}, ok
}

func statsParts(s string) (p [7]string, ok bool) {
	for i := range 6 {
		if p[i], s, ok = strings.Cut(s, " "); !ok || p[i] == "" {
			return p, false
		}
	}
	p[6] = s
	return p, (p[3] == "U" || p[3] == "D") && digitsOnly(p[4]) && digitsOnly(p[5])
}

func (pureStats) Take(e *Entry, out []tallyman.Evidence) ([]tallyman.Evidence, Result) {
	p, ok := statsParts(e.Message)
	if !ok {
		return out, refused(whyNotOwn)
	}
	v := e.say(tallyman.KindClosed, "ftp")
	took, _ := number(p[5])
	facts := append(client(&v, p[2]), isAssumed(), fact{"seconds", took})
	v.Session, v.User, v.Path, v.Op = p[0], p[1], p[6], tallyman.OpGet
	v.Moved, _ = number(p[4])
	if p[3] == "U" {
		v.Op = tallyman.OpPut
	}
	v.Reason = wellDone(v.Op)
	e.finish(&v, facts...)
	return append(out, v), Result{}
}
