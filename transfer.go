package tallyman

import (
	"net/netip"
	"time"
)

// Transfer is one movement of one file, as the evidence of all witnesses tells it. A judgement is followed by a newer one (Rev), never
// edited. Absent numbers are -1. Name and paths are raw bytes; JSON escapes them.
type Transfer struct {
	ID     UUID
	Rev    uint32
	Merged UUID // in the last revision of a record that was united with an older one: the older one's ID

	Start time.Time
	End   time.Time // zero while it runs
	Seen  time.Time // when we learnt the newest evidence

	Host     string
	Proto    string
	Op       Op
	Client   netip.AddrPort
	Server   netip.AddrPort
	Software string // of the server, where known

	User    string
	WhoWhy  string // why the user or process is not known
	Proc    Proc
	Exe     string
	Login   string
	Session string

	Name    string // as asked, raw bytes
	Path    string
	NewPath string
	ToClass string // local removable network cloud
	Device  string

	Expected int64 // bytes announced
	Bytes    int64 // payload bytes proven to have moved
	Digest   Digest
	Content  Content

	Judgement Judgement
	Details   string // canonical JSON object; "" = none
	Tags      []string
	Evidence  []Evidence // in show and why only
}

// Took returns the time from the first to the last evidence, and false while the transfer runs.
func (t *Transfer) Took() (time.Duration, bool) {
	if t.End.IsZero() {
		return 0, false
	}
	return t.End.Sub(t.Start), true
}

// File returns the name that people see: the name as asked, or the path where nobody asked for a name; escaped.
func (t *Transfer) File() string {
	if t.Name != "" {
		return Escape(t.Name)
	}
	return Escape(t.Path)
}

// Event is evidence that stands alone: a mount, a login, an order.
type Event struct {
	ID      UUID
	At      time.Time
	Host    string
	Witness string
	Kind    string
	Client  netip.AddrPort
	Server  netip.AddrPort
	User    string
	Proc    Proc
	Exe     string
	Path    string
	ToClass string
	Device  string
	Login   string
	Session string
	Text    string
}

// Gap is a stretch in which a witness could not see. Lost counts what it knows to have missed, -1 when it cannot know.
type Gap struct {
	ID       UUID
	Host     string
	Witness  string
	From, To time.Time
	Lost     int64
	Why      string
}

// Severity orders findings.
type Severity uint8

// The severities, lowest first.
const (
	Info Severity = iota
	Low
	Medium
	High
	Critical
)

var severityNames = [...]string{"info", "low", "medium", "high", "critical"}

// String returns the word that JSON and configuration use.
func (s Severity) String() string { return word(severityNames[:], int(s)) }

// MarshalText implements encoding.TextMarshaler.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText accepts what MarshalText gives.
func (s *Severity) UnmarshalText(text []byte) error {
	return parseWord(s, severityNames[:], "severity", text)
}

// Finding is what a rule says about records.
type Finding struct {
	ID       UUID
	At       time.Time
	Rule     string
	Severity Severity
	About    []UUID
	Key      string
	Why      string
}

// Record is a Transfer, Event, Gap or Finding, and nothing else.
type Record interface{ record() }

func (*Transfer) record() {}
func (*Event) record()    {}
func (*Gap) record()      {}
func (*Finding) record()  {}
