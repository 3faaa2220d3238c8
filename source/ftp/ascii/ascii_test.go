package ascii

import (
	"bytes"
	"testing"
)

// pieces encodes and decodes in pieces of a size.
func pieces(content []byte, size int) (encoded, decoded []byte) {
	var e Encoder
	var d Decoder
	for p := range chunks(content, size) {
		encoded = e.Append(encoded, p)
	}
	for p := range chunks(encoded, size) {
		decoded = d.Append(decoded, p)
	}
	return encoded, d.Finish(decoded)
}

func chunks(b []byte, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			n := min(size, len(b))
			if !yield(b[:n]) {
				return
			}
			b = b[n:]
		}
	}
}

func TestLinesAreConverted(t *testing.T) {
	f := func(file, wire, back string) {
		t.Helper()
		for size := 1; size < 6; size++ {
			encoded, decoded := pieces([]byte(file), size)
			if string(encoded) != wire || string(decoded) != back {
				t.Errorf("%q in pieces of %d is %q, and back %q", file, size, encoded, decoded)
			}
		}
	}
	f("", "", "")
	f("a\nb\n", "a\r\nb\r\n", "a\nb\n")
	f("\n\n", "\r\n\r\n", "\n\n")
	f("a\rb\r", "a\rb\r", "a\rb\r")
	f("a\r\nb", "a\r\nb", "a\nb")
	f("\r\r\n", "\r\r\n", "\r\n")
}

func FuzzWhatIsEncodedIsDecodedTheSame(f *testing.F) {
	f.Add([]byte("a\nb\r\rc"), 2)
	f.Fuzz(func(t *testing.T, content []byte, size int) {
		if size < 1 || bytes.Contains(content, []byte("\r\n")) {
			return
		}
		if _, decoded := pieces(content, size); !bytes.Equal(decoded, content) {
			t.Fatalf("%q in pieces of %d comes back as %q", content, size, decoded)
		}
	})
}
