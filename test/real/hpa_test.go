//go:build real

package real

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// hpa runs the client of tftp-hpa. It may end with 0 although the transfer failed: what it says counts.
func hpa(t testing.TB, s *server, dir, mode string, arg ...string) (out string) {
	t.Helper()
	out, _ = client(t, dir, nil, "tftp", append([]string{s.host(), s.port(), "-m", mode, "-c"}, arg...)...)
	return out
}

// toWire is text as netascii has it (RFC 764): LF is CR LF, CR is CR NUL.
func toWire(text []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r"), []byte("\r\x00")), []byte("\n"), []byte("\r\n"))
}

// prose is text whose line ends and lone carriage returns fall on every place of a block.
func prose(size int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < size; i++ {
		b.WriteString(strings.Repeat("x", i%17))
		b.WriteString([]string{"\n", "\r", "\r\n", "\n\n"}[i%4])
	}
	return b.Bytes()[:size]
}

func TestTftpHpaGetsAndPuts(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	f := func(name string, content []byte) {
		t.Helper()
		dir := t.TempDir()
		s.file(name, content)
		if out := hpa(t, s, dir, "binary", "get", name, "out"); out != "" {
			t.Errorf("get %s says %s", name, out)
		}
		same(t, filepath.Join(dir, "out"), content)
		if out := hpa(t, s, dir, "binary", "put", "out", "new-"+name); out != "" {
			t.Errorf("put %s says %s", name, out)
		}
		same(t, filepath.Join(s.root, "new-"+name), content)
		if r := s.proves(got(name, content)); r.Details.Mode != "octet" || len(r.Details.Asked) != 0 {
			t.Errorf("details of the read: %+v", r.Details)
		}
		s.proves(stored("new-"+name, content))
	}
	f("small", noise(1, 1000))
	f("empty", []byte{})
	f("exact", noise(2, 2048))
	f("large", noise(3, 1<<20))
}

func TestTftpHpaGetsAndPutsMoreThan65535Blocks(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	content := noise(1, 65536*512)
	s.file("image", content)
	dir := t.TempDir()
	if out := hpa(t, s, dir, "binary", "get", "image", "out"); out != "" {
		t.Errorf("get says %s", out)
	}
	same(t, filepath.Join(dir, "out"), content)
	if out := hpa(t, s, dir, "binary", "put", "out", "new"); out != "" {
		t.Errorf("put says %s", out)
	}
	same(t, filepath.Join(s.root, "new"), content)
	s.proves(got("image", content))
	s.proves(stored("new", content))
}

func TestNetasciiIsConvertedBothWays(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	f := func(name string, text []byte) {
		t.Helper()
		dir := t.TempDir()
		s.file(name, text)
		if out := hpa(t, s, dir, "netascii", "get", name, "out"); out != "" {
			t.Errorf("get %s says %s", name, out)
		}
		same(t, filepath.Join(dir, "out"), text)
		if out := hpa(t, s, dir, "netascii", "put", "out", "new-"+name); out != "" {
			t.Errorf("put %s says %s", name, out)
		}
		same(t, filepath.Join(s.root, "new-"+name), text)
		wire := int64(len(toWire(text)))
		read, upload := got(name, text), stored("new-"+name, text)
		read.bytes, upload.bytes = wire, wire
		if r := s.proves(read); r.Details.Mode != "netascii" {
			t.Errorf("the record of a text says mode %s", r.Details.Mode)
		}
		s.proves(upload)
		if out, code := curl(t, dir, nil, "-o", "raw", s.url(name)+";mode=netascii"); code != curlFine {
			t.Errorf("curl %s ends with %d: %s", name, code, out)
		}
		same(t, filepath.Join(dir, "raw"), toWire(text)) // curl converts nothing
	}
	f("config.txt", []byte("hostname router1\ninterface Gi0/0\r\n  shutdown\rend\n"))
	f("prose.txt", prose(5000))
	f("border.txt", append(bytes.Repeat([]byte("x"), 511), '\n', '\r'))
	f("whole.txt", bytes.Repeat([]byte("\n"), 256))
}

func TestTftpHpaIsToldWhy(t *testing.T) {
	t.Parallel()
	s := serve(t, "write: create")
	s.file("there", []byte("there"))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "in"), []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(says string, w want, arg ...string) {
		t.Helper()
		if out := hpa(t, s, dir, "binary", arg...); !strings.Contains(out, says) {
			t.Errorf("%v says %q, not %q", arg, out, says)
		}
		s.proves(w)
	}
	f("Error code 1: file not found", refusal("get", "missing", "not-found"), "get", "missing", "out")
	f("Error code 6: file exists", refusal("put", "there", "exists"), "put", "in", "there")
	f("Error code 1: file not found", refusal("put", "no/folder", "not-found"), "put", "in", "no/folder")
}
