package entry

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

	Format string // which format reads it
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

// String implements fmt.Stringer.
func (o Outcome) String() string { return outcomeNames[o] }

// Result is an outcome with its reason. Why is a constant text: it can be counted by.
type Result struct {
	Outcome Outcome
	Why     string
}

// Note is the result of an entry that was understood and tells nothing by itself.
func Note(why string) Result { return Result{Noted, why} }

// Refuse is the result of an entry that was not understood.
func Refuse(why string) Result { return Result{Refused, why} }

// Reasons that formats share.
const (
	WhyUnknown   = "a message that this format does not know"
	WhyAmbiguous = "the name makes the line ambiguous"
	WhyServer    = "about the server itself"
	WhyProgress  = "about the course of a transfer"
	WhySession   = "about the course of a session"
	WhyPending   = "waits for the lines that follow"
	WhyRepeated  = "says again what was told"
	WhyNoAddress = "the client is no address"
	WhyNumber    = "a number that is none"
	WhyNotOwn    = "not a line of this format"
)

// Format is one format with what it remembers. Take appends the evidence of one entry to out. It belongs to one goroutine.
type Format interface {
	Take(e *Entry, out []tallyman.Evidence) ([]tallyman.Evidence, Result)
}

// Settler is a Format that holds back what a later line may change.
type Settler interface {
	// Settle appends what has been held back since before then.
	Settle(then time.Time, out []tallyman.Evidence) []tallyman.Evidence
}

// Say starts evidence of the  The caller adds details last, by finish.
func (e *Entry) Say(kind tallyman.Kind, proto string) tallyman.Evidence {
	v := tallyman.Unknown()
	v.Time, v.Host, v.Witness, v.Kind, v.Proto, v.Raw = tallyman.Clean(e.Time), e.Host, Witness, kind, proto, e.Raw
	return v
}

// Session is say for a server with one process per login.
func (e *Entry) Session(kind tallyman.Kind, proto string) tallyman.Evidence {
	v := e.Say(kind, proto)
	if e.PID > 0 {
		v.Proc.PID = e.PID
		v.Session = pidText(e.PID)
	}
	return v
}

// Finish writes the details of the evidence.
func (e *Entry) Finish(v *tallyman.Evidence, facts ...Fact) {
	v.Details = e.details(facts)
}

// Address reads an address, with or without brackets and scope, and shows a mapped one as IPv4.
func Address(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}

// Peer is an address whose port the log does not say.
func Peer(s string) (netip.AddrPort, bool) {
	a, ok := Address(s)
	return netip.AddrPortFrom(a, 0), ok
}

// Endpoint reads ADDRESS:PORT, also of IPv6 without brackets, as C programs print it.
func Endpoint(s string) (netip.AddrPort, bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return netip.AddrPort{}, false
	}
	port, ok := Number(s[i+1:])
	host := strings.TrimSuffix(strings.TrimPrefix(s[:i], "["), "]")
	a, found := Address(host)
	if !ok || !found || port > 65535 {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a, uint16(port)), true
}

// Client sets the peer; a name that is no address goes to the details.
func Client(v *tallyman.Evidence, s string) []Fact {
	if p, ok := Peer(s); ok {
		v.Peer = p
		return nil
	}
	return []Fact{{"client", s}}
}

// Number reads decimal digits and nothing else.
func Number(s string) (int64, bool) {
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

// CutLast splits around the last sep.
func CutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// Between returns what stands between the prefix and the suffix of s.
func Between(s, prefix, suffix string) (string, bool) {
	s, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(s, suffix)
}

// FromLine makes an entry of a line of syslog text.
func FromLine(raw string, c line.Clock) (Entry, bool) {
	h, message, ok := line.Parse(raw, c)
	if !ok {
		return Entry{}, false
	}
	return Entry{Time: h.Time, Host: h.Host, Ident: h.Ident, PID: h.PID(), Tag: h.Tag, Note: h.Note, Message: message, Raw: raw}, true
}

// DigitsOnly reports whether a text is of digits alone.
func DigitsOnly(s string) bool {
	_, ok := Number(s)
	return ok
}
