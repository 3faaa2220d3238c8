package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
)

// bigEndian turns the numbers of a pcap round.
func bigEndian(b []byte) []byte {
	out := bytes.Clone(b)
	turn := func(at, size int) {
		for i := range size {
			out[at+i] = b[at+size-1-i]
		}
	}
	for at, size := range map[int]int{0: 4, 4: 2, 6: 2, 8: 4, 12: 4, 16: 4, 20: 4} {
		turn(at, size)
	}
	for at := pcapHead; at < len(b); at += recordHead + int(binary.LittleEndian.Uint32(b[at+8:])) {
		for field := 0; field < recordHead; field += 4 {
			turn(at+field, 4)
		}
	}
	return out
}

func TestBothByteOrdersAreRead(t *testing.T) {
	for _, nanoseconds := range []bool{false, true} {
		b := bigEndian(pcapOf(t, small(), nanoseconds))
		if got, all, err := ends(b); got != "closed final-ack" || err != nil || all[len(all)-1].Time != began.Add(2*time.Millisecond) {
			t.Errorf("nanoseconds %v: %q, %v", nanoseconds, got, err)
		}
	}
}

// TestFramesAcrossTheBufferAreWhole reads frames of every size, some as long as they may be, through a buffer that ends within headers and within frames.
func TestFramesAcrossTheBufferAreWhole(t *testing.T) {
	var want [][]byte
	for i := range 600 {
		want = append(want, bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 1+i*i%3500))
	}
	want = append(want, bytes.Repeat([]byte("x"), largestFrame), []byte{}, bytes.Repeat([]byte("y"), largestFrame))
	content := pcapOf(t, want, false)
	for name, r := range map[string]io.Reader{
		"at once": bytes.NewReader(content), "in halves": iotest.HalfReader(bytes.NewReader(content)), "with the end": iotest.DataErrReader(bytes.NewReader(content)),
	} {
		f, err := OpenFile("a", r)
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range want {
			got, err := f.Next()
			if err != nil || !bytes.Equal(got.Data, w) || got.Length != len(w) || got.Number != uint64(i+1) {
				t.Fatalf("%s: frame %d: %v", name, i, err)
			}
		}
		if _, err := f.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: the end is %v", name, err)
		}
	}
}

func TestDamagedRecordsEndACapture(t *testing.T) {
	for name, change := range map[string]func([]byte){
		"larger than any frame":    func(b []byte) { binary.LittleEndian.PutUint32(b[8:], largestFrame+1) },
		"more captured than there": func(b []byte) { binary.LittleEndian.PutUint32(b[12:], 3) },
	} {
		b := pcapOf(t, small(), false)
		change(b[pcapHead:])
		f, err := OpenFile("a", bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Next(); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCaptureThatEndsWithinARecordIsCut(t *testing.T) {
	whole := pcapOf(t, small()[:1], false)
	for n := pcapHead; n <= len(whole); n++ {
		f, err := OpenFile("a", bytes.NewReader(whole[:n]))
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = f.Next()
		}
		if cut := n > pcapHead && n < len(whole); errors.Is(err, io.ErrUnexpectedEOF) != cut {
			t.Errorf("cut at %d of %d: %v", n, len(whole), err)
		}
	}
}

// FuzzPcap: the frames are those that pcapgo reads, up to the first record that ours says is damaged.
func FuzzPcap(f *testing.F) {
	for _, nanoseconds := range []bool{false, true} {
		f.Add(pcapOf(f, small(), nanoseconds))
		f.Add(bigEndian(pcapOf(f, small(), nanoseconds)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1 && b[0] == 0x1f && b[1] == 0x8b {
			return // pcapgo unpacks; ours leaves that to OpenFile
		}
		theirs, wrong := pcapgo.NewReader(bytes.NewReader(b))
		ours, err := openPcap(bufio.NewReaderSize(bytes.NewReader(b), ReadAhead))
		if (err == nil) != (wrong == nil) {
			t.Fatalf("open: %v, pcapgo %v", err, wrong)
		}
		if err != nil || wrong != nil {
			return
		}
		for n := 0; ; n++ {
			var got Frame
			err := ours.read(&got)
			data, ci, wrong := theirs.ReadPacketData()
			// Where a file ends behind the head of a record pcapgo sees an end like any other.
			if end := errors.Is(wrong, io.EOF) && ci.CaptureLength == 0; errors.Is(err, io.EOF) != end {
				t.Fatalf("frame %d: %v, pcapgo %v", n, err, wrong)
			}
			if err != nil || wrong != nil {
				if err == nil || wrong == nil && ci.CaptureLength <= largestFrame {
					t.Fatalf("frame %d: %v, pcapgo %v", n, err, wrong)
				}
				return
			}
			// pcapgo holds the nanoseconds of a damaged stamp in 32 bits.
			if !bytes.Equal(got.Data, data) || got.Time.Sub(ci.Timestamp)%(1<<32) != 0 || got.Length != ci.Length {
				t.Fatalf("frame %d differs", n)
			}
		}
	})
}
