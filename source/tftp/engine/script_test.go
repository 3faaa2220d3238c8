package engine

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"tallyman/source/tftp/packet"
)

const ms = time.Millisecond

func itoa(n uint64) string { return strconv.FormatUint(n, 10) }

// request builds a request from "op name mode option=value ...".
func request(t testing.TB, text string) packet.Request {
	t.Helper()
	words := strings.Fields(text)
	r := packet.Request{Op: packet.RRQ, Name: []byte(words[1]), ModeName: []byte(words[2])}
	if words[0] == "WRQ" {
		r.Op = packet.WRQ
	}
	for _, word := range words[3:] {
		name, value, _ := strings.Cut(word, "=")
		r.Options = packet.AppendOption(r.Options, name, value)
	}
	r, err := packet.ParseRequest(packet.AppendRequest(nil, r))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func grant(t testing.TB, text string, cfg Config, size int64) Grant {
	t.Helper()
	g, refused := Negotiate(request(t, text), cfg, size)
	if refused != nil {
		t.Fatalf("%s: refused: %v", text, refused)
	}
	return g
}

// machine is what Read and Write have in common.
type machine interface {
	Start(now time.Duration, g Grant, cfg Config) Do
	Packet(now time.Duration, p []byte) Do
	Tick(now time.Duration) Do
	Repeat(now time.Duration) Do
	Deadline() time.Duration
	Stop(now time.Duration) Do
	Refuse(now time.Duration, reason Reason, e packet.Error) Do
	Gone(now time.Duration) Do
	Outcome() Outcome
	Progress() time.Duration
	HalfOpen() bool
}

// script plays one client against one machine and compares what the machine says.
type script struct {
	t   testing.TB
	m   machine
	now time.Duration
}

// reading begins a read of size octets (-1: the end is not known yet) and checks the first reply.
func reading(t testing.TB, text string, size int64, want string) (*script, *Read) {
	t.Helper()
	r := &Read{}
	s := &script{t: t, m: r}
	g := grant(t, text, Defaults(), size)
	do := r.Start(0, g, Defaults())
	if size >= 0 {
		r.Final(g.LastBlock(size))
	}
	s.expect(do, want)
	return s, r
}

// writing begins a write and checks the first reply.
func writing(t testing.TB, text, want string) (*script, *Write) {
	t.Helper()
	w := &Write{}
	s := &script{t: t, m: w}
	s.expect(w.Start(0, grant(t, text, Defaults(), -1), Defaults()), want)
	return s, w
}

func (s *script) expect(do Do, want string) {
	s.t.Helper()
	if got := say(do); got != want {
		s.t.Fatalf("at %v: got %q, want %q", s.now, got, want)
	}
}

// after moves the clock without a tick.
func (s *script) after(d time.Duration) *script {
	s.now += d
	return s
}

func (s *script) ack(block uint64, want string) {
	s.t.Helper()
	s.expect(s.m.Packet(s.now, packet.AppendAck(nil, uint16(block))), want)
}

func (s *script) data(block uint64, octets int, want string) {
	s.t.Helper()
	p := append(packet.AppendData(nil, uint16(block)), make([]byte, octets)...)
	s.expect(s.m.Packet(s.now, p), want)
}

func (s *script) fails(code packet.Code, text, want string) {
	s.t.Helper()
	s.expect(s.m.Packet(s.now, packet.AppendError(nil, packet.Error{Code: code, Text: text})), want)
}

// tick moves the clock to the deadline and ticks.
func (s *script) tick(want string) {
	s.t.Helper()
	if s.now = s.m.Deadline(); s.now == Never {
		s.t.Fatal("the machine waits for nothing")
	}
	s.expect(s.m.Tick(s.now), want)
}

// silence ticks until the machine ends, checks the reason and returns what was said.
func (s *script) silence(want Reason) []string {
	s.t.Helper()
	var said []string
	for range 1000 {
		s.now = s.m.Deadline()
		do := s.m.Tick(s.now)
		if do.Done {
			s.ended(want)
			return said
		}
		if text := say(do); text != "" {
			said = append(said, text)
		}
	}
	s.t.Fatal("the machine never ends")
	return nil
}

func (s *script) ended(want Reason) {
	s.t.Helper()
	if got := s.m.Outcome().Reason; got != want {
		s.t.Fatalf("reason is %q, want %q", got, want)
	}
	if s.m.Deadline() != Never {
		s.t.Fatal("an ended machine has a deadline")
	}
	s.expect(s.m.Tick(s.now), "DONE")
	s.expect(s.m.Repeat(s.now), "DONE")
	s.expect(s.m.Packet(s.now, packet.AppendAck(nil, 1)), "DONE")
}

// say writes a Do as people speak of it.
func say(do Do) string {
	var words []string
	add := func(when bool, format string, args ...any) {
		if when {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	add(do.Store != nil, "STORE %d", len(do.Store))
	add(do.Last, "LAST")
	add(do.OACK, "OACK")
	add(do.Count == 1, "DATA %d", do.From)
	add(do.Count > 1, "DATA %d..%d", do.From, do.From+uint64(do.Count)-1)
	add(do.Ack, "ACK %d", do.AckBlock)
	add(do.SendError, "ERROR %d", do.Error.Code)
	add(do.Done, "DONE")
	return strings.Join(words, " ")
}
