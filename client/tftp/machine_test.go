package tftp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"
)

// dialogue plays a machine in virtual time. Packets are written as text: "DATA 1 x512", "ACK 1", "OACK blksize=8", "ERROR 5 why".
type dialogue struct {
	t   *testing.T
	m   machine
	now time.Time
}

func begin(t *testing.T, m machine, want ...string) *dialogue {
	t.Helper()
	d := &dialogue{t, m, time.Unix(1e9, 0)}
	m.begin(d.now)
	d.says(want)
	return d
}

// hears feeds one packet 10 ms later and compares what the machine sends.
func (d *dialogue) hears(packet string, want ...string) {
	d.t.Helper()
	d.now = d.now.Add(10 * time.Millisecond)
	p, err := parse(encode(packet))
	if err != nil {
		d.t.Fatalf("%s: %v", packet, err)
	}
	d.m.receive(d.now, p)
	d.says(want)
}

// waits lets time pass up to the machine's deadline.
func (d *dialogue) waits(want ...string) {
	d.t.Helper()
	d.now = d.m.common().until
	d.m.tick(d.now)
	d.says(want)
}

func (d *dialogue) says(want []string) {
	d.t.Helper()
	var got []string
	for _, b := range d.m.common().out {
		got = append(got, decode(b))
	}
	d.m.common().out = nil
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		d.t.Fatalf("sent %q, want %q", got, want)
	}
}

func (d *dialogue) ends(want string) {
	d.t.Helper()
	e := d.m.common().ended
	got := "still runs"
	if e != nil {
		got = fmt.Sprintf("%s %s", e.verdict, e.reason)
	}
	if got != want {
		d.t.Fatalf("ended %q, want %q (%+v)", got, want, e)
	}
}

func encode(text string) []byte {
	kind, rest, _ := strings.Cut(text, " ")
	var n, size int
	switch kind {
	case "DATA":
		_, _ = fmt.Sscanf(rest, "%d x%d", &n, &size)
		return append(header(uint16(n)), bytes.Repeat([]byte{byte(n)}, size)...)
	case "ACK":
		_, _ = fmt.Sscanf(rest, "%d", &n)
		return ack(uint16(n))
	case "ERROR":
		code, why, _ := strings.Cut(rest, " ")
		_, _ = fmt.Sscanf(code, "%d", &n)
		return failure(uint16(n), why)
	default:
		b := []byte{0, opOACK}
		for o := range strings.FieldsSeq(rest) {
			k, v, _ := strings.Cut(o, "=")
			b = append(b, k+"\x00"+v+"\x00"...)
		}
		return b
	}
}

func decode(b []byte) string {
	word := int(binary.BigEndian.Uint16(b[2:]))
	switch b[1] {
	case opRRQ, opWRQ:
		return map[byte]string{opRRQ: "RRQ ", opWRQ: "WRQ "}[b[1]] + strings.TrimSuffix(strings.ReplaceAll(string(b[2:]), "\x00", " "), " ")
	case opDATA:
		return fmt.Sprintf("DATA %d x%d", word, len(b)-4)
	case opACK:
		return fmt.Sprintf("ACK %d", word)
	case opERROR:
		return fmt.Sprintf("ERROR %d %s", word, bytes.TrimSuffix(b[4:], []byte{0}))
	}
	return fmt.Sprintf("%q", b)
}

func plainRequest() Request {
	return Request{Host: "h", Name: "f", Plain: true}.filled()
}

func richRequest(block, window int) Request {
	return Request{Host: "h", Name: "f", BlockSize: block, Window: window}.filled()
}

func reader(n int) *bytes.Reader { return bytes.NewReader(make([]byte, n)) }
