package ftp

import (
	"strings"
	"time"

	"tallyman"
	"tallyman/source/logs/format/entry"
	"tallyman/source/logs/format/line"
)

// pureFTPd reads what pure-ftpd writes to syslog: "(USER@CLIENT) [LEVEL] MESSAGE", with -d the commands too. It calls every transfer a
// success, so its claims say nothing about failures.
type pureFTPd struct {
	commands *entry.Memo[int32, pureCommand]
}

type pureCommand struct {
	at         time.Time
	verb, name string
}

// NewPureFTPd returns the format of pure-ftpd in syslog.
func NewPureFTPd(entry.Options) entry.Format {
	return &pureFTPd{commands: entry.NewMemo[int32, pureCommand]()}
}

// Take implements entry.Format.
func (f *pureFTPd) Take(e *entry.Entry, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	head, m, ok := strings.Cut(e.Message, ") [")
	head, open := strings.CutPrefix(head, "(")
	level, m, cut := strings.Cut(m, "] ")
	user, from, at := entry.CutLast(head, "@")
	switch {
	case entry.PAMOther(e.Message):
		return out, entry.Note(entry.WhySession)
	case !ok || !open || !cut || !at:
		return out, entry.Refuse(entry.WhyUnknown)
	}
	v := e.Session(tallyman.KindClosed, "ftp")
	if user != "?" {
		v.User = user
	}
	facts := entry.Client(&v, from)
	c, known := f.commands.Get(e.PID)
	switch {
	case level == "DEBUG":
		return f.command(e, &v, m, facts, out)
	case level == "INFO" && strings.HasSuffix(m, " is now logged in"):
		v.Kind, v.User = tallyman.KindLogin, strings.TrimSuffix(m, " is now logged in")
	case level == "INFO" && strings.HasPrefix(m, "Anonymous user logged in"):
		v.Kind, v.User = tallyman.KindLogin, "anonymous"
	case strings.HasPrefix(m, "Authentication failed for user ["):
		v.Kind, v.Reason, v.Err = tallyman.KindLoginFailed, tallyman.LoginFailed, "authentication failed"
		v.User, _ = entry.Between(m, "Authentication failed for user [", "]")
	case level == "NOTICE" && strings.HasPrefix(m, "/") && strings.HasSuffix(m, "KB/sec)"): // a path is whole, so "Deleted x uploaded  (...)" is none
		if !pureTransfer(&v, m) {
			return out, entry.Refuse(entry.WhyUnknown)
		}
		facts = append(facts, entry.Assumed())
		if known && ftpOp(c.verb).MovesContent() {
			v.Began, v.Name, v.Op = c.at, c.name, ftpOp(c.verb)
			f.commands.Drop(e.PID)
		}
	case level == "NOTICE" && strings.HasPrefix(m, "Deleted "):
		v.Op, v.Reason, v.Path = tallyman.OpDelete, tallyman.ClosedWell, m[len("Deleted "):]
	case level == "NOTICE" && strings.HasPrefix(m, "File successfully renamed or moved: ["):
		pair, _ := entry.Between(m, "File successfully renamed or moved: [", "]")
		v.Op, v.Reason = tallyman.OpRename, tallyman.ClosedWell
		if strings.Count(pair, "]->[") != 1 {
			return out, entry.Refuse(entry.WhyAmbiguous)
		}
		v.From, v.Path, _ = strings.Cut(pair, "]->[")
	case level == "ERROR" || level == "WARNING" || strings.HasPrefix(m, "Can't "):
		if !known {
			return out, entry.Note(entry.WhySession)
		}
		v.Err, v.Op, v.Name, v.Began = m, ftpOp(c.verb), c.name, c.at
		_, text, _ := entry.CutLast(m, ": ")
		v.Kind, v.Reason = tallyman.KindCommandRefused, tallyman.NotAllowed
		if v.Op.MovesContent() {
			v.Kind, v.Reason = tallyman.KindRefusal, entry.FileReason(text, entry.Denial(v.Op))
		} else {
			v.Began = time.Time{}
		}
		facts = append(facts, entry.NewFact("command", c.verb))
	default:
		return out, entry.Note(entry.WhySession)
	}
	e.Finish(&v, facts...)
	return append(out, v), entry.Result{}
}

// command reads "Command [stor] [NAME]".
func (f *pureFTPd) command(e *entry.Entry, v *tallyman.Evidence, m string, facts []entry.Fact, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	inner, ok := entry.Between(m, "Command [", "]")
	verb, name, cut := strings.Cut(inner, "] [")
	if !ok || !cut {
		return out, entry.Note(entry.WhySession)
	}
	if e.PID != 0 {
		f.commands.Put(e.PID, pureCommand{at: v.Time, verb: entry.Keep(strings.ToUpper(verb)), name: entry.Keep(name)})
	}
	op := ftpOp(verb)
	if !op.MovesContent() {
		return out, entry.Note(entry.WhySession)
	}
	v.Kind, v.Op, v.Name, v.Began = tallyman.KindRequest, op, name, v.Time
	e.Finish(v, facts...)
	return append(out, *v), entry.Result{}
}

// pureTransfer reads "PATH uploaded  (N bytes, RKB/sec)" from the end.
func pureTransfer(v *tallyman.Evidence, m string) bool {
	path, counts, ok := entry.CutLast(m, "  (")
	digits, _, cut := strings.Cut(counts, " bytes, ")
	n, isNumber := entry.Number(digits)
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

// NewPureW3C returns the format of pure-ftpd in the form of the W3C.
func NewPureW3C(entry.Options) entry.Format { return pureW3C{} }

// PureW3CLine reads a line of a W3C log.
func PureW3CLine(raw string, c line.Clock) (entry.Entry, bool) {
	at, rest, ok := c.ISO(raw)
	if !ok {
		return entry.Entry{}, false
	}
	_, _, _, ok = w3cParts(rest)
	return entry.Entry{Time: at, Message: rest, Raw: raw}, ok
}

func w3cParts(s string) (host, verb, rest string, ok bool) {
	s, ok = strings.CutPrefix(s, " ")
	host, s, cut := strings.Cut(s, " ")
	verb, rest, cut2 := strings.Cut(s, " ")
	return host, verb, rest, ok && cut && cut2 && (verb == "[]created" || verb == "[]sent")
}

// Take implements entry.Format.
func (pureW3C) Take(e *entry.Entry, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	host, verb, rest, ok := w3cParts(e.Message)
	rest, size, ok1 := entry.CutLast(rest, " ")
	rest, user, ok2 := entry.CutLast(rest, " ")
	path, code, ok3 := entry.CutLast(rest, " ")
	n, isNumber := entry.Number(size)
	if !ok || !ok1 || !ok2 || !ok3 || !isNumber || !entry.DigitsOnly(code) {
		return out, entry.Refuse(entry.WhyNumber)
	}
	v := e.Say(tallyman.KindClosed, "ftp")
	facts := append(entry.Client(&v, host), entry.Assumed())
	v.User, v.Path, v.Moved, v.Op = user, path, n, tallyman.OpGet
	if verb == "[]created" {
		v.Op = tallyman.OpPut
	}
	v.Reason = entry.WellDone(v.Op)
	e.Finish(&v, facts...)
	return append(out, v), entry.Result{}
}

// pureStats reads AltLog stats: "1795196838 6b0087a5.12a3 USER CLIENT U BYTES SECONDS PATH".
type pureStats struct{}

// NewPureStats returns the format of pure-ftpd's stats.
func NewPureStats(entry.Options) entry.Format { return pureStats{} }

// PureStatsLine reads a line of pure-ftpd's stats.
func PureStatsLine(raw string, _ line.Clock) (entry.Entry, bool) {
	stamp, rest, ok := strings.Cut(raw, " ")
	seconds, isNumber := entry.Number(stamp)
	if !ok || !isNumber || seconds < 1e8 || seconds > 1e11 {
		return entry.Entry{}, false
	}
	_, ok = statsParts(rest)
	return entry.Entry{Time: time.Unix(seconds, 0).UTC(), Message: rest, Raw: raw}, ok
}

func statsParts(s string) (p [7]string, ok bool) {
	for i := range 6 {
		if p[i], s, ok = strings.Cut(s, " "); !ok || p[i] == "" {
			return p, false
		}
	}
	p[6] = s
	return p, (p[3] == "U" || p[3] == "D") && entry.DigitsOnly(p[4]) && entry.DigitsOnly(p[5])
}

// Take implements entry.Format.
func (pureStats) Take(e *entry.Entry, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	p, ok := statsParts(e.Message)
	if !ok {
		return out, entry.Refuse(entry.WhyNotOwn)
	}
	v := e.Say(tallyman.KindClosed, "ftp")
	took, _ := entry.Number(p[5])
	facts := append(entry.Client(&v, p[2]), entry.Assumed(), entry.NewFact("seconds", took))
	v.Session, v.User, v.Path, v.Op = p[0], p[1], p[6], tallyman.OpGet
	v.Moved, _ = entry.Number(p[4])
	if p[3] == "U" {
		v.Op = tallyman.OpPut
	}
	v.Reason = entry.WellDone(v.Op)
	e.Finish(&v, facts...)
	return append(out, v), entry.Result{}
}
