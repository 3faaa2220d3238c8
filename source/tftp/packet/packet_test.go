package packet

import (
	"bytes"
	"testing"
)

func TestDataIsReadWithItsPayload(t *testing.T) {
	f := func(p string, wantBlock uint16, wantPayload string, wantOK bool) {
		t.Helper()
		block, payload, ok := ParseData([]byte(p))
		if block != wantBlock || string(payload) != wantPayload || ok != wantOK {
			t.Errorf("%q: got %d %q %v", p, block, payload, ok)
		}
	}
	f("\x00\x03\x00\x01abc", 1, "abc", true)
	f("\x00\x03\xff\xff", 65535, "", true)
	f("\x00\x03\x00", 0, "", false) // atftpd repeats lost DATA as these three octets
	f("\x00\x03", 0, "", false)
	f("\x00\x04\x00\x01", 0, "", false)
	f("\x01\x03\x00\x01", 0, "", false)
	f("", 0, "", false)
}

func TestAckIsReadAlsoWithPadding(t *testing.T) {
	f := func(p string, wantBlock uint16, wantOK bool) {
		t.Helper()
		if block, ok := ParseAck([]byte(p)); block != wantBlock || ok != wantOK {
			t.Errorf("%q: got %d %v", p, block, ok)
		}
	}
	f("\x00\x04\x01\x02", 258, true)
	f("\x00\x04\x01\x02\x00\x00", 258, true)
	f("\x00\x04\x01", 0, false)
	f("\x00\x03\x01\x02", 0, false)
}

func TestErrorKeepsTheRawTextOfTheClient(t *testing.T) {
	f := func(p string, wantCode Code, wantText string, wantOK bool) {
		t.Helper()
		if code, text, ok := ParseError([]byte(p)); code != wantCode || string(text) != wantText || ok != wantOK {
			t.Errorf("%q: got %d %q %v", p, code, text, ok)
		}
	}
	f("\x00\x05\x00\x03disk\x1b[2J\xff\x00", DiskFull, "disk\x1b[2J\xff", true)
	f("\x00\x05\x00\x08no NUL", OptionRefused, "no NUL", true)
	f("\x00\x05\x01\x00", 256, "", true)
	f("\x00\x05\x00\x00a\x00b\x00", Undefined, "a", true)
	f("\x00\x05\x00", 0, "", false)
	f("\x00\x04\x00\x00", 0, "", false)
}

func TestOACKGivesItsOptions(t *testing.T) {
	p := AppendOption(AppendOption(AppendOACK(nil), "blksize", "1428"), "tsize", "0")
	options, ok := ParseOACK(p)
	if value, found := options.Get("tsize"); !ok || !found || string(value) != "0" {
		t.Errorf("%q: tsize is %q %v, packet accepted %v", p, value, found, ok)
	}
	if _, ok := ParseOACK([]byte("\x00\x06blksize\x00")); ok {
		t.Error("an OACK whose option has no value was accepted")
	}
	if _, ok := ParseOACK([]byte("\x00\x05blksize\x008\x00")); ok {
		t.Error("an ERROR was accepted as OACK")
	}
}

func TestEncodersAppendBehindWhatStandsThere(t *testing.T) {
	f := func(got []byte, want string) {
		t.Helper()
		if string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(AppendData([]byte("x"), 258), "x\x00\x03\x01\x02")
	f(AppendAck([]byte("x"), 65535), "x\x00\x04\xff\xff")
	f(AppendError([]byte("x"), Error{DiskFull, "disk full"}), "x\x00\x05\x00\x03disk full\x00")
	f(AppendOption(AppendOACK([]byte("x")), "timeout", "3"), "x\x00\x06timeout\x003\x00")
}

func TestOpcodesHaveTheirNames(t *testing.T) {
	f := func(op Op, want string) {
		t.Helper()
		if op.String() != want {
			t.Errorf("got %q, want %q", op, want)
		}
	}
	f(RRQ, "RRQ")
	f(OACK, "OACK")
	f(0, "opcode 0")
	f(7, "opcode 7")
	f(65535, "opcode 65535")
}

func TestCodecAllocatesNothing(t *testing.T) {
	request := []byte("\x00\x01boot/image\x00octet\x00tsize\x000\x00blksize\x001428\x00")
	buffer := make([]byte, 0, 1500)
	allocations := testing.AllocsPerRun(100, func() {
		r, err := ParseRequest(request)
		if _, ok := r.Options.Get("BLKSIZE"); err != nil || !ok || r.Mode() != Octet {
			t.Fatal("request was not read")
		}
		p := AppendData(buffer, 7)
		p = AppendAck(p[:0], 7)
		p = AppendError(p[:0], Error{NotFound, "file not found"})
		if _, _, ok := ParseError(p); !ok {
			t.Fatal("error was not read")
		}
		AppendRequest(p[:0], r)
	})
	if allocations != 0 {
		t.Errorf("%v allocations, want 0", allocations)
	}
}

// FuzzPacketsAreRenderedBackEqual: what is accepted is rendered back, up to padding that carries nothing.
func FuzzPacketsAreRenderedBackEqual(f *testing.F) {
	f.Add([]byte("\x00\x03\x00\x01abc"))
	f.Add([]byte("\x00\x04\x00\x01"))
	f.Add([]byte("\x00\x05\x00\x01not found\x00"))
	f.Add([]byte("\x00\x06tsize\x00123\x00"))
	f.Add([]byte("\x00\x06\x00\x00"))
	f.Fuzz(func(t *testing.T, p []byte) {
		if block, payload, ok := ParseData(p); ok {
			if got := append(AppendData(nil, block), payload...); !bytes.Equal(got, p) {
				t.Errorf("DATA %q became %q", p, got)
			}
		}
		if block, ok := ParseAck(p); ok && !bytes.HasPrefix(p, AppendAck(nil, block)) {
			t.Errorf("ACK %q became block %d", p, block)
		}
		if code, text, ok := ParseError(p); ok {
			got := AppendError(nil, Error{code, string(text)})
			if !bytes.HasPrefix(p, got) && !bytes.Equal(got, append(bytes.Clone(p), 0)) {
				t.Errorf("ERROR %q became %q", p, got)
			}
		}
		if options, ok := ParseOACK(p); ok {
			got := AppendOACK(nil)
			for name, value := range options.All() {
				got = AppendOption(got, string(name), string(value))
			}
			if padding := p[min(len(got), len(p)):]; !bytes.HasPrefix(p, got) || len(bytes.Trim(padding, "\x00")) > 0 {
				t.Errorf("OACK %q became %q", p, got)
			}
		}
	})
}
