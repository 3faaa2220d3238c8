package netascii

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// encode sends file in blocks of the given size.
func encode(file []byte, block int) []byte {
	var e Encoder
	var wire []byte
	for buf := make([]byte, block); len(file) > 0 || e.Pending(); {
		w, r := e.Encode(buf, file)
		wire, file = append(wire, buf[:w]...), file[r:]
	}
	return wire
}

// decode takes wire apart in blocks of the given size.
func decode(wire []byte, block int) []byte {
	var d Decoder
	var file []byte
	for len(wire) > 0 {
		n := min(block, len(wire))
		file, wire = d.Append(file, wire[:n]), wire[n:]
	}
	return d.Finish(file)
}

func TestLineEndsAreTranslated(t *testing.T) {
	translates := func(file, wire string) {
		t.Helper()
		for block := 1; block <= len(wire)+1; block++ {
			if got := encode([]byte(file), block); string(got) != wire {
				t.Errorf("%q in blocks of %d became %q, want %q", file, block, got, wire)
			}
			if got := decode([]byte(wire), block); string(got) != file {
				t.Errorf("%q in blocks of %d came back as %q, want %q", wire, block, got, file)
			}
		}
	}
	translates("", "")
	translates("a", "a")
	translates("a\nb\n", "a\r\nb\r\n")
	translates("a\rb", "a\r\x00b")
	translates("a\r\nb", "a\r\x00\r\nb")
	translates("\n\n\r\r", "\r\n\r\n\r\x00\r\x00")
	translates("\x00", "\x00")
}

func TestBareReturnIsKept(t *testing.T) {
	keeps := func(wire, file string) {
		t.Helper()
		if got := decode([]byte(wire), 1); string(got) != file {
			t.Errorf("%q became %q, want %q", wire, got, file)
		}
	}
	keeps("a\rb", "a\rb")
	keeps("a\r", "a\r")
	keeps("\r\r\n", "\r\n")
}

func TestEveryFileComesBack(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		file := rapid.SliceOf(rapid.SampledFrom([]byte("a\r\n\x00"))).Draw(r, "file")
		out, in := rapid.IntRange(1, 9).Draw(r, "block sent"), rapid.IntRange(1, 9).Draw(r, "block received")
		wire := encode(file, out)
		if bytes.Contains(bytes.ReplaceAll(wire, []byte("\r\n"), nil), []byte("\n")) {
			r.Fatalf("a bare LF on the wire: %q", wire)
		}
		if got := decode(wire, in); !bytes.Equal(got, file) {
			r.Fatalf("%q came back as %q by way of %q", file, got, wire)
		}
	})
}

func FuzzDecodeNeverLosesText(f *testing.F) {
	f.Add([]byte("a\r\n\r\x00\rb\r"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		whole := decode(wire, len(wire)+1)
		if cut := decode(wire, 1); !bytes.Equal(whole, cut) {
			t.Fatalf("%q: %q in one piece, %q byte by byte", wire, whole, cut)
		}
		if got := decode(encode(whole, 7), 5); !bytes.Equal(got, whole) {
			t.Fatalf("%q came back as %q", whole, got)
		}
	})
}
