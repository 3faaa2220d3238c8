//go:build real

package real

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Exit codes of curl (curl(1)).
const (
	curlFine       = 0
	curlNotFound   = 68
	curlAccess     = 69
	curlDiskFull   = 70
	curlFileExists = 73
)

// curl runs curl with its own words switched off but for errors.
func curl(t testing.TB, dir string, stdin []byte, arg ...string) (out string, code int) {
	t.Helper()
	return client(t, dir, stdin, "curl", append([]string{"-sS", "--max-time", "100"}, arg...)...)
}

func TestCurlGetsWhatStandsThere(t *testing.T) {
	s := serve(t, "")
	f := func(name string, content []byte, options map[string]string, arg ...string) {
		t.Helper()
		s.file(name, content)
		dir := t.TempDir()
		out, code := curl(t, dir, nil, append(arg, "-o", "out", s.url(url.PathEscape(name)))...)
		if code != curlFine {
			t.Errorf("curl %s ends with %d: %s", name, code, out)
			return
		}
		if len(content) > 0 { // curl makes no file for an empty one
			same(t, filepath.Join(dir, "out"), content)
		}
		r := s.proves(got(name, content))
		delete(r.Details.Asked, "timeout") // curl works it out from the time it has
		if fmt.Sprint(r.Details.Asked) != fmt.Sprint(options) {
			t.Errorf("%s was asked for with %v, the record says %v", name, options, r.Details.Asked)
		}
	}
	plain := map[string]string{"blksize": "512", "tsize": "0"}
	f("small.bin", noise(1, 1000), plain)
	f("empty", []byte{}, map[string]string{}, "--tftp-no-options") // curl 7.88 takes a tsize of 0 in an OACK for an error
	f("exact.bin", noise(2, 1024), plain)
	f("wide.bin", noise(3, 100_000), map[string]string{"blksize": "1428", "tsize": "0"}, "--tftp-blksize", "1428")
	f("widest.bin", noise(4, 300_000), map[string]string{"blksize": "65464", "tsize": "0"}, "--tftp-blksize", "65464")
	f("tiny.bin", noise(5, 100), map[string]string{"blksize": "8", "tsize": "0"}, "--tftp-blksize", "8")
	f("plain.bin", noise(6, 5000), map[string]string{}, "--tftp-no-options")
	f("with space.bin", noise(7, 700), plain)
	f("größe-✓.bin", noise(8, 700), plain)
	f("100%s%n.bin", noise(9, 700), plain)
	f(`back\slash.bin`, noise(10, 700), plain)
	f(strings.Repeat("n", 255), noise(11, 700), plain)
}

func TestCurlPutsWhatThenStandsThere(t *testing.T) {
	s := serve(t, "")
	f := func(name string, content []byte, stdin bool, tsize int64, arg ...string) {
		t.Helper()
		dir := t.TempDir()
		from, pipe := "in", []byte(nil)
		if stdin {
			from, pipe = "-", content
		} else if err := os.WriteFile(filepath.Join(dir, "in"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, code := curl(t, dir, pipe, append(arg, "-T", from, s.url(url.PathEscape(name)))...); code != curlFine {
			t.Errorf("curl -T %s ends with %d: %s", name, code, out)
			return
		}
		same(t, filepath.Join(s.root, name), content)
		r := s.proves(stored(name, content))
		announced := int64(-1)
		if r.Expected != nil {
			announced = *r.Expected
		}
		if announced != tsize {
			t.Errorf("%s was announced with %d bytes, the record says %d", name, tsize, announced)
		}
		if st, err := os.Stat(filepath.Join(s.root, name)); err != nil || st.Mode() != 0o644 {
			t.Errorf("%s is stored with %v, %v", name, st.Mode(), err)
		}
	}
	f("small.bin", noise(1, 1000), false, 1000)
	f("empty", []byte{}, false, -1) // tsize 0 announces nothing
	f("exact.bin", noise(2, 1024), false, 1024)
	f("wide.bin", noise(3, 100_000), false, 100_000, "--tftp-blksize", "1428")
	f("widest.bin", noise(4, 300_000), false, 300_000, "--tftp-blksize", "65464")
	f("plain.bin", noise(5, 5000), false, -1, "--tftp-no-options")
	f("pipe.bin", noise(6, 5000), true, -1)
	f("with space.bin", noise(7, 700), false, 700)
	f("größe-✓.bin", noise(8, 700), false, 700)
	f("100%s%n.bin", noise(9, 700), false, 700)
	f(`back\slash.bin`, noise(10, 700), false, 700)
}

func TestCurlGetsAndPutsMoreThan65535Blocks(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	content := noise(1, 65537*512+100)
	s.file("down.bin", content)
	dir := t.TempDir()
	if out, code := curl(t, dir, nil, "-o", "out", s.url("down.bin")); code != curlFine {
		t.Fatalf("curl ends with %d: %s", code, out)
	}
	same(t, filepath.Join(dir, "out"), content)
	if out, code := curl(t, dir, nil, "-T", "out", s.url("up.bin")); code != curlFine {
		t.Fatalf("curl -T ends with %d: %s", code, out)
	}
	same(t, filepath.Join(s.root, "up.bin"), content)
	s.proves(got("down.bin", content))
	s.proves(stored("up.bin", content))
}

func TestCurlIsToldWhyAndTheRecordSaysIt(t *testing.T) {
	t.Parallel()
	s := serve(t, "write: create")
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.file("there.cfg", []byte("there"))
	if err := os.Chmod(s.file("closed.cfg", []byte("closed")), 0); err != nil {
		t.Fatal(err)
	}
	mkdir(t, s.root, "folder")
	command(t, "mkfifo", filepath.Join(s.root, "fifo"))
	command(t, "ln", "-s", outside, filepath.Join(s.root, "out"))
	dir := t.TempDir()
	f := func(op, name string, code int, w want, errorCode int) {
		t.Helper()
		arg := []string{"--path-as-is", "-o", "got", s.url(name)}
		if op == "put" {
			arg = []string{"--path-as-is", "-T", "-", s.url(name)}
		}
		if out, got := curl(t, dir, []byte("new"), arg...); got != code {
			t.Errorf("curl %s %s ends with %d, not %d: %s", op, name, got, code, out)
		}
		if r := s.proves(w); r.Details.ErrorCode != errorCode {
			t.Errorf("%s %s: the client was told %d, the record says %d", op, name, errorCode, r.Details.ErrorCode)
		}
	}
	f("get", "missing", curlNotFound, refusal("get", "missing", "not-found"), 1)
	f("get", "folder", curlAccess, refusal("get", "folder", "not-readable"), 2)
	f("get", "fifo", curlAccess, refusal("get", "fifo", "not-readable"), 2)
	f("get", "out", curlAccess, refusal("get", "out", "not-readable"), 2)
	f("get", "closed.cfg", curlAccess, refusal("get", "closed.cfg", "not-readable"), 2)
	f("get", "../secret", curlAccess, refusal("get", "../secret", "bad-request"), 2)
	f("put", "there.cfg", curlFileExists, refusal("put", "there.cfg", "exists"), 6)
	f("put", "no/folder", curlNotFound, refusal("put", "no/folder", "not-found"), 1)
	f("put", "out", curlAccess, refusal("put", "out", "not-writable"), 2)
	f("put", "fifo", curlAccess, refusal("put", "fifo", "not-writable"), 2)
	f("put", ".kept/x", curlAccess, refusal("put", ".kept/x", "not-writable"), 2)
	same(t, filepath.Join(s.root, "there.cfg"), []byte("there"))
	same(t, outside, []byte("secret"))
	if left := s.leftovers(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestAServerThatIsWriteOnlyGivesNothingOut(t *testing.T) {
	t.Parallel()
	s := serve(t, "read: false")
	s.file("there.cfg", []byte("there"))
	dir := t.TempDir()
	if out, code := curl(t, dir, nil, "-o", "got", s.url("there.cfg")); code != curlAccess {
		t.Errorf("curl ends with %d: %s", code, out)
	}
	if out, code := curl(t, dir, []byte("new"), "-T", "-", s.url("new.cfg")); code != curlFine {
		t.Errorf("curl -T ends with %d: %s", code, out)
	}
	s.proves(refusal("get", "there.cfg", "policy"))
	s.proves(stored("new.cfg", []byte("new")))
}

func TestAServerThatTakesNoUploadsTakesNone(t *testing.T) {
	t.Parallel()
	s := serve(t, "write: no")
	if out, code := curl(t, t.TempDir(), []byte("new"), "-T", "-", s.url("new.cfg")); code != curlAccess {
		t.Errorf("curl -T ends with %d: %s", code, out)
	}
	s.proves(refusal("put", "new.cfg", "policy"))
	if _, err := os.Stat(filepath.Join(s.root, "new.cfg")); err == nil {
		t.Error("new.cfg stands there")
	}
}

func TestOnlyThoseOnTheListAreServed(t *testing.T) {
	t.Parallel()
	s := serve(t, "allow: [127.0.0.7]")
	content := noise(1, 700)
	s.file("fw.bin", content)
	f := func(from string, code int) {
		t.Helper()
		// curl binds its socket to the address that --interface names.
		if out, got := curl(t, t.TempDir(), nil, "--interface", from, "-o", "out", s.url("fw.bin")); got != code {
			t.Errorf("curl from %s ends with %d: %s", from, got, out)
		}
	}
	d := newDevice(t, s.addr, "127.0.0.7")
	if b, err := d.get("fw.bin"); err != nil || !bytes.Equal(b, content) {
		t.Errorf("who is on the list gets %d bytes, %v", len(b), err)
	}
	f("127.0.0.8", curlAccess)
	served, denied := got("fw.bin", content), refusal("get", "fw.bin", "not-allowed")
	served.client, denied.client = "127.0.0.7", "127.0.0.8"
	for _, r := range s.ended(2, "get", "fw.bin") {
		if r.Client.IP == "127.0.0.7" {
			s.compare(r, served)
		} else {
			s.compare(r, denied)
			if why := s.tallyman("why", r.ID); !strings.Contains(why, "127.0.0.8 is not in serve.tftp.allow") {
				t.Errorf("why says: %s", why)
			}
		}
	}
}

func TestTwoUploadsOfANameAreTwoRecordsAndAKeptVersion(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	first, second := noise(1, 3000), noise(2, 4000)
	for _, content := range [][]byte{first, second} {
		if out, code := curl(t, t.TempDir(), content, "-T", "-", s.url("router1-confg")); code != curlFine {
			t.Errorf("curl -T ends with %d: %s", code, out)
		}
	}
	found := s.ended(2, "put", "router1-confg")
	if len(found) != 2 {
		t.Fatalf("%d records", len(found))
	}
	s.compare(found[0], stored("router1-confg", first))
	s.compare(found[1], stored("router1-confg", second))
	same(t, filepath.Join(s.root, "router1-confg"), second)
	kept, err := filepath.Glob(filepath.Join(s.root, ".kept", "router1-confg-*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept: %v, %v", kept, err)
	}
	same(t, kept[0], first)
	if out, code := curl(t, t.TempDir(), nil, "-o", "out", s.url(".kept/"+filepath.Base(kept[0]))); code != curlNotFound {
		t.Errorf("a kept version is given out: %d %s", code, out)
	}
}
