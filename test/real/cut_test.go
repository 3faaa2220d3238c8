//go:build real

package real

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// onDiskByLogin prepares a server for FTP and SFTP whose root and state lie on a disk of their own.
func onDiskByLogin(t *testing.T, d *disk) *server {
	t.Helper()
	s := onDisk(t, d)
	s.listen, s.tftp = "", ""
	config := filepath.Join(t.TempDir(), "tallyman.yaml")
	if err := os.WriteFile(config, []byte("serve:\n  ftp: {pasv_ports: any, min_free: 1MiB, write: overwrite}\n  sftp: {min_free: 1MiB, write: overwrite}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.flags = []string{"--config", config, "--ftp", "127.0.0.1:0", "--sftp", "127.0.0.1:0"}
	if out, code := client(t, t.TempDir(), []byte(ftpPassword+"\n"), os.Getenv(binaryEnv), "user", "add", "tally", "--root", s.root, "--permissions", "all", "--password-stdin", "--state", s.state); code != 0 {
		t.Fatal(out)
	}
	return s
}

// runByLogin keeps clients of FTP and of SFTP uploading until the returned function is called.
func (u *uploads) runByLogin(s *server, label string, each int) (stop func()) {
	var all sync.WaitGroup
	var open []func()
	keep := func(name string, put func(string, []byte) bool, close func()) {
		open = append(open, close)
		all.Go(func() {
			for n := 0; ; n++ {
				name, content := fmt.Sprintf("%s-%d", name, n), noise(rand.Uint64(), rand.IntN(200_000))
				u.begin(name, content)
				if !put(name, content) {
					return
				}
				u.ack(name)
			}
		})
	}
	for i := range each {
		f := &ftpClient{t: s.t, c: mustDial(s.t, s.ftp.String())}
		f.login("tally", ftpPassword)
		keep(fmt.Sprintf("ftp-%s-%d", label, i), f.tryPut, func() { _ = f.c.Close() })
		c := openSFTP(s.t, s.sftp, "tally", ftpPassword)
		keep(fmt.Sprintf("sftp-%s-%d", label, i), c.put, c.close)
	}
	return func() {
		for _, close := range open {
			close()
		}
		all.Wait()
	}
}

// checkByLogin compares files and records with what the clients know.
func (u *uploads) checkByLogin(s *server) {
	s.t.Helper()
	records := map[string][]record{}
	for _, r := range s.listed() {
		records[r.File] = append(records[r.File], r)
	}
	good := []string{"complete closed", "complete reply-acknowledged", "unproven reply-unacknowledged"}
	for name, content := range u.content {
		b, err := os.ReadFile(filepath.Join(s.root, name))
		there := err == nil
		switch {
		case there && !bytes.Equal(b, content):
			s.t.Errorf("%s holds %d bytes that nobody sent", name, len(b))
		case !there && (u.acked[name] || !errors.Is(err, os.ErrNotExist)):
			s.t.Errorf("%s, acknowledged %v: %v", name, u.acked[name], err)
		}
		found := records[name]
		if len(found) > 1 || (u.acked[name] || there) && len(found) != 1 {
			s.t.Errorf("%s, acknowledged %v, there %v, has %d records: %+v", name, u.acked[name], there, len(found), found)
		}
		for _, r := range found {
			switch said := r.Verdict + " " + r.Reason; {
			case there && slices.Contains(good, said):
				if r.SHA256 != digest(content) || r.Bytes == nil || *r.Bytes != int64(len(content)) {
					s.t.Errorf("%s: the record claims %+v", name, r)
				}
			case there && !u.acked[name] && said == "unproven gap":
			case there && said == "failed control-lost": // it had its name when the client was gone, and the record says so
			case !there && (r.Verdict == "failed" || r.Verdict == "refused" || r.Verdict == "aborted"):
			default:
				s.t.Errorf("%s, acknowledged %v, there %v: the record says %s:\n%s", name, u.acked[name], there, said, s.tallyman("why", r.ID))
			}
		}
	}
	if left := s.leftovers(); len(left) > 0 {
		s.t.Errorf("left: %v", left)
	}
}

func TestAPowerCutAtAnyMomentLosesNoAcknowledgedUploadByFTPAndSFTP(t *testing.T) {
	t.Parallel()
	d := newDisk(t, "256M")
	s, u := onDiskByLogin(t, d), newUploads()
	const rounds = 8
	for round := range rounds {
		s.start()
		u.checkByLogin(s)
		stop := u.runByLogin(s, fmt.Sprint(round), 3)
		u.await(rand.IntN(20))
		<-time.After(time.Duration(rand.IntN(10_000)) * time.Microsecond) // somewhere in the middle of six uploads
		u.setDark(true)
		d.cut()
		stop()
		u.setDark(false)
		s.kill()
		d.again()
	}
	s.start()
	u.checkByLogin(s)
	s.stop()
	t.Logf("%d uploads begun, %d acknowledged, %d power cuts", len(u.content), len(u.acked), rounds)
}

func TestADiskThatFillsOrTurnsReadOnlyEndsUploadsByFTPAndSFTP(t *testing.T) {
	t.Parallel()
	f := func(what string, fault func(*disk), reasons ...string) {
		d := newDisk(t, "32M")
		s := onDiskByLogin(t, d)
		s.state = filepath.Join(t.TempDir(), "state")
		if out, code := client(t, t.TempDir(), []byte(ftpPassword+"\n"), os.Getenv(binaryEnv), "user", "add", "tally", "--root", s.root, "--permissions", "all", "--password-stdin", "--state", s.state); code != 0 {
			t.Fatal(out)
		}
		old := []byte("the old file")
		s.file("byftp", old)
		s.file("bysftp", old)
		command(t, "sync", "-f", d.at)
		s.start()
		// Both have begun when it happens.
		f := &ftpClient{t: t, c: mustDial(t, s.ftp.String())}
		f.login("tally", ftpPassword)
		data := f.data("STOR byftp")
		if _, err := data.Write(noise(1, 100_000)); err != nil {
			t.Fatal(err)
		}
		c := openSFTP(t, s.sftp, "tally", ftpPassword)
		h := c.create("bysftp")
		if h == "" || !c.write(h, 0, noise(1, 20_000)) {
			t.Fatal("SFTP takes nothing")
		}
		fault(d)
		for i := range 400 { // 40 MB, more than there is room for
			if _, err := data.Write(noise(uint64(i), 100_000)); err != nil {
				break
			}
		}
		_ = data.Close()
		if code, text, err := f.r.ReadResponse(0); err == nil && code < 400 {
			t.Errorf("%s: FTP says %d %s", what, code, text)
		}
		for i := range 2000 {
			if !c.write(h, 20_000*(i+1), noise(uint64(i), 20_000)) {
				break
			}
		}
		if c.shut(h) {
			t.Errorf("%s: CLOSE is answered with success", what)
		}
		for _, name := range []string{"byftp", "bysftp"} {
			r := s.ended(1, "put", name)[0]
			if r.Verdict != "failed" || !slices.Contains(reasons, r.Reason) || r.SHA256 != "" {
				t.Errorf("%s: %s is %s %s: %+v", what, name, r.Verdict, r.Reason, r)
			}
			same(t, filepath.Join(s.root, name), old)
		}
		// What is there can still be had.
		if out, code := curl(t, t.TempDir(), nil, "-u", "tally:"+ftpPassword, "-o", "out", fmt.Sprintf("ftp://%s/byftp", s.ftp)); code != curlFine {
			t.Errorf("%s: curl ends with %d: %s", what, code, out)
		}
		s.stop()
		d.unmount()
		d.mount()
		s.start()
		defer s.stop()
		if left := s.leftovers(); len(left) > 0 {
			t.Errorf("%s: left after the next start: %v", what, left)
		}
		same(t, filepath.Join(s.root, "byftp"), old)
		c = openSFTP(t, s.sftp, "tally", ftpPassword)
		if !c.put("later", old) {
			t.Errorf("%s: nothing can be stored afterwards", what)
		}
		c.close()
	}
	f("full", func(*disk) {}, "disk-full")
	f("errors=remount-ro", func(d *disk) { d.remount("abort") }, "not-writable", "io-error")
}

// What runs when the server is told to reload or to stop goes on to its end, and is recorded.
func TestReloadAndDrainLetTransfersEndByFTPAndSFTP(t *testing.T) {
	t.Parallel()
	d := newDisk(t, "64M")
	s := onDiskByLogin(t, d)
	s.start()
	content := noise(9, 200_000)
	f := &ftpClient{t: t, c: mustDial(t, s.ftp.String())}
	f.login("tally", ftpPassword)
	data := f.data("STOR byftp")
	c := openSFTP(t, s.sftp, "tally", ftpPassword)
	h := c.create("bysftp")
	half := len(content) / 2
	send := func(from, to int) {
		t.Helper()
		if _, err := data.Write(content[from:to]); err != nil {
			t.Error(err)
		}
		for ; from < to; from += 20_000 {
			if !c.write(h, from, content[from:min(to, from+20_000)]) {
				t.Fatal("a WRITE is refused")
			}
		}
	}
	send(0, half)
	_ = s.cmd.Process.Signal(syscall.SIGHUP)
	send(half, half+10_000)
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	for late := time.Now().Add(soon); ; { // it takes no one new
		n, err := net.Dial("tcp", s.ftp.String())
		if err != nil {
			break
		}
		_ = n.Close()
		if time.Now().After(late) {
			t.Fatal("it still takes connections")
		}
	}
	send(half+10_000, len(content))
	_ = data.Close()
	f.reply(226)
	if !c.shut(h) {
		t.Error("CLOSE is not answered with success")
	}
	select {
	case <-s.exited:
	case <-time.After(soon):
		t.Fatal("it does not stop")
	}
	s.unwatch()
	s.start()
	defer s.stop()
	for name, reason := range map[string]string{"byftp": "reply-acknowledged", "bysftp": "closed"} {
		same(t, filepath.Join(s.root, name), content)
		if r := s.ended(1, "put", name)[0]; r.Verdict != "complete" || r.Reason != reason || r.SHA256 != digest(content) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}
