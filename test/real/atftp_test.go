//go:build real

package real

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAtftpGetsAndPutsWithOptions(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	n := 0
	f := func(size, blksize, window int, options ...string) {
		t.Helper()
		n++
		name, content, dir := fmt.Sprintf("file-%d", n), noise(uint64(n), size), t.TempDir()
		s.file(name, content)
		var arg []string
		for _, o := range options {
			arg = append(arg, "--option", o)
		}
		if out, code := client(t, dir, nil, "atftp", append(arg, "-g", "-r", name, "-l", "out", s.host(), s.port())...); code != 0 {
			t.Errorf("atftp -g with %v ends with %d: %s", options, code, out)
		}
		same(t, filepath.Join(dir, "out"), content)
		if out, code := client(t, dir, nil, "atftp", append(arg, "-p", "-r", "new-"+name, "-l", "out", s.host(), s.port())...); code != 0 {
			t.Errorf("atftp -p with %v ends with %d: %s", options, code, out)
		}
		same(t, filepath.Join(s.root, "new-"+name), content)
		for _, r := range []record{s.proves(got(name, content)), s.proves(stored("new-"+name, content))} {
			if d := r.Details; d.Blksize != blksize || d.Window != window {
				t.Errorf("%s with %v: %+v", r.Op, options, d)
			}
		}
	}
	f(5000, 512, 1)
	f(0, 512, 1)
	f(5120, 512, 1)
	f(100_000, 1428, 1, "blksize 1428")
	f(200_000, 512, 16, "windowsize 16")
	f(8192, 512, 16, "windowsize 16")
	f(1<<20, 1428, 16, "blksize 1428", "windowsize 16", "tsize")
	f(5000, 512, 1, "tsize")
	f(5000, 512, 1, "timeout 3")
	f(40<<20, 1428, 16, "blksize 1428", "windowsize 16")
	f(34<<20, 512, 16, "windowsize 16") // more than 65535 blocks in windows
}

func TestAtftpGetsText(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	text, dir := prose(3000), t.TempDir()
	s.file("text", text)
	if out, code := client(t, dir, nil, "atftp", "--option", "mode netascii", "-g", "-r", "text", "-l", "out", s.host(), s.port()); code != 0 {
		t.Errorf("atftp ends with %d: %s", code, out)
	}
	w := got("text", text)
	w.bytes = int64(len(toWire(text)))
	if r := s.proves(w); r.Details.Mode != "netascii" {
		t.Errorf("the record says mode %s", r.Details.Mode)
	}
}

func TestBusyboxGetsAndPuts(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	f := func(name string, content []byte) {
		t.Helper()
		dir := t.TempDir()
		s.file(name, content)
		if out, code := client(t, dir, nil, "busybox", "tftp", "-g", "-r", name, "-l", "out", s.host(), s.port()); code != 0 {
			t.Errorf("busybox tftp -g ends with %d: %s", code, out)
		}
		same(t, filepath.Join(dir, "out"), content)
		if out, code := client(t, dir, nil, "busybox", "tftp", "-p", "-r", "new-"+name, "-l", "out", s.host(), s.port()); code != 0 {
			t.Errorf("busybox tftp -p ends with %d: %s", code, out)
		}
		same(t, filepath.Join(s.root, "new-"+name), content)
		s.proves(got(name, content))
		s.proves(stored("new-"+name, content))
	}
	f("small", noise(1, 1000))
	f("empty", []byte{})
	f("exact", noise(2, 1024))
	f("large", noise(3, 2<<20))
}

func TestBusyboxIsToldThatTheFileIsMissing(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	dir := t.TempDir()
	out, code := client(t, dir, nil, "busybox", "tftp", "-g", "-r", "missing", "-l", "out", s.host(), s.port())
	if code == 0 || !strings.Contains(out, "file not found") {
		t.Errorf("busybox tftp ends with %d: %s", code, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "out")); err == nil {
		t.Error("it left a file")
	}
	s.proves(refusal("get", "missing", "not-found"))
}
