// Package rule says what is remarkable about records: built-in detectors, one file each, one line each in the table.
//
//	Transfer, Event, Gap --Take--> each rule of the table --> Findings: rule, severity, about which records, key, why
//
// It promises: windows are measured by the records' own times, so that a replay of history finds what was found live; a finding has the same UUID
// whenever it is found again; memory is bounded by Config.Keys for each rule, the key that was quiet longest is forgotten first, and counted. One key is
// told once until it has been quiet for Config.Quiet.
//
// It is pure, and a Set belongs to one goroutine. Storing findings, telling people and silencing them is for others.
package rule

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"tallyman"
)

// Config is what the rules are told.
type Config struct {
	BruteForce Threshold
	Quiet      time.Duration // a key that was told is not told again before it has been quiet for so long
	Keys       int           // how many keys each rule remembers
	Off        []string      // names of rules that are not looked at
}

// Memory is how far back a rule may need to look: what is older than this changes no finding of now, but for bursts that have gone on without a pause since.
func (c *Config) Memory() time.Duration { return c.BruteForce.Within + c.Quiet }

// Told is how far back findings of a former run matter: what was told then is not told again.
func (c *Config) Told() time.Duration { return max(c.Memory(), day) }

// Threshold is a count that is too much within a time.
type Threshold struct {
	Over   int
	Within time.Duration
}

// Defaults returns the rules as they are without configuration.
func Defaults() Config {
	return Config{BruteForce: Threshold{Over: 5, Within: 10 * time.Minute}, Quiet: 10 * time.Minute, Keys: 4096}
}

// detector is one rule. Take looks at one record and returns what it finds about it, if anything.
type detector interface {
	take(r tallyman.Record) (found, bool)
	recall(f *tallyman.Finding) // it was told in a former run
	forgotten() int64
}

// found is a finding without what the table says of its rule.
type found struct {
	at    time.Time
	about []tallyman.UUID
	key   string
	why   string
}

// table is all rules (design section 9).
var table = [...]struct {
	name     string
	severity tallyman.Severity
	make     func(Config) detector
}{
	{"brute-force", tallyman.High, newBruteForce},
	{"bounce", tallyman.High, newBounce},
	{"data-peer-mismatch", tallyman.High, newDataPeer},
	{"plaintext-login", tallyman.Low, newPlaintext},
	{"mount-new", tallyman.Info, newMountNew},
}

// Names lists the rules.
func Names() []string {
	names := make([]string, len(table))
	for i := range table {
		names[i] = table[i].name
	}
	return names
}

// Set is all rules with what they remember. A rule that is off is nil.
type Set struct {
	rules [len(table)]detector
}

// New returns a Set that has seen nothing.
func New(cfg Config) *Set {
	s := new(Set)
	for i := range table {
		if !slices.Contains(cfg.Off, table[i].name) {
			s.rules[i] = table[i].make(cfg)
		}
	}
	return s
}

// Take looks at one record. The caller owns the findings.
func (s *Set) Take(r tallyman.Record) []*tallyman.Finding {
	var out []*tallyman.Finding
	for i, d := range s.rules {
		if d == nil {
			continue
		}
		f, ok := d.take(r)
		if !ok {
			continue
		}
		out = append(out, &tallyman.Finding{
			ID: draw(table[i].name, &f), At: f.at, Rule: table[i].name, Severity: table[i].severity, About: f.about, Key: f.key, Why: f.why,
		})
	}
	return out
}

// Recall lets the rules look at a record of a former run, in the order of its time, findings among them, so that their windows go on where they were. It tells
// nothing: what it finds was told then.
func (s *Set) Recall(r tallyman.Record) {
	f, isFinding := r.(*tallyman.Finding)
	for i, d := range s.rules {
		switch {
		case d == nil:
		case !isFinding:
			d.take(r)
		case f.Rule == table[i].name:
			d.recall(f)
		}
	}
}

// Forgotten counts the keys that were forgotten for want of room.
func (s *Set) Forgotten() int64 {
	n := int64(0)
	for _, d := range s.rules {
		if d != nil {
			n += d.forgotten()
		}
	}
	return n
}

// draw makes the UUID of a finding of the rule, its key and the record that made it.
func draw(rule string, f *found) tallyman.UUID {
	h := sha256.New()
	h.Write([]byte(rule + "\x00" + f.key + "\x00"))
	if n := len(f.about); n > 0 {
		h.Write(f.about[n-1][:])
	}
	sum := h.Sum(nil)
	var id tallyman.ID
	copy(id.Agent[:], sum)
	id.Seq = binary.BigEndian.Uint64(sum[16:])
	return tallyman.DrawUUID(f.at, id)
}

// keyOf names a client on a host.
func keyOf(client netip.Addr, host string) string {
	if host == "" {
		return client.String()
	}
	return client.String() + " on " + host
}
