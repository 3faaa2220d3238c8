package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Entry is one message of the journal.
type Entry struct {
	Cursor  string
	Time    time.Time // when the program sent it, else when the journal took it
	Host    string
	Ident   string
	Tag     string // the pid that the program claims
	PID     int32  // the pid that the kernel says (SCM_CREDENTIALS)
	Message string
	Raw     string // the datagram as it came, where journald has changed it; "" else
}

// Gap is a stretch of which the journal says nothing.
type Gap struct {
	From, To time.Time
	Lost     int64 // -1 unknown
	Why      string
}

// record is an entry as journalctl prints it. A field is a string, an array of byte values, null when it is too large, or an array of these when it is
// set more than once (JOURNAL_EXPORT_FORMATS of systemd).
type record struct {
	Cursor   string          `json:"__CURSOR"`
	Realtime string          `json:"__REALTIME_TIMESTAMP"`
	Source   json.RawMessage `json:"_SOURCE_REALTIME_TIMESTAMP"`
	Host     json.RawMessage `json:"_HOSTNAME"`
	Ident    json.RawMessage `json:"SYSLOG_IDENTIFIER"`
	Tag      json.RawMessage `json:"SYSLOG_PID"`
	PID      json.RawMessage `json:"_PID"`
	Comm     json.RawMessage `json:"_COMM"`
	Message  json.RawMessage `json:"MESSAGE"`
	Raw      json.RawMessage `json:"SYSLOG_RAW"`
}

// fields are the fields that are asked for; cursor and time always come.
const fields = "_SOURCE_REALTIME_TIMESTAMP,_HOSTNAME,SYSLOG_IDENTIFIER,SYSLOG_PID,_PID,_COMM,MESSAGE,SYSLOG_RAW"

// errTooLarge: the journal shows no message of this size.
var errTooLarge = errors.New("the journal hides a message that is too large")

// decode reads one line. An entry whose message was set several times gives several, with one cursor.
func decode(line []byte) ([]Entry, error) {
	var r record
	if err := json.Unmarshal(line, &r); err != nil {
		return nil, fmt.Errorf("read an entry of journalctl: %w", err)
	}
	if r.Cursor == "" {
		return nil, errors.New("an entry of journalctl without cursor")
	}
	return r.entries()
}

// entries makes messages of a record.
func (r *record) entries() ([]Entry, error) {
	e := Entry{Cursor: r.Cursor, Host: first(r.Host), Ident: first(r.Ident), Tag: first(r.Tag), Raw: first(r.Raw)}
	for _, stamp := range [...]string{first(r.Source), r.Realtime} {
		if us, err := strconv.ParseInt(stamp, 10, 64); err == nil && us > 0 && e.Time.IsZero() {
			e.Time = time.UnixMicro(us).UTC()
		}
	}
	if e.Time.IsZero() {
		return nil, errors.New("an entry of journalctl without time")
	}
	if pid, err := strconv.ParseInt(first(r.PID), 10, 32); err == nil && pid > 0 {
		e.PID = int32(pid)
	}
	if e.Ident == "" {
		e.Ident = first(r.Comm)
	}
	messages, err := values(r.Message)
	if err != nil {
		return []Entry{e}, err
	}
	out := make([]Entry, 0, len(messages))
	for _, m := range messages {
		e.Message = m
		if len(messages) > 1 {
			e.Raw = ""
		}
		out = append(out, e)
	}
	return out, nil
}

// first is the first value of a field, "" if there is none.
func first(b json.RawMessage) string {
	if len(b) > 1 && b[0] == '"' && bytes.IndexByte(b, '\\') < 0 {
		return string(b[1 : len(b)-1])
	}
	v, err := values(b)
	if err != nil || len(v) == 0 {
		return ""
	}
	return v[0]
}

// values reads a field in each of its four forms.
func values(b json.RawMessage) ([]string, error) {
	b = bytes.TrimSpace(b)
	switch {
	case len(b) == 0:
		return nil, nil
	case b[0] == 'n':
		return nil, errTooLarge
	case b[0] == '"':
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return nil, err
		}
		return []string{s}, nil
	case b[0] != '[':
		return nil, fmt.Errorf("a field of journalctl is %.20q", b)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, err
	}
	var text strings.Builder
	var out []string
	for _, one := range list {
		if len(one) > 0 && one[0] >= '0' && one[0] <= '9' {
			n, err := strconv.ParseUint(string(one), 10, 8)
			if err != nil {
				return nil, fmt.Errorf("a byte of a field of journalctl is %s", one)
			}
			text.WriteByte(byte(n))
			continue
		}
		v, err := values(one)
		if err != nil {
			return nil, err
		}
		out = append(out, v...)
	}
	if text.Len() > 0 {
		out = append(out, text.String())
	}
	return out, nil
}

// place is what a cursor says: the sequence of the journal, the number in it, and the time.
type place struct {
	sequence string
	number   uint64
	at       time.Time
}

func parseCursor(c string) (p place, ok bool) {
	for part := range strings.SplitSeq(c, ";") {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "s":
			p.sequence = value
		case "i":
			n, err := strconv.ParseUint(value, 16, 64)
			if err != nil {
				return place{}, false
			}
			p.number = n
		case "t":
			us, err := strconv.ParseInt(value, 16, 64)
			if err != nil {
				return place{}, false
			}
			p.at = time.UnixMicro(us).UTC()
		}
	}
	return p, p.sequence != "" && !p.at.IsZero()
}

// suppressed reads what journald says when it has dropped messages of a service that logs too fast (RateLimitBurst of journald.conf).
func suppressed(e *Entry) (lost int64, ok bool) {
	if e.Ident != "systemd-journald" {
		return 0, false
	}
	rest, ok := strings.CutPrefix(e.Message, "Suppressed ")
	digits, _, cut := strings.Cut(rest, " messages from ")
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, ok && cut && err == nil && n > 0
}
