package wire

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"tallyman"
)

var began = time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC)

// datagram is an Ethernet frame with UDP.
func datagram(src, dst string, payload string) []byte {
	a, b := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	ip := []byte{0x45, 0}
	ip = binary.BigEndian.AppendUint16(ip, uint16(28+len(payload)))
	ip = append(ip, 0, 0, 0, 0, 64, 17, 0, 0)
	ip = append(append(ip, a.Addr().AsSlice()...), b.Addr().AsSlice()...)
	ip = append(ip, ports(a.Port(), b.Port())...)
	ip = append(binary.BigEndian.AppendUint16(ip, uint16(8+len(payload))), 0, 0)
	return append(append(append(make([]byte, 12), 8, 0), ip...), payload...)
}

// small is a transfer of two bytes in three frames.
func small() [][]byte {
	return [][]byte{
		datagram("10.0.0.7:2000", "10.0.0.1:69", "\x00\x01a\x00octet\x00"),
		datagram("10.0.0.1:4000", "10.0.0.7:2000", "\x00\x03\x00\x01hi"),
		datagram("10.0.0.7:2000", "10.0.0.1:4000", "\x00\x04\x00\x01"),
	}
}

func info(i, length int) gopacket.CaptureInfo {
	return gopacket.CaptureInfo{Timestamp: began.Add(time.Duration(i) * time.Millisecond), CaptureLength: length, Length: length}
}

func pcapOf(t testing.TB, frames [][]byte, nanoseconds bool) []byte {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriter(&b)
	if nanoseconds {
		w = pcapgo.NewWriterNanos(&b)
	}
	if err := w.WriteFileHeader(1<<16, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for i, f := range frames {
		if err := w.WritePacket(info(i, len(f)), f); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func pcapngOf(t testing.TB, frames [][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := pcapgo.NewNgWriter(&b, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range frames {
		if err := w.WritePacket(info(i, len(f)), f); err != nil {
			t.Fatal(err)
		}
	}
	w.Flush()
	return b.Bytes()
}

func packed(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// ends replays captures and returns how the transfers ended.
func ends(captures ...[]byte) (string, []tallyman.Evidence, error) {
	var files []*File
	for _, c := range captures {
		f, err := OpenFile("test.pcap", bytes.NewReader(c))
		if err != nil {
			return "", nil, err
		}
		files = append(files, f)
	}
	var out []string
	var all []tallyman.Evidence
	_, err := Replay(Defaults(), files, func(e tallyman.Evidence) {
		all = append(all, e)
		if e.Kind == tallyman.KindClosed || e.Kind == tallyman.KindGap {
			out = append(out, e.Kind.String()+" "+string(e.Reason))
		}
	}, nil)
	return strings.Join(out, ", "), all, err
}

func TestEveryKindOfCaptureIsRead(t *testing.T) {
	for name, capture := range map[string][]byte{
		"pcap": pcapOf(t, small(), false), "nanoseconds": pcapOf(t, small(), true), "pcapng": pcapngOf(t, small()),
		"packed pcap": packed(t, pcapOf(t, small(), false)), "packed pcapng": packed(t, pcapngOf(t, small())),
	} {
		if got, all, err := ends(capture); got != "closed final-ack" || err != nil || all[len(all)-1].Time != began.Add(2*time.Millisecond) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, _, err := ends([]byte("this is no capture of any kind")); !errors.Is(err, ErrNoCapture) {
		t.Errorf("%v", err)
	}
}

func TestFilesAreMergedByTime(t *testing.T) {
	frames := small()
	early := pcapOf(t, frames[:1], false)
	var late bytes.Buffer
	w := pcapgo.NewWriter(&late)
	w.WriteFileHeader(1<<16, layers.LinkTypeEthernet)
	for i := 1; i < 3; i++ {
		w.WritePacket(info(i, len(frames[i])), frames[i])
	}
	for _, order := range [][][]byte{{early, late.Bytes()}, {late.Bytes(), early}} {
		if got, _, err := ends(order...); got != "closed final-ack" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	// The same packets in two captures, of two interfaces, are the same transfer.
	if got, all, err := ends(pcapOf(t, frames, false), pcapOf(t, frames, false)); got != "closed final-ack" || err != nil || strings.Contains(all[len(all)-1].Details, "duplicates") {
		t.Errorf("%q, %v, %s", got, err, all[len(all)-1].Details)
	}
}

func TestCaptureCutAnywhereMakesNothingWhole(t *testing.T) {
	for i, capture := range [][]byte{pcapOf(t, small(), false), pcapngOf(t, small()), packed(t, pcapOf(t, small(), false))} {
		for n := range capture {
			got, _, err := ends(capture[:n])
			// The last bytes of gzip hold no packet: its end, a checksum and a length.
			if strings.Contains(got, "final-ack") && (i < 2 || n < len(capture)-16) {
				t.Errorf("cut at %d of %d: %q, %v", n, len(capture), got, err)
			}
			if err == nil && strings.Contains(got, "gap") && !strings.Contains(got, "closed") {
				t.Errorf("cut at %d: a gap without an error", n)
			}
		}
	}
}

// FuzzReplay: whatever a file holds, it is read to an end, an error says so when it is damaged, and the evidence is bounded by its size.
func FuzzReplay(f *testing.F) {
	f.Add(pcapOf(f, small(), false))
	f.Add(pcapngOf(f, small()))
	f.Add(packed(f, pcapOf(f, small(), false)))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, all, _ := ends(b)
		if len(all) > len(b)/8+4 {
			t.Fatalf("%d evidence of %d bytes", len(all), len(b))
		}
		for _, e := range all {
			if e.Witness != "wire" || e.Kind == tallyman.NoKind {
				t.Fatalf("unsigned: %+v", e)
			}
		}
	})
}

func TestBeginIsAskedWithoutLosingTheFirstFrame(t *testing.T) {
	for _, content := range [][]byte{pcapOf(t, small(), false), pcapngOf(t, small())} {
		f, err := OpenFile("a", bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if at, ok := f.Begins(); !ok || !at.Equal(began) {
				t.Errorf("begins at %s, %v", at, ok)
			}
		}
		closed := 0
		counts, err := Replay(Defaults(), []*File{f}, func(e tallyman.Evidence) {
			if e.Kind == tallyman.KindClosed && e.Reason == tallyman.FinalAck {
				closed++
			}
		}, nil)
		if err != nil || closed != 1 || counts.Frames.Frames != 3 {
			t.Errorf("%d transfers of %d frames, %v", closed, counts.Frames.Frames, err)
		}
	}
	f, err := OpenFile("none", bytes.NewReader(pcapOf(t, nil, false)))
	if err != nil {
		t.Fatal(err)
	}
	if at, ok := f.Begins(); ok {
		t.Errorf("a capture without frames begins at %s", at)
	}
}

// sealed is the frame with a checksum that is right, or wrong by change.
func sealed(frame []byte, change uint16) []byte {
	udp := frame[34:]
	binary.BigEndian.PutUint16(udp[6:], 0)
	sum := 17 + len(udp) // the pseudo header (RFC 768), and all words
	for i, b := range frame[26:] {
		sum += int(b) << (8 * (1 - i%2))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(udp[6:], ^uint16(sum)+change)
	return frame
}

func TestDamagedPacketsAreDroppedWhereTheyMatter(t *testing.T) {
	a := NewAnalyzer(Defaults(), func(tallyman.Evidence) {})
	damaged := func(want uint64, src, dst, payload string, change uint16) {
		t.Helper()
		b := sealed(datagram(src, dst, payload), change)
		a.Packet(&Frame{Time: began, Link: 1, Data: b, Length: len(b)})
		if got := a.Counts().Frames.Damaged; got != want {
			t.Errorf("%d are damaged, want %d", got, want)
		}
	}
	const client, server, tid = "10.0.0.7:2000", "10.0.0.1:69", "10.0.0.1:4000"
	for range 9 { // who sends them right is believed to
		damaged(0, client, server, "\x00\x01a\x00octet\x00", 0)
	}
	damaged(0, tid, client, "\x00\x03\x00\x01"+strings.Repeat("x", 512), 0)
	damaged(1, tid, client, "\x00\x03\x00\x02end", 1)
	damaged(2, client, tid, "\x00\x04\x00\x01", 9)
	damaged(3, client, server, "\x00\x01b\x00octet\x00", 9)
	damaged(3, "10.0.0.7:5000", "10.0.0.1:5001", "nobody follows this", 7)
}
