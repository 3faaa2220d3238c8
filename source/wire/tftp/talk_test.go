package tftp

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/wire/frame"
)

// talk is a capture that a test writes down.
type talk struct {
	t      *testing.T
	table  *Table
	now    time.Time
	number uint64
	got    []tallyman.Evidence
}

const (
	client = "10.0.0.7:2000"
	server = "10.0.0.1:69"
	tid    = "10.0.0.1:40000"
	other  = "10.0.0.1:40001"
)

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

func (k *talk) packet(from, to string, payload []byte) *talk {
	k.number++
	k.now = k.now.Add(time.Millisecond)
	k.table.Tick(k.now)
	k.table.Packet(&frame.Packet{
		Time: k.now, Number: k.number, Kind: frame.UDP, Src: netip.MustParseAddrPort(from), Dst: netip.MustParseAddrPort(to), Payload: payload, Length: len(payload),
	})
	return k
}

func (k *talk) wait(d time.Duration) *talk {
	for end := k.now.Add(d); k.now.Before(end); k.now = k.now.Add(time.Second) {
		k.table.Tick(k.now)
	}
	return k
}

func (k *talk) unreachable(from, to string) *talk {
	k.number++
	k.now = k.now.Add(time.Millisecond)
	k.table.Unreachable(&frame.Packet{Time: k.now, Number: k.number, Kind: frame.Unreachable, Quoted: frame.UDP, Src: netip.MustParseAddrPort(from), Dst: netip.MustParseAddrPort(to)})
	return k
}

func ask(op uint16, words ...string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, op), strings.Join(words, "\x00")+"\x00"...)
}
func rrq(words ...string) []byte  { return ask(opRRQ, words...) }
func wrq(words ...string) []byte  { return ask(opWRQ, words...) }
func oack(words ...string) []byte { return ask(opOACK, words...) }
func numbered(op, n uint16) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, op), n)
}
func ack(n uint16) []byte               { return numbered(opACK, n) }
func data(n uint16, text string) []byte { return append(numbered(opDATA, n), text...) }
func failure(code uint16, text string) []byte {
	return append(numbered(opERROR, code), text+"\x00"...)
}
func full(n int) string { return strings.Repeat("x", n) }

// ends checks how the transfers ended, and that each has one end.
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
			got = append(got, fmt.Sprintf("%s %s %d", e.Kind, e.Reason, e.Moved))
		default: // what stands between them
		}
		if e.Witness != "wire" || e.Host != "lab" || e.Proto != "tftp" || e.Began.IsZero() || e.Time.Location() != time.UTC {
			k.t.Errorf("unsigned: %+v", e)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		k.t.Errorf("ends %q, want %q", got, want)
	}
}

func (k *talk) last() tallyman.Evidence { return k.got[len(k.got)-1] }

func sha(text string) tallyman.Digest {
	sum := sha256.Sum256([]byte(text))
	return tallyman.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

func (k *talk) details(parts ...string) {
	k.t.Helper()
	for _, p := range parts {
		if !strings.Contains(k.last().Details, p) {
			k.t.Errorf("details %s lack %s", k.last().Details, p)
		}
	}
}

// read is a plain read of text with blocks of 512 bytes, from block on.
func (k *talk) read(text string, server string) *talk {
	for n := uint16(1); ; n++ {
		piece := text[:min(512, len(text))]
		text = text[len(piece):]
		k.packet(server, client, data(n, piece)).packet(client, server, ack(n))
		if len(piece) < 512 {
			return k
		}
	}
}

func burst(packets ...[]byte) []byte { return bytes.Join(packets, nil) }
