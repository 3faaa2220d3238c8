package packet

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

var all = Attrs{
	Flags: HasSize | HasOwner | HasMode | HasTimes | HasExtended, Size: 1 << 40, UID: 1, GID: 2, Mode: 0o100644, ATime: 3, MTime: 4,
	Pairs: 1, Extended: "\x00\x00\x00\x01a\x00\x00\x00\x01b",
}

func requests() []Request {
	return []Request{
		{Type: Init, ID: 3, Rest: []byte{}},
		{Type: Open, ID: 1, Path: "/a\xff", Flags: FlagWrite | FlagCreate, Attrs: all},
		{Type: Close, ID: 2, Handle: "0001"},
		{Type: Read, ID: 3, Handle: "0001", Offset: 1 << 50, Length: MaxData},
		{Type: Write, ID: 4, Handle: "0001", Offset: 5, Data: []byte("data")},
		{Type: Stat, ID: 5, Path: ""},
		{Type: Setstat, ID: 6, Path: "x", Attrs: Attrs{Flags: HasMode, Mode: 0o600}},
		{Type: Fsetstat, ID: 7, Handle: "h", Attrs: Attrs{}},
		{Type: Rename, ID: 8, Path: "a", Target: "b"},
		{Type: Extended, ID: 9, Extension: PosixRename, Path: "a", Target: "b"},
		{Type: Extended, ID: 9, Extension: StatVFS, Path: "a"},
		{Type: Extended, ID: 9, Extension: Fsync, Handle: "h"},
		{Type: Extended, ID: 9, Extension: Limits},
		{Type: Extended, ID: 9, Extension: CopyData, Handle: "h", Offset: 1 << 40, Bytes: 7, To: "g", ToOffset: 9},
		{Type: Extended, ID: 9, Extension: "vendor-id", Rest: []byte("what it is")},
	}
}

func TestRequestIsRenderedBackAsItCame(t *testing.T) {
	for _, q := range requests() {
		wire := q.Append(nil)
		if n := binary.BigEndian.Uint32(wire); int(n) != len(wire)-4 {
			t.Errorf("type %d: length %d of %d", q.Type, n, len(wire))
		}
		got, err := Parse(wire[4:])
		if err != nil {
			t.Errorf("type %d: %v", q.Type, err)
			continue
		}
		if again := got.Append(nil); !bytes.Equal(again, wire) {
			t.Errorf("type %d:\n got %x\nwant %x", q.Type, again, wire)
		}
		if q.Rest != nil {
			continue // has no end of its own
		}
		for cut := 4; cut < len(wire)-1; cut++ {
			if _, err := Parse(wire[4:cut]); err == nil {
				t.Errorf("type %d: accepted when cut to %d bytes", q.Type, cut-4)
			}
		}
		if q, err := Parse(append(bytes.Clone(wire[4:]), 7)); err != nil || string(q.Rest) != "\a" {
			t.Errorf("type %d with a byte behind: %v, %q", q.Type, err, q.Rest)
		}
	}
}

func TestWhatIsNoRequestIsRefused(t *testing.T) {
	f := func(p, want string) {
		t.Helper()
		if _, err := Parse([]byte(p)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%x: %v, want %q", p, err, want)
		}
	}
	f("", "too early")
	f("\x65\x00\x00\x00\x01", "no request")
	f("\x06\x00\x00\x00\x01\xff\xff\xff\xff", "too early")                                  // a length that would wrap
	f("\x0e\x00\x00\x00\x01\x00\x00\x00\x01d\x80\x00\x00\x00\xff\xff\xff\xff", "too early") // pairs that are not there
	f("\x0e\x00\x00\x00\x01\x00\x00\x00\x01d\x00\x00\x00\x40", "not of version 3")          // flags of version 4
}

func TestDataHeadIsThatOfItsContent(t *testing.T) {
	p := append(make([]byte, DataHead), "content"...)
	PutData(p, 7, 7)
	want := "\x00\x00\x00\x10\x67\x00\x00\x00\x07\x00\x00\x00\x07content"
	if string(p) != want {
		t.Errorf("got %q", p)
	}
}

func FuzzRequest(f *testing.F) {
	for _, q := range requests() {
		f.Add(q.Append(nil)[4:])
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		q, err := Parse(p)
		if err != nil {
			return
		}
		if got := q.Append(nil)[4:]; !bytes.Equal(got, p) {
			t.Errorf("got %x\nwant %x", got, p)
		}
	})
}
