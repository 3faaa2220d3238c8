package ftp

import (
	"net/url"
	"strings"

	"tallyman"
	"tallyman/source/logs/format/entry"
	"tallyman/source/logs/format/line"
)

// The common log format, as ProFTPD and pure-ftpd write it:
//
//	localhost UNKNOWN u [27/Nov/2026:00:55:17 +0000] "STOR up a.bin" 226 3000000      ProFTPD, ExtendedLog without a LogFormat
//	[20/Nov/2026:17:42:04 +0000] 192.0.2.1 u "STOR up.bin" 226 6291456 1.054 f=...    ProFTPD, the LogFormat of our README
//	localhost - u [20/Nov/2026:17:47:08 -0000] "PUT /srv/up.bin" 200 6291456          pure-ftpd, AltLog clf
//
// The command is read from its own quote to the last one, so that a name may hold quotes.
type commonLine struct {
	host, user string
	verb, name string
	code       int64
	bytes      string
	rest       string
	twice      bool // the command may end earlier: a name holds a quote and a code
}

// commonEntry reads the stamp, wherever it stands, and checks the rest.
func commonEntry(raw string, c line.Clock) (entry.Entry, commonLine, bool) {
	open := strings.IndexByte(raw, '[')
	if open < 0 || open > 600 {
		return entry.Entry{}, commonLine{}, false
	}
	at, after, ok := c.Common(raw[open+1:])
	if !ok || !strings.HasPrefix(after, "] ") {
		return entry.Entry{}, commonLine{}, false
	}
	after = after[2:]
	var l commonLine
	if open == 0 {
		var cut bool
		if l.host, after, cut = strings.Cut(after, " "); !cut {
			return entry.Entry{}, commonLine{}, false
		}
		if l.user, after, cut = strings.Cut(after, ` "`); !cut {
			return entry.Entry{}, commonLine{}, false
		}
	} else {
		before, cut := strings.CutSuffix(raw[:open], " ")
		host, rest, cut2 := strings.Cut(before, " ")
		_, user, cut3 := strings.Cut(rest, " ") // the name by RFC 1413 is one word
		after, ok = strings.CutPrefix(after, `"`)
		if !cut || !cut2 || !cut3 || !ok {
			return entry.Entry{}, commonLine{}, false
		}
		l.host, l.user = host, user
	}
	command, tail, cut := commandEnd(after)
	if !cut {
		return entry.Entry{}, commonLine{}, false
	}
	_, _, l.twice = commandEnd(command + `" `)
	l.verb, l.name, _ = strings.Cut(command, " ")
	digits, tail, _ := strings.Cut(tail, " ")
	if l.code, ok = entry.Number(digits); !ok {
		if digits != "-" {
			return entry.Entry{}, commonLine{}, false
		}
		l.code = 0
	}
	l.bytes, l.rest, _ = strings.Cut(tail, " ")
	if _, ok := entry.Number(l.bytes); !ok && l.bytes != "-" {
		return entry.Entry{}, commonLine{}, false
	}
	return entry.Entry{Time: at, Message: raw, Raw: raw}, l, true
}

// commandEnd finds the last quote that a reply code follows.
func commandEnd(s string) (command, tail string, ok bool) {
	for end := len(s); end > 0; {
		i := strings.LastIndex(s[:end], `" `)
		if i < 0 {
			return "", "", false
		}
		end = i + 1
		if code, _, _ := strings.Cut(s[i+2:], " "); code == "-" || entry.DigitsOnly(code) && len(code) == 3 {
			return s[:i], s[i+2:], true
		}
	}
	return "", "", false
}

// fill puts into the evidence what both servers say alike.
func (l *commonLine) fill(v *tallyman.Evidence) []entry.Fact {
	facts := entry.Client(v, l.host)
	if l.user != "-" {
		v.User = l.user
	}
	if n, ok := entry.Number(l.bytes); ok {
		v.Moved = n
	}
	return facts
}

// extended reads ExtendedLog of ProFTPD.
type extended struct{ opt entry.Options }

// NewExtended returns the format of ProFTPD's ExtendedLog.
func NewExtended(o entry.Options) entry.Format { return extended{o} }

// ExtendedLine reads a line of ProFTPD's ExtendedLog.
func ExtendedLine(raw string, c line.Clock) (entry.Entry, bool) {
	e, l, ok := commonEntry(raw, c)
	return e, ok && l.verb != "" && l.verb == strings.ToUpper(l.verb)
}

// Take implements entry.Format.
func (x extended) Take(e *entry.Entry, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	_, l, ok := commonEntry(e.Message, line.Clock{Zone: x.opt.Zone})
	switch {
	case !ok:
		return out, entry.Refuse(entry.WhyNotOwn)
	case l.twice && l.rest != "": // %f repeats the name, so the last quote may be in there
		return out, entry.Refuse(entry.WhyAmbiguous)
	}
	v := e.Say(tallyman.KindClosed, "ftp")
	facts := append(l.fill(&v), entry.NewFact("code", l.code))
	status, why := "", ""
	if at := strings.Index(l.rest, "f="); at >= 0 {
		var middle string
		var ok bool
		middle, status, ok = entry.CutLast(l.rest[at+2:], " st=")
		status, _, _ = strings.Cut(status, " ")
		path, reason, hasWhy := entry.CutLast(middle, " why=")
		if ok && hasWhy {
			if path != "-" {
				v.Path = path
			}
			if reason != "-" {
				why = reason
			}
		}
	}
	if status != "" && status != "-" {
		facts = append(facts, entry.NewFact("status", status))
	}
	if !ftpDone(&v, l.verb, l.code, why) {
		return out, entry.Note(entry.WhySession)
	}
	switch {
	case v.Kind == tallyman.KindCommandRefused:
		facts = append(facts, refusedCommand(&v, l.verb, l.name)...)
	case l.verb == "USER":
		v.User = l.name
	case l.verb != "PASS":
		v.Name = l.name
	}
	facts = append(facts, unconfirmed(&v)...)
	if v.Kind == tallyman.KindClosed && status == "cancelled" {
		v.Reason = tallyman.ClientGone // or it said ABOR: ProFTPD writes the same for both
		facts = append(facts, entry.Assumed())
	}
	if !v.Op.MovesContent() {
		v.Moved = -1
	}
	e.Finish(&v, facts...)
	return append(out, v), entry.Result{}
}

// pureCLF reads AltLog clf of pure-ftpd: every line says 200, also of transfers that were cut. Tallyman writes 426 of those.
type pureCLF struct{ opt entry.Options }

// NewPureCLF returns the format of pure-ftpd in the common log format.
func NewPureCLF(o entry.Options) entry.Format { return pureCLF{o} }

// PureCLFLine reads a line of a common log.
func PureCLFLine(raw string, c line.Clock) (entry.Entry, bool) {
	e, l, ok := commonEntry(raw, c)
	return e, ok && (l.verb == "GET" || l.verb == "PUT") && (l.code == 200 || l.code == 426)
}

// Take implements entry.Format.
func (x pureCLF) Take(e *entry.Entry, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	_, l, ok := commonEntry(e.Message, line.Clock{Zone: x.opt.Zone})
	if !ok {
		return out, entry.Refuse(entry.WhyNotOwn)
	}
	v := e.Say(tallyman.KindClosed, "ftp")
	facts := append(l.fill(&v), entry.Assumed())
	v.Path, v.Op = l.name, tallyman.OpGet
	if name, err := url.PathUnescape(l.name); err == nil { // altlog.c writes %XX for all but letters, digits and ./_-
		v.Path = name
	}
	if l.verb == "PUT" {
		v.Op = tallyman.OpPut
	}
	v.Reason = entry.WellDone(v.Op)
	if l.code == 426 {
		v.Reason = tallyman.Truncated
	}
	e.Finish(&v, facts...)
	return append(out, v), entry.Result{}
}
