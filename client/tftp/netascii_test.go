package tftp

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

func TestNetasciiIsReadWhateverTheBordersAre(t *testing.T) {
	f := func(wire, want string) {
		t.Helper()
		for cut := range len(wire) + 1 {
			var to bytes.Buffer
			n := fromNetascii{to: &to}
			for _, part := range []string{wire[:cut], wire[cut:]} {
				if _, err := n.Write([]byte(part)); err != nil {
					t.Fatal(err)
				}
			}
			if err := n.end(); err != nil || to.String() != want {
				t.Errorf("%q cut at %d: %q, want %q", wire, cut, to.String(), want)
			}
		}
	}
	f("", "")
	f("a\r\nb", "a\nb")
	f("a\r\x00b", "a\rb")
	f("\r\r\n\r\x00", "\r\n\r")
	f("a\rb\r", "a\rb\r")
	f("a\nb", "a\nb")
}

func TestNetasciiIsWrittenAndReadBackEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.RuneFrom([]rune("ab\r\n\x00"))).Draw(t, "text")
		var from io.Reader = &toNetascii{from: bufio.NewReader(strings.NewReader(text))}
		if rapid.Bool().Draw(t, "one byte at a time") {
			from = iotest.OneByteReader(from)
		}
		wire, err := io.ReadAll(from)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range wire {
			if c == '\n' && (i == 0 || wire[i-1] != '\r') || c == '\r' && (i+1 == len(wire) || wire[i+1] != '\n' && wire[i+1] != 0) {
				t.Fatalf("%q is no netascii", wire)
			}
		}
		var to bytes.Buffer
		n := fromNetascii{to: &to}
		if _, err := n.Write(wire); err != nil || n.end() != nil || to.String() != text {
			t.Fatalf("%q became %q, %v", text, to.String(), err)
		}
	})
}
