package ftp

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/wire/frame"
)

// talk is a capture that a test writes down: connections with right sequence numbers.
type talk struct {
	t      *testing.T
	table  *Table
	now    time.Time
	number uint64
	got    []tallyman.Evidence
}

func newTalk(t *testing.T, change ...func(*Config)) *talk {
	k := &talk{t: t, now: time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC)}
	cfg := Defaults()
	cfg.Host = "lab"
	for _, c := range change {
		c(&cfg)
	}
	k.table = New(cfg, func(e tallyman.Evidence) { k.got = append(k.got, e) })
	return k
}

// line is one TCP connection.
type line struct {
	k    *talk
	ends [2]netip.AddrPort
	seq  [2]uint32 // the next of each end
	ack  [2]uint32 // what each end has acknowledged of the other
}

func (k *talk) open(from, to string) *line {
	l := &line{k: k, ends: [2]netip.AddrPort{netip.MustParseAddrPort(from), netip.MustParseAddrPort(to)}, seq: [2]uint32{1<<32 - 5, 77}}
	l.send(0, frame.SYN, "")
	l.seq[0]++
	l.ack[1] = l.seq[0]
	l.send(1, frame.SYN|frame.ACK, "")
	l.seq[1]++
	return l.acks(0)
}

// send sends without acknowledging what came in the meantime.
func (l *line) send(end int, flags uint8, text string) *line {
	k := l.k
	k.number++
	k.now = k.now.Add(time.Millisecond)
	p := &frame.Packet{
		Time: k.now, Number: k.number, Kind: frame.TCP, Src: l.ends[end], Dst: l.ends[1-end], Seq: l.seq[end], Flags: flags,
		Payload: []byte(text), Length: len(text),
	}
	if flags&frame.SYN == 0 || end == 1 {
		p.Ack, p.Flags = l.ack[end], p.Flags|frame.ACK
	}
	l.seq[end] += uint32(len(text))
	if flags&frame.FIN != 0 {
		l.seq[end]++
	}
	k.table.Packet(p)
	return l
}

// acks acknowledges all that the other end sent.
func (l *line) acks(end int) *line {
	l.ack[end] = l.seq[1-end]
	return l.send(end, 0, "")
}

// says sends and acknowledges what came before.
func (l *line) says(end int, text string) *line {
	l.ack[end] = l.seq[1-end]
	return l.send(end, frame.PSH, text)
}

func (l *line) fin(end int) *line {
	l.ack[end] = l.seq[1-end]
	return l.send(end, frame.FIN, "")
}

func (l *line) reset(end int) *line { return l.send(end, frame.RST, "") }

// skip loses text: it was sent, and we never saw it.
func (l *line) skip(end int, text string) *line {
	l.seq[end] += uint32(len(text))
	return l
}

// command and reply of a control connection.
func (l *line) ask(command, reply string) *line {
	return l.says(0, command+"\r\n").says(1, reply+"\r\n")
}

const (
	client  = "10.0.0.7:2000"
	server  = "10.0.0.1:21"
	passive = "10.0.0.1:4000"
)

// login opens a session, in binary mode.
func (k *talk) login() *line {
	l := k.open(client, server)
	l.says(1, "220 hello\r\n")
	return l.ask("USER u", "331 password").ask("PASS p", "230 welcome").ask("TYPE I", "200 ok")
}

func (l *line) passive() *line { return l.ask("PASV", "227 Entering Passive Mode (10,0,0,1,15,160).") }

func (k *talk) wait(d time.Duration) *talk {
	for end := k.now.Add(d); k.now.Before(end); k.now = k.now.Add(time.Second) {
		k.table.Tick(k.now)
	}
	return k
}

func (k *talk) ends(want ...string) {
	k.t.Helper()
	var got []string
	open := map[string]bool{}
	for _, e := range k.got {
		key := fmt.Sprint(e.Peer, e.Began.UnixMicro())
		switch e.Kind {
		case tallyman.KindRequest:
			open[key] = true
		case tallyman.KindClosed, tallyman.KindRefusal:
			if !open[key] {
				k.t.Errorf("an end without a request, or a second one: %+v", e)
			}
			delete(open, key)
			got = append(got, fmt.Sprintf("%s %s %s %d", e.Op, e.Kind, e.Reason, e.Moved))
		default: // what stands between them
		}
		if e.Witness != "wire" || e.Host != "lab" || e.Began.IsZero() || e.Session == "" && e.Proto != "ftps" {
			k.t.Errorf("unsigned: %+v", e)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		k.t.Errorf("ends %q, want %q", got, want)
	}
}

func (k *talk) last() tallyman.Evidence {
	for _, e := range slices.Backward(k.got) {
		if e.Kind == tallyman.KindClosed || e.Kind == tallyman.KindRefusal {
			return e
		}
	}
	k.t.Fatal("nothing ended")
	return tallyman.Evidence{}
}

func (k *talk) details(parts ...string) {
	k.t.Helper()
	for _, p := range parts {
		if !strings.Contains(k.last().Details, p) {
			k.t.Errorf("details %s lack %s", k.last().Details, p)
		}
	}
}

func (k *talk) count(kind tallyman.Kind) int {
	n := 0
	for _, e := range k.got {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

func sha(text string) tallyman.Digest {
	sum := sha256.Sum256([]byte(text))
	return tallyman.Digest("sha256:" + hex.EncodeToString(sum[:]))
}
