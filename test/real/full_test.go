//go:build real

package real

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFullDiskEndsAnUploadAndLeavesNothing(t *testing.T) {
	t.Parallel()
	f := func(keys string) {
		t.Helper()
		d := newDisk(t, "32M")
		s := newServer(t)
		s.root, s.tftp = mkdir(t, d.at, "root"), keys
		s.start()
		defer s.stop()
		old, small, large := noise(1, 5000), noise(2, 3000), noise(3, 40<<20)
		s.file("image", old)
		// From a pipe nothing is announced: the server meets the end of the disk on its way.
		if out, code := curl(t, t.TempDir(), large, "--tftp-blksize", "65464", "-T", "-", s.url("image")); code != curlDiskFull {
			t.Errorf("%s: curl -T - ends with %d: %s", keys, code, out)
		}
		same(t, filepath.Join(s.root, "image"), old)
		r := s.ended(1, "put", "image")[0]
		if r.Verdict != "failed" || r.Reason != "disk-full" || r.SHA256 != "" || r.Content != "partial" {
			t.Errorf("%s: the record says %+v", keys, r)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "in"), large, 0o600); err != nil {
			t.Fatal(err)
		}
		// Announced, it is refused before its first byte.
		if out, code := curl(t, dir, nil, "-T", "in", s.url("announced")); code != curlDiskFull {
			t.Errorf("%s: curl -T ends with %d: %s", keys, code, out)
		}
		s.proves(refusal("put", "announced", "disk-full"))
		if left := s.leftovers(); len(left) > 0 {
			t.Errorf("%s: left: %v", keys, left)
		}
		if out, code := curl(t, dir, small, "-T", "-", s.url("small")); code != curlFine {
			t.Errorf("%s: afterwards curl -T ends with %d: %s", keys, code, out)
		}
		same(t, filepath.Join(s.root, "small"), small)
		s.proves(stored("small", small))
	}
	f("min_free: 0B")
	f("min_free: 8MiB")
}

func TestWhereTheLedgerHasNoRoomUploadsWaitInTheSpool(t *testing.T) {
	t.Parallel()
	d := newDisk(t, "64M")
	s := newServer(t)
	s.state = filepath.Join(d.at, "state")
	s.start()
	defer s.stop()
	put(t, s, "before")
	s.proves(stored("before", config("before")))
	free := d.fill()
	for n := range 60 {
		put(t, s, fmt.Sprintf("config-%d", n))
	}
	free()
	for n := range 60 {
		name := fmt.Sprintf("config-%d", n)
		s.proves(stored(name, config(name)))
	}
}

func TestWhereTheSpoolCannotBeWrittenNothingIsAcknowledged(t *testing.T) {
	t.Parallel()
	d := newDisk(t, "64M")
	s := newServer(t)
	s.state = filepath.Join(d.at, "state")
	s.start()
	put(t, s, "before")
	s.proves(stored("before", config("before")))
	d.cut()
	for range 3 {
		var said *remoteError
		if err := newDevice(t, s.addr, "").put("during", config("during")); !errors.As(err, &said) {
			t.Errorf("the client is told %v", err)
		}
	}
	s.kill()
	d.again()
	s.start()
	defer s.stop()
	put(t, s, "after")
	s.proves(stored("before", config("before")))
	s.proves(stored("after", config("after")))
}

// config is a content that belongs to a name.
func config(name string) []byte { return []byte(strings.Repeat(name+"\n", 100)) }

// put stores the config of a name.
func put(t testing.TB, s *server, name string) {
	t.Helper()
	if err := newDevice(t, s.addr, "").put(name, config(name)); err != nil {
		t.Errorf("put %s: %v", name, err)
	}
}

func TestAReadOnlyDiskIsReadAndNotWritten(t *testing.T) {
	t.Parallel()
	d := newDisk(t, "32M")
	s := newServer(t)
	s.root, s.tftp = mkdir(t, d.at, "root"), "min_free: 0B"
	content := noise(1, 5000)
	s.file("image", content)
	s.start()
	defer s.stop()
	d.remount("ro")
	dir := t.TempDir()
	if out, code := curl(t, dir, nil, "-o", "out", s.url("image")); code != curlFine {
		t.Errorf("curl ends with %d: %s", code, out)
	}
	same(t, filepath.Join(dir, "out"), content)
	if out, code := curl(t, dir, content, "-T", "-", s.url("new")); code != curlAccess {
		t.Errorf("curl -T ends with %d: %s", code, out)
	}
	s.proves(got("image", content))
	s.proves(refusal("put", "new", "not-writable"))
	d.remount("rw")
	if out, code := curl(t, dir, content, "-T", "-", s.url("later")); code != curlFine {
		t.Errorf("after the remount curl -T ends with %d: %s", code, out)
	}
	s.proves(stored("later", content))
}

func TestADiskThatTurnsReadOnlyInAnUploadEndsIt(t *testing.T) {
	t.Parallel()
	d := newDisk(t, "32M")
	s := newServer(t)
	s.root, s.tftp = mkdir(t, d.at, "root"), "min_free: 0B"
	old, fresh := noise(1, 5000), noise(2, 300_000)
	s.file("image", old)
	command(t, "sync", "-f", d.at)
	s.start()
	c := newDevice(t, s.addr, "")
	c.step = func(block int) bool {
		if block == 300 {
			d.remount("abort") // ext4 behaves as after a fault of the disk: errors=remount-ro
		}
		return true
	}
	err := c.put("image", fresh)
	var said *remoteError
	if !errors.As(err, &said) || said.code != 2 && said.code != 3 && said.code != 0 {
		t.Errorf("the client is told %v", err)
	}
	same(t, filepath.Join(s.root, "image"), old)
	r := s.ended(1, "put", "image")[0]
	if said := r.Verdict + " " + r.Reason; said != "failed not-writable" && said != "failed io-error" || r.SHA256 != "" {
		t.Errorf("the client was told %v, and the record says %+v", err, r)
	}
	s.stop()
	d.unmount()
	d.mount()
	s.start()
	defer s.stop()
	same(t, filepath.Join(s.root, "image"), old)
	if left := s.leftovers(); len(left) > 0 {
		t.Errorf("left after the next start: %v", left)
	}
}
