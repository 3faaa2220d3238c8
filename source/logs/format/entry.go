package format

import (
	"net/netip"
	"strings"
	"time"

	"tallyman"
	"tallyman/source/logs/format/line"
)

// Witness is the name that evidence of logs is signed with.
const Witness = "log"

// Entry is one message of a server.
type Entry struct {
	Time    time.Time // UTC
	Host    string
	Ident   string // the tag without pid
	PID     int32  // 0 = unknown
	Tag     string // what the tag holds in brackets: a pid, or pid.thread
	Note    string // what the tag holds in round brackets
	Message string
	Raw     string // the line as it came
	Certain bool   // where the message begins and ends is certain: a journal entry or a datagram, no line of a text file

	format string // which format reads it
}

// Outcome is what became of an entry.
type Outcome uint8

// An entry that is noted was understood, and has nothing to tell by itself.
const (
	Told Outcome = iota
	Noted
	Refused
)

var outcomeNames = [...]string{"told", "noted", "refused"}

func (o Outcome) String() string { return outcomeNames[o] }

// Result is an outcome with its reason. Why is a constant text: it can be counted by.
type Result struct {
	Outcome Outcome
	Why     string
}

func noted(why string) Result   { return Result{Noted, why} }
func refused(why string) Result { return Result{Refused, why} }

// Reasons that formats share.
const (
	whyUnknown   = "a message that this format does not know"
	whyAmbiguous = "the name makes the line ambiguous"
	whyServer    = "about the server itself"
	whyProgress  = "about the course of a transfer"
	whySession   = "about the course of a session"
	whyPending   = "waits for the lines that follow"
	whyRepeated  = "says again what was told"
	whyNoAddress = "the client is no address"
	whyNumber    = "a number that is none"
)

// Format is one format with what it remembers. Take appends the evidence of one entry to out. It belongs to one goroutine.
type Format interface {
	Take(e *Entry, out []tallyman.Evidence) ([]tallyman.Evidence, Result)
}

// settler is a Format that holds back what a later line may change.
type settler interface {
	// settle appends what has been held back since before then.
	settle(then time.Time, out []tallyman.Evidence) []tallyman.Evidence
}

// say starts evidence of the entry. The caller adds details last, by finish.
func (e *Entry) say(kind tallyman.Kind, proto string) tallyman.Evidence {
	v := tallyman.Unknown()
	v.Time, v.Host, v.Witness, v.Kind, v.Proto, v.Raw = tallyman.Clean(e.Time), e.Host, Witness, kind, proto, e.Raw
	return v
}

// session is say for a server with one process per login.
func (e *Entry) session(kind tallyman.Kind, proto string) tallyman.Evidence {
	v := e.say(kind, proto)
	if e.PID > 0 {
		v.Proc.PID = e.PID
		v.Session = pidText(e.PID)
	}
	return v
}

// finish writes the details of the evidence.
func (e *Entry) finish(v *tallyman.Evidence, facts ...fact) {
	v.Details = e.details(facts)
}

// address reads an address, with or without brackets and scope, and shows a mapped one as IPv4.
func address(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}

// peer is an address whose port the log does not say.
func peer(s string) (netip.AddrPort, bool) {
	a, ok := address(s)
	return netip.AddrPortFrom(a, 0), ok
}

// endpoint reads ADDRESS:PORT, also of IPv6 without brackets, as C programs print it.
func endpoint(s string) (netip.AddrPort, bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return netip.AddrPort{}, false
	}
	port, ok := number(s[i+1:])
	host := strings.TrimSuffix(strings.TrimPrefix(s[:i], "["), "]")
	a, found := address(host)
	if !ok || !found || port > 65535 {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a, uint16(port)), true
}

// client sets the peer; a name that is no address goes to the details.
func client(v *tallyman.Evidence, s string) []fact {
	if p, ok := peer(s); ok {
		v.Peer = p
		return nil
	}
	return []fact{{"client", s}}
}

// number reads decimal digits and nothing else.
func number(s string) (int64, bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	var n int64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}

// cutLast splits around the last sep.
func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// between returns what stands between the prefix and the suffix of s.
func between(s, prefix, suffix string) (string, bool) {
	s, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(s, suffix)
}

// fromLine makes an entry of a line of syslog text.
func fromLine(raw string, c line.Clock) (Entry, bool) {
	h, message, ok := line.Parse(raw, c)
	if !ok {
		return Entry{}, false
	}
	return Entry{Time: h.Time, Host: h.Host, Ident: h.Ident, PID: h.PID(), Tag: h.Tag, Note: h.Note, Message: message, Raw: raw}, true
}
