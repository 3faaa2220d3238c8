package listing

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 27, 6, 0, 0, 0, time.UTC)

func TestLinesAreWhatClientsRead(t *testing.T) {
	file := Info{Name: "a b", Mode: 0o644, Size: 1234, Modified: now.Add(-time.Hour), ID: "1:2", May: May{Read: true, Write: true, Delete: true, Rename: true}}
	dir := Info{Name: "d", Dir: true, Mode: 0o755, Modified: time.Date(2001, 2, 3, 4, 5, 6, 7e6, time.UTC)}
	f := func(got []byte, want string) {
		t.Helper()
		if string(got) != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	f(AppendLong(nil, &file, now), "-rw-r--r--   1 ftp      ftp              1234 Nov 27 05:00 a b\r\n")
	f(AppendLong(nil, &dir, now), "drwxr-xr-x   2 ftp      ftp                 0 Feb  3  2001 d\r\n")
	f(AppendName(nil, "x/", "a b"), "x/a b\r\n")
	f(AllFacts().AppendEntry(nil, &file, ""), "type=file;size=1234;modify=20261127050000;perm=awdfr;unique=1:2;UNIX.mode=0644; a b\r\n")
	f(AllFacts().AppendEntry(nil, &dir, "cdir"), "type=cdir;modify=20010203040506.007;perm=el;UNIX.mode=0755; d\r\n")
	chosen := Choose("size;TYPE;nonsense;")
	f(chosen.AppendEntry(nil, &file, ""), "type=file;size=1234; a b\r\n")
	f([]byte(chosen.Feature()), "type*;size*;modify;perm;unique;UNIX.mode;")
	f([]byte(chosen.Chosen()), "type;size;")
	f(Choose("").AppendEntry(nil, &file, ""), " a b\r\n")
}

// One name is one line, whatever it holds, or it is not listed.
func FuzzOneNameIsOneLine(f *testing.F) {
	f.Add("a", int64(1), int64(0))
	f.Add("a\r\n-rw-r--r-- 1 ftp ftp 1 Jan 1 2000 b", int64(-1), int64(1<<60))
	f.Fuzz(func(t *testing.T, name string, size, at int64) {
		if !Listed(name) {
			if name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz") == "" {
				t.Fatalf("%q is hidden", name)
			}
			return
		}
		i := Info{Name: name, Size: size, Modified: time.Unix(at, 0)}
		for _, got := range [][]byte{AppendLong(nil, &i, now), AppendName(nil, "", name), AllFacts().AppendEntry(nil, &i, "")} {
			if bytes.Count(got, []byte("\n")) != 1 || bytes.Count(got, []byte("\r")) != 1 || !bytes.HasSuffix(got, []byte(name+"\r\n")) {
				t.Fatalf("%q is %q", name, got)
			}
		}
	})
}
