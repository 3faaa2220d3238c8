//go:build real

package real

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const password = "correct horse battery"

// sshServer is a server with the account ann, whom a key and a password open.
type sshServer struct {
	*server
	key string
}

func newSSH(t *testing.T) *sshServer {
	t.Helper()
	s := &sshServer{server: newServer(t), key: filepath.Join(t.TempDir(), "key")}
	command(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", s.key)
	s.flags = []string{"--sftp", "127.0.0.1:0"}
	return s
}

// account adds ann; the root must be known by now.
func (s *sshServer) account() {
	s.t.Helper()
	cmd := exec.Command(os.Getenv(binaryEnv), "user", "add", "ann", "--key", s.key+".pub", "--root", s.root, "--password-stdin", "--state", s.state)
	cmd.Stdin = strings.NewReader(password + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("user add: %v: %s", err, out)
	}
}

func serveSSH(t *testing.T) *sshServer {
	t.Helper()
	s := newSSH(t)
	s.account()
	s.start()
	t.Cleanup(s.stop)
	return s
}

// options are those of sftp, scp and ssh, without a word about hosts that are not known.
func (s *sshServer) options(more ...string) []string {
	out := []string{"-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes", "-i", s.key}
	return append(out, more...)
}

func (s *sshServer) sshPort() string { return fmt.Sprint(s.sftp.Port()) }

// batch gives commands to sftp.
func (s *sshServer) batch(dir string, lines ...string) (string, int) {
	s.t.Helper()
	return client(s.t, dir, []byte(strings.Join(lines, "\n")+"\n"), "sftp", s.options("-P", s.sshPort(), "-b", "-", "ann@127.0.0.1")...)
}

// moved waits for the newest record of a file and compares it.
func (s *sshServer) moved(op, file, verdict, reason string, content []byte) record {
	s.t.Helper()
	all := s.ended(1, op, file)
	r := all[len(all)-1]
	sum, size := "", int64(-1)
	if content != nil {
		sum, size = digest(content), int64(len(content))
	}
	if r.Verdict != verdict || r.Reason != reason || r.SHA256 != sum || r.Proto != "sftp" || size >= 0 && (r.Bytes == nil || *r.Bytes != size) {
		s.t.Errorf("%s %s: want %s %s %s, got %+v", op, file, verdict, reason, sum, r)
	}
	return r
}

func write(t testing.TB, dir, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o640); err != nil {
		t.Fatal(err)
	}
}

func TestOpenSSHDoesWithSFTPWhatItDoesDaily(t *testing.T) {
	s := serveSSH(t)
	dir, large := t.TempDir(), noise(1, 5<<20)
	write(t, dir, "large", large)
	write(t, dir, "with space", []byte("x"))
	out, code := s.batch(dir, "pwd", "put -p large", `put "with space"`, "get -p large back", "mkdir d", "rename large d/l", "ln d/l second", "ls -la", "df", "chmod 600 second", "rm second",
		"cd d", "cd ..", "get d/l again", "put large d/l", "!cmp large back", "cp d/l copied")
	if code != 0 || !strings.Contains(out, "Remote working directory: /") {
		t.Fatalf("sftp ends with %d: %s", code, out)
	}
	same(t, filepath.Join(dir, "back"), large)
	same(t, filepath.Join(dir, "again"), large)
	s.moved("put", "/large", "complete", "closed", large)
	s.moved("put", "/with space", "complete", "closed", []byte("x"))
	s.moved("get", "/large", "complete", "closed", large)
	s.moved("put", "/d/l", "complete", "closed", large)
	same(t, filepath.Join(s.root, "copied"), large) // by copy-data: no byte of it went to the client
	s.moved("put", "/copied", "complete", "closed", large)
	for _, op := range []string{"mkdir /d", "rename /large", "link /d/l", "delete /second"} {
		what, file, _ := strings.Cut(op, " ") // an outcome, and no verdict: no content has moved
		s.await(1, func(r *record) bool {
			return r.Op == what && r.File == file && r.Outcome == "success" && r.Verdict == ""
		})
	}
	if all, lists := s.listed(), s.listed("op:list"); len(lists) == 0 || slices.ContainsFunc(all, func(r record) bool { return r.Op == "list" }) {
		t.Errorf("%d listings are told when they are asked for: %+v", len(lists), all)
	}
	if kept, _ := filepath.Glob(filepath.Join(s.root, ".kept/d/l-*")); len(kept) != 1 {
		t.Errorf("kept: %v", kept)
	}
	if st, err := os.Stat(filepath.Join(s.root, "d/l")); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", st, err)
	}
	// What is not there, may not be, or is in the way ends the batch and is told.
	for line, want := range map[string]string{"get none": "not found", "put large ../../../etc/none/x": "No such file", "rmdir d": "Permission denied", "mkdir d": "Failure", "ln -s d/l link": "Operation unsupported"} {
		if out, code := s.batch(dir, line); code == 0 || !strings.Contains(out, want) {
			t.Errorf("%s ends with %d: %s", line, code, out)
		}
	}
	// scp, with the protocol of today; the one of yesterday is a command and is refused.
	scp := func(arg ...string) (string, int) {
		return client(t, dir, nil, "scp", append(s.options("-P", s.sshPort()), arg...)...)
	}
	if out, code := scp("-s", "large", "ann@127.0.0.1:/scp"); code != 0 {
		t.Errorf("scp -s ends with %d: %s", code, out)
	}
	if out, code := scp("-s", "-r", "ann@127.0.0.1:/d", "tree"); code != 0 {
		t.Errorf("scp -r ends with %d: %s", code, out)
	}
	same(t, filepath.Join(dir, "tree/l"), large)
	s.moved("put", "/scp", "complete", "closed", large)
	if out, code := scp("-O", "large", "ann@127.0.0.1:/old"); code == 0 {
		t.Errorf("scp -O ends with %d: %s", code, out)
	}
	if out, code := client(t, dir, nil, "ssh", s.options("-p", s.sshPort(), "ann@127.0.0.1", "id")...); code == 0 {
		t.Errorf("a command runs: %s", out)
	}
	if out, code := client(t, dir, nil, "ssh", s.options("-p", s.sshPort(), "-W", "127.0.0.1:22", "ann@127.0.0.1")...); code == 0 {
		t.Errorf("a way through: %s", out)
	}
	for _, want := range []string{"exec scp -t /old refused", "exec id refused", "direct-tcpip to 127.0.0.1:22 refused"} {
		s.told(1, want)
	}
}

// events are the texts of all events.
func (s *server) events() string {
	s.t.Helper()
	var texts []string
	for line := range strings.Lines(s.tallyman("events", "--json", "-n", "1000")) {
		var e struct{ Kind, Text, User string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			s.t.Fatalf("event %q: %v", line, err)
		}
		texts = append(texts, e.Kind+" "+e.User+": "+e.Text)
	}
	return strings.Join(texts, "\n")
}

// told waits until the events say something so often.
func (s *server) told(n int, want string) {
	s.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for late := time.Now().Add(soon); ; <-tick.C {
		events := s.events()
		if strings.Count(events, want) >= n {
			return
		}
		if time.Now().After(late) {
			s.t.Fatalf("the events do not say %d times %q: %s", n, want, events)
		}
	}
}

func TestOtherClientsOfSFTPFindWhatTheyExpect(t *testing.T) {
	s := serveSSH(t)
	dir, large := t.TempDir(), noise(2, 1_000_000)
	src := mkdir(t, dir, "src")
	write(t, src, "large", large)
	write(t, mkdir(t, src, "sub"), "größe ✓", []byte("small"))
	write(t, src, "empty", nil)
	run := func(name string, arg ...string) string {
		t.Helper()
		out, code := client(t, dir, nil, name, arg...)
		if code != 0 {
			t.Errorf("%s %s ends with %d: %s", name, strings.Join(arg, " "), code, out)
		}
		return out
	}
	url := "sftp://127.0.0.1:" + s.sshPort()
	// curl, on libssh2: CTR and HMAC-SHA-2, passwords.
	run("curl", "-sSk", "-u", "ann:"+password, "-T", "src/large", url+"/curl")
	run("curl", "-sSk", "-u", "ann:"+password, "-o", "curl", url+"/curl")
	same(t, filepath.Join(dir, "curl"), large)
	s.moved("put", "/curl", "complete", "closed", large)
	s.moved("get", "/curl", "complete", "closed", large)
	write(t, dir, "tail", []byte("tail"))
	run("curl", "-sSk", "-u", "ann:"+password, "-a", "-T", "tail", url+"/curl")
	same(t, filepath.Join(s.root, "curl"), append(bytes.Clone(large), "tail"...))
	if out, code := client(t, dir, nil, "curl", "-sSk", "-u", "ann:wrong password", url+"/curl"); code != 67 {
		t.Errorf("curl with a wrong password ends with %d: %s", code, out)
	}
	// lftp, on the ssh of the system.
	lftp := fmt.Sprintf("set sftp:connect-program 'ssh -a -x %s'; ", strings.Join(s.options(), " "))
	run("lftp", "-e", lftp+"mirror -R src m; cls -l m; mv m/large m/l2; mirror m back; bye", "-u", "ann,", url)
	same(t, filepath.Join(dir, "back/l2"), large)
	same(t, filepath.Join(dir, "back/sub/größe ✓"), []byte("small"))
	s.moved("put", "/m/large", "complete", "closed", large)
	// rclone: copies, compares, syncs, with times.
	rclone := func(arg ...string) string {
		return run("rclone", append(arg, "--config", "/dev/null", "--sftp-host", "127.0.0.1", "--sftp-port", s.sshPort(), "--sftp-user", "ann", "--sftp-key-file", s.key)...)
	}
	rclone("copy", "src", ":sftp:r")
	rclone("check", "--download", "src", ":sftp:r")
	rclone("moveto", ":sftp:r/large", ":sftp:r/large2")
	rclone("sync", "src", ":sftp:r")
	if out := rclone("lsf", "-R", ":sftp:r"); out != "empty\nlarge\nsub/\nsub/größe ✓\n" {
		t.Errorf("rclone lsf: %q", out)
	}
	if out := rclone("about", ":sftp:"); !strings.Contains(out, "Free:") {
		t.Errorf("rclone about: %s", out)
	}
	s.moved("put", "/r/large", "complete", "closed", large)
	s.moved("put", "/r/empty", "complete", "closed", []byte{})
	rclone("purge", ":sftp:r")
	// sshfs: a mounted folder.
	at := mkdir(t, dir, "mnt")
	run("sshfs", "ann@127.0.0.1:/", at, "-p", s.sshPort(), "-F", "/dev/null", "-o", "BatchMode=yes,StrictHostKeyChecking=no,UserKnownHostsFile=/dev/null,IdentityFile="+s.key)
	defer func() { _, _ = attempt("umount", at) }()
	run("cp", "-pr", "src", "mnt/f")
	run("sh", "-c", "echo more >> mnt/f/large && diff -r src/sub mnt/f/sub && mv mnt/f/empty mnt/f/none && rm -r mnt/f/sub")
	run("umount", "mnt")
	same(t, filepath.Join(s.root, "f/large"), append(bytes.Clone(large), "more\n"...))
	s.told(1, "login-failed ann: ann: wrong password")
}

func TestKilledSFTPClientLeavesItsRecordAlone(t *testing.T) {
	s := serveSSH(t)
	dir := t.TempDir()
	write(t, dir, "large", noise(3, 30<<20))
	s.file("old", []byte("old"))
	s.file("down", noise(4, 30<<20))
	f := func(op, file, line string) {
		t.Helper()
		cmd := exec.Command("sftp", s.options("-l", "30000", "-P", s.sshPort(), "-b", "-", "ann@127.0.0.1")...)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(line+"\n")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		s.await(1, func(r *record) bool { return r.Op == op && r.File == file && r.Verdict == "active" })
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		r := s.ended(1, op, file)[0]
		if r.Verdict != "failed" || r.Reason != "client-gone" || r.SHA256 != "" || r.Bytes == nil || *r.Bytes >= 30<<20 {
			t.Errorf("%s %s: %+v", op, file, r)
		}
	}
	f("put", "/old", "put large old")
	f("put", "/new", "put large new")
	f("get", "/down", "get down back")
	same(t, filepath.Join(s.root, "old"), []byte("old"))
	if _, err := os.Stat(filepath.Join(s.root, "new")); err == nil || len(s.leftovers()) > 0 {
		t.Errorf("left: new (%v), %v", err, s.leftovers())
	}
}

// TestKilledServerHasWhatItAcknowledgedBySFTP kills the server while a client stores file after file. The client repeats each command before it begins it: all but
// the last were acknowledged.
func TestKilledServerHasWhatItAcknowledgedBySFTP(t *testing.T) {
	s := newSSH(t)
	s.account()
	s.start()
	defer func() { s.stop() }()
	dir := t.TempDir()
	const files = 300
	var lines []string
	for i := range files {
		name := fmt.Sprintf("f%03d", i)
		write(t, dir, name, noise(uint64(i), 20_000+i))
		lines = append(lines, "put "+name+" "+name)
	}
	acked := 0
	for round := range 4 {
		cmd := exec.Command("sftp", s.options("-P", s.sshPort(), "-b", "-", "ann@127.0.0.1")...)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(strings.ReplaceAll(strings.Join(lines, "\n")+"\n", " f", fmt.Sprintf(" r%d-f", round)))
		for i := range files {
			name := fmt.Sprintf("f%03d", i)
			_ = os.Rename(filepath.Join(dir, name), filepath.Join(dir, fmt.Sprintf("r%d-%s", round, name)))
		}
		var out safeBuffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		s.await(20*(round+1), func(r *record) bool { return strings.HasPrefix(r.File, fmt.Sprintf("/r%d-", round)) && r.closed() })
		s.kill()
		_ = cmd.Wait()
		s.start()
		begun := strings.Count(out.String(), "sftp> put ")
		if begun == 0 || begun == files {
			t.Fatalf("%d of %d were begun", begun, files)
		}
		for i := range files {
			name := fmt.Sprintf("r%d-f%03d", round, i)
			content := noise(uint64(i), 20_000+i)
			if i < begun-1 {
				acked++
				same(t, filepath.Join(s.root, name), content)
				s.moved("put", "/"+name, "complete", "closed", content)
			} else if b, err := os.ReadFile(filepath.Join(s.root, name)); err == nil && !bytes.Equal(b, content) {
				t.Errorf("%s stands there with %d bytes", name, len(b))
			}
			_ = os.Rename(filepath.Join(dir, name), filepath.Join(dir, fmt.Sprintf("f%03d", i)))
		}
		for _, r := range s.await(begun-1, func(r *record) bool { return strings.HasPrefix(r.File, fmt.Sprintf("/r%d-", round)) && r.closed() }) {
			if v := r.Verdict + " " + r.Reason; v != "complete closed" && v != "failed server-gone" && v != "unproven gap" {
				t.Errorf("%s: %s", r.File, v)
			}
		}
		if left := s.leftovers(); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
	t.Logf("%d uploads were acknowledged before 4 kills", acked)
}

func TestFullDiskEndsAnUploadBySFTP(t *testing.T) {
	d := newDisk(t, "32M")
	s := newSSH(t)
	s.root = mkdir(t, d.at, "root")
	s.account()
	s.start()
	defer s.stop()
	dir := t.TempDir()
	write(t, dir, "large", noise(5, 40<<20))
	write(t, dir, "small", noise(6, 3000))
	s.file("image", []byte("old"))
	if out, code := s.batch(dir, "put large image"); code == 0 {
		t.Errorf("sftp ends with %d: %s", code, out)
	}
	if r := s.ended(1, "put", "/image")[0]; r.Verdict != "refused" && r.Verdict != "failed" || r.Reason != "disk-full" {
		t.Errorf("%+v", r)
	}
	same(t, filepath.Join(s.root, "image"), []byte("old"))
	if left := s.leftovers(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestPasswordOfOpenSSHIsAskedThreeTimes(t *testing.T) {
	s := serveSSH(t)
	dir := t.TempDir()
	ask := filepath.Join(dir, "ask")
	if err := os.WriteFile(ask, []byte("#!/bin/sh\necho wrong password\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sftp", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "PubkeyAuthentication=no", "-P", s.sshPort(), "ann@127.0.0.1")
	cmd.Env = append(os.Environ(), "SSH_ASKPASS="+ask, "SSH_ASKPASS_REQUIRE=force")
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "Permission denied") {
		t.Errorf("%v: %s", err, out)
	}
	if took := time.Since(began); took < 1500*time.Millisecond { // 0 + 0.5 + 1 second
		t.Errorf("three guesses take %v", took)
	}
	s.told(3, "login-failed ann: ann: wrong password")
}
