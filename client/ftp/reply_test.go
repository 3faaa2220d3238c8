package ftp

import (
	"bufio"
	"slices"
	"strings"
	"testing"

	"tallyman"
)

func TestRepliesAreReadAsTheyAreWritten(t *testing.T) {
	f := func(text string, code int, lines ...string) {
		t.Helper()
		r, err := readReply(bufio.NewReaderSize(strings.NewReader(text), maxLine))
		if err != nil || r.code != code || !slices.Equal(r.lines, lines) {
			t.Errorf("%q: %d %q, %v", text, r.code, r.lines, err)
		}
	}
	f("226 Done\r\n", 226, "Done")
	f("226\r\n", 226, "")
	f("211-Features:\r\n SIZE\r\n211 End\r\n", 211, "Features:", " SIZE", "End")
	f("213-Status\r\n226 is a name\r\n213 End\r\n", 213, "Status", "226 is a name", "End")
	for _, bad := range []string{"", "hello\r\n", "99 x\r\n", "2260\r\n", "226 cut", "226-a\r\n", "226 " + strings.Repeat("x", maxLine) + "\n", "226-\n" + strings.Repeat("x\n", maxLines)} {
		if r, err := readReply(bufio.NewReaderSize(strings.NewReader(bad), maxLine)); err == nil {
			t.Errorf("%.20q is read as %d", bad, r.code)
		}
	}
}

func TestPortsAndHashesAreFoundInReplies(t *testing.T) {
	f := func(text string, want uint16, read func(string) (uint16, error)) {
		t.Helper()
		if got, err := read(text); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	f("Entering Extended Passive Mode (|||6446|)", 6446, extendedPort)
	f("(!!!1!)", 1, extendedPort)
	f("(|||0|)", 0, extendedPort)
	f("(|||65536|)", 0, extendedPort)
	f("(||1|6446|)", 0, extendedPort)
	f("Entering Passive Mode (10,0,0,1,25,46).", 25<<8|46, passivePort)
	f("=127,0,0,1,4,1", 1025, passivePort)
	f("(10,0,0,1,256,46)", 0, passivePort)
	f("(10,0,0,1,1)", 0, passivePort)
	f("no", 0, passivePort)
	sum := strings.Repeat("0aF9", 16)
	if d, err := digestIn("SHA-256 0-12 " + sum + " a b"); err != nil || d != tallyman.Digest("sha256:"+strings.ToLower(sum)) {
		t.Errorf("%s, %v", d, err)
	}
	if d, err := digestIn("OK"); err == nil {
		t.Errorf("a hash %s is read from nothing", d)
	}
}

func TestEveryRefusalIsALegalPair(t *testing.T) {
	for code := 400; code < 600; code++ {
		for _, put := range []bool{false, true} {
			r := reply{code, []string{"permission denied"}}
			if e := refused(r, put); !tallyman.Legal(e.Verdict, e.Reason) {
				t.Errorf("%d: %v", code, e)
			}
			if e := broken(r); !tallyman.Legal(e.Verdict, e.Reason) {
				t.Errorf("%d: %v", code, e)
			}
		}
	}
}

// FuzzReply holds that what is read as a reply can be written again and is read the same.
func FuzzReply(f *testing.F) {
	f.Add("226 Done\r\n")
	f.Add("211-a\r\n b\r\n211 c\r\n")
	f.Add("229 (|||6446|)\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := readReply(bufio.NewReaderSize(strings.NewReader(text), maxLine))
		if err != nil {
			return
		}
		if r.code < 100 || r.code > 599 || len(r.lines) == 0 || len(r.lines) > maxLines+1 {
			t.Errorf("%q: %d with %d lines", text, r.code, len(r.lines))
		}
		for _, l := range r.lines {
			if strings.Contains(l, "\n") || !strings.Contains(text, l) {
				t.Errorf("%q: the line %q", text, l)
			}
			if port, err := extendedPort(l); err == nil && port == 0 {
				t.Errorf("%q: port 0", l)
			}
			if port, err := passivePort(l); err == nil && port == 0 {
				t.Errorf("%q: port 0", l)
			}
		}
	})
}
