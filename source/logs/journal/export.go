package journal

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Export reads entries that journalctl wrote into a file, with -o json (one object a line, also as -o json-seq) or with -o export. Memory is bounded by
// one entry.
type Export struct {
	r      *bufio.Reader
	binary bool // -o export
	count  int64
}

const (
	longestField = 128 << 10 // of -o export; what is longer is hidden, as journalctl hides it
	mostFields   = 1024      // of one entry (ENTRY_FIELD_COUNT_MAX of systemd is 1024)
)

// IsExport reports whether a file begins like one that journalctl wrote with -o json, json-seq or export.
func IsExport(head []byte) bool {
	head = bytes.TrimLeft(head, "\x1e")
	first, _, _ := bytes.Cut(head, []byte("\n"))
	return bytes.HasPrefix(head, []byte("__CURSOR=")) || bytes.HasPrefix(head, []byte("__REALTIME_TIMESTAMP=")) ||
		bytes.HasPrefix(head, []byte("{")) && bytes.Contains(first, []byte(`"__REALTIME_TIMESTAMP"`))
}

// NewExport returns an Export that has read nothing.
func NewExport(r *bufio.Reader) *Export {
	head, _ := r.Peek(2)
	return &Export{r: r, binary: bytes.HasPrefix(head, []byte("__"))}
}

// ErrEntry is wrapped by the error of an entry that could not be read; those behind it can.
var ErrEntry = errors.New("an entry that cannot be read")

// Next returns the messages of the next entry: several when the field was set more than once. The error is io.EOF at the end, one that wraps ErrEntry when the
// entry was refused, and another one when the file is cut or damaged.
func (x *Export) Next() ([]Entry, error) {
	x.count++
	var r record
	var err error
	if x.binary {
		r, err = x.fields()
	} else {
		r, err = x.object()
	}
	if err != nil {
		return nil, err
	}
	out, err := r.entries()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEntry, err)
	}
	return out, nil
}

// Read is how many entries were read.
func (x *Export) Read() int64 { return x.count }

// object reads one line.
func (x *Export) object() (r record, err error) {
	for {
		line, long, err := readLine(x.r, longestLine)
		switch line = bytes.TrimLeft(line, "\x1e"); {
		case long:
			return r, fmt.Errorf("%w: longer than 4 MiB", ErrEntry)
		case len(bytes.TrimSpace(line)) == 0 && err != nil:
			return r, err
		case len(bytes.TrimSpace(line)) == 0:
			continue
		}
		switch bad := json.Unmarshal(line, &r); {
		case bad != nil && err != nil:
			return r, fmt.Errorf("the last entry is cut: %w", bad)
		case bad != nil:
			return r, fmt.Errorf("%w: %w", ErrEntry, bad)
		}
		return r, nil
	}
}

// fields reads one entry of -o export: lines NAME=value, or NAME, a length of 64 bits (little-endian), so many bytes and a newline; an empty line ends it
// (JOURNAL_EXPORT_FORMATS of systemd).
func (x *Export) fields() (r record, err error) {
	type field struct {
		values []string
		large  bool
	}
	got := map[string]*field{}
	for n := 0; ; {
		line, long, err := readLine(x.r, longestField+64)
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return r, err
		case len(line) == 0 && n == 0 && err != nil:
			return r, io.EOF
		case err != nil:
			return r, fmt.Errorf("the last entry is cut: %w", cut(err))
		case len(line) == 0 && n == 0:
			continue // between two entries
		case len(line) == 0:
			return recordOf(func(name string) json.RawMessage {
				f := got[name]
				switch {
				case f == nil:
					return nil
				case f.large:
					return json.RawMessage("null")
				case len(f.values) == 1:
					return asJSON(f.values[0])
				}
				var all []json.RawMessage
				for _, v := range f.values {
					all = append(all, asJSON(v))
				}
				b, _ := json.Marshal(all)
				return b
			}), nil
		case n == mostFields:
			return r, errors.New("an entry of more than 1024 fields: this is no export of journalctl, or it is damaged")
		}
		n++
		name, value, text := strings.Cut(string(line), "=")
		if !text && !long {
			if value, long, err = x.bytes(); err != nil {
				return r, fmt.Errorf("the field %.40q of an entry is cut or damaged: %w", name, err)
			}
		}
		if f := got[name]; f == nil {
			got[name] = &field{[]string{value}, long}
		} else {
			f.values, f.large = append(f.values, value), f.large || long
		}
	}
}

// bytes reads the value of a field that is no text.
func (x *Export) bytes() (value string, long bool, err error) {
	var head [8]byte
	if _, err := io.ReadFull(x.r, head[:]); err != nil {
		return "", false, cut(err)
	}
	n := binary.LittleEndian.Uint64(head[:])
	if n > 1<<32 {
		return "", false, fmt.Errorf("it says that it has %d bytes", n)
	}
	if long = n > longestField; long {
		if _, err := io.CopyN(io.Discard, x.r, int64(n)); err != nil {
			return "", false, cut(err)
		}
	} else {
		b := make([]byte, n)
		if _, err := io.ReadFull(x.r, b); err != nil {
			return "", false, cut(err)
		}
		value = string(b)
	}
	if b, err := x.r.ReadByte(); err != nil || b != '\n' {
		return "", false, errors.Join(errors.New("no newline behind it"), cut(err))
	}
	return value, long, nil
}

func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// asJSON writes a value as journalctl -o json does.
func asJSON(v string) json.RawMessage {
	if strings.ToValidUTF8(v, "") == v {
		b, _ := json.Marshal(v)
		return b
	}
	numbers := make([]int, len(v))
	for i := range len(v) {
		numbers[i] = int(v[i])
	}
	b, _ := json.Marshal(numbers)
	return b
}

// recordOf makes a record of fields.
func recordOf(get func(name string) json.RawMessage) record {
	return record{
		Cursor: first(get("__CURSOR")), Realtime: first(get("__REALTIME_TIMESTAMP")), Source: get("_SOURCE_REALTIME_TIMESTAMP"), Host: get("_HOSTNAME"),
		Ident: get("SYSLOG_IDENTIFIER"), Tag: get("SYSLOG_PID"), PID: get("_PID"), Comm: get("_COMM"), Message: get("MESSAGE"), Raw: get("SYSLOG_RAW"),
	}
}

// Suppressed reads what journald says when it has dropped messages of a service that logs too fast. Nobody knows since when.
func (e *Entry) Suppressed() (Gap, bool) {
	n, ok := suppressed(e)
	return Gap{From: e.Time.Add(-suppressedFor), To: e.Time, Lost: n, Why: "journald suppressed messages: rate limit"}, ok
}

// suppressedFor is RateLimitIntervalSec of journald.conf(5).
const suppressedFor = 30 * time.Second
