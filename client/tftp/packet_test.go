package tftp

import (
	"bytes"
	"fmt"
	"testing"
)

func TestPacketsOfAServerAreRead(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		got := "refused"
		if p, err := parse([]byte(in)); err == nil {
			got = fmt.Sprintf("%d %d %q %d %q %v", p.op, p.block, p.payload, p.code, p.text, p.options)
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
	f("\x00\x03\x01\x02abc", `3 258 "abc" 0 "" []`)
	f("\x00\x03\x00\x01", `3 1 "" 0 "" []`)
	f("\x00\x04\xff\xff", `4 65535 "" 0 "" []`)
	f("\x00\x04\x00\x01tail", `4 1 "" 0 "" []`)
	f("\x00\x05\x00\x01gone\x00", `5 0 "" 1 "gone" []`)
	f("\x00\x05\x00\x01gone", `5 0 "" 1 "gone" []`)
	f("\x00\x05\x00\x01", `5 0 "" 1 "" []`)
	f("\x00\x06", `6 0 "" 0 "" []`)
	f("\x00\x06BlkSize\x008\x00tsize\x00\x00", `6 0 "" 0 "" [{blksize 8} {tsize }]`)
	f("\x00\x06blksize\x008", "refused")
	f("\x00\x06blksize\x00", "refused")
	f("\x00\x06a", "refused")
	f("\x00\x01f\x00octet\x00", "refused")
	f("\x00\x02f\x00octet\x00", "refused")
	f("\x00\x07\x00\x00", "refused")
	f("\x01\x03\x00\x00", "refused")
	f("\x00\x03\x00", "refused")
	f("\x00", "refused")
	f("", "refused")
}

func FuzzAcceptedPacketIsRenderedBackEqual(f *testing.F) {
	for _, seed := range []string{"\x00\x03\x00\x01abc", "\x00\x04\x00\x01", "\x00\x05\x00\x01gone\x00", "\x00\x06blksize\x008\x00", "\x00\x06"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := parse(in)
		if err != nil {
			return
		}
		var again []byte
		switch p.op {
		case opDATA:
			again = append(header(p.block), p.payload...)
		case opACK:
			again, in = ack(p.block), in[:4]
		case opERROR:
			again = failure(uint16(p.code), p.text)
			in = append(in[:4+len(p.text):4+len(p.text)], 0)
		case opOACK:
			again = []byte{0, opOACK}
			for _, o := range p.options {
				again = append(again, o.name+"\x00"+o.value+"\x00"...)
			}
			in, again = bytes.ToLower(in), bytes.ToLower(again)
		}
		if !bytes.Equal(in, again) {
			t.Fatalf("%q became %q", in, again)
		}
	})
}
