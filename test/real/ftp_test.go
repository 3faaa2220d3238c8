//go:build real

package real

import (
	"bufio"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const ftpPassword = "correct horse"

// serveFTP starts a server with FTP alone, and the account tally. keys are of serve.ftp, as YAML in flow style without braces.
func serveFTP(t *testing.T, keys string) *server {
	t.Helper()
	s := newFTP(t, keys)
	s.start()
	t.Cleanup(s.stop)
	return s
}

func newFTP(t *testing.T, keys string) *server {
	t.Helper()
	s := newServer(t)
	s.listen = ""
	config := filepath.Join(t.TempDir(), "tallyman.yaml")
	text := "serve:\n  ftp: {implicit: \"127.0.0.1:0\", pasv_ports: any, min_free: 1MiB"
	if keys != "" {
		text += ", " + keys
	}
	if err := os.WriteFile(config, []byte(text+"}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.flags = []string{"--config", config, "--ftp", "127.0.0.1:0", "--sftp", ""}
	if out, code := client(t, t.TempDir(), []byte(ftpPassword+"\n"), os.Getenv(binaryEnv), "user", "add", "tally", "--permissions", "all", "--password-stdin", "--state", s.state); code != 0 {
		t.Fatal(out)
	}
	return s
}

// ftpRecord waits for the record of a transfer that is settled: an upload is first told as stored and not proven.
func (s *server) ftpRecord(op, file string) record {
	s.t.Helper()
	return s.await(1, func(r *record) bool {
		return r.Op == op && r.File == file && r.closed() && r.Reason != "reply-unacknowledged"
	})[0]
}

func (s *server) is(op, file, verdict, reason string, content []byte) {
	s.t.Helper()
	r := s.ftpRecord(op, file)
	sum := ""
	if content != nil {
		sum = digest(content)
	}
	if r.Verdict != verdict || r.Reason != reason || content != nil && r.SHA256 != sum {
		s.t.Errorf("%s %s is %s %s with %q: %+v", op, file, r.Verdict, r.Reason, r.SHA256, r)
	}
}

func (s *server) write(dir, name string, content []byte) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func TestCurlTransfersByFTP(t *testing.T) {
	s := serveFTP(t, "write: overwrite")
	dir, content := t.TempDir(), noise(1, 3_000_000)
	s.write(dir, "in", content)
	login := "tally:" + ftpPassword
	run := func(code int, arg ...string) string {
		t.Helper()
		out, got := curl(t, dir, nil, append([]string{"-k", "-u", login}, arg...)...)
		if got != code {
			t.Errorf("curl %v ends with %d: %s", arg, got, out)
		}
		return out
	}
	plain, implicit := "ftp://"+s.ftp.String()+"/", "ftps://"+s.ftps.String()+"/"
	f := func(name, url, reason string, arg ...string) {
		t.Helper()
		run(0, append(arg, "-T", "in", url+name)...)
		same(t, filepath.Join(s.root, name), content)
		s.is("put", name, "complete", reason, content)
		run(0, append(arg, "-o", "out", url+name)...)
		same(t, filepath.Join(dir, "out"), content)
		s.is("get", name, "complete", "reply-acknowledged", content)
	}
	f("plain.bin", plain, "reply-acknowledged")
	f("pasv.bin", plain, "reply-acknowledged", "--disable-epsv")
	// Under TLS 1.2 curl resumes by session id alone (it sets SSL_OP_NO_TICKET), which is not bound to a login.
	if _, code := curl(t, dir, nil, "-k", "-u", login, "--ssl-reqd", "--tls-max", "1.2", "-T", "in", plain+"tls12.bin"); code == 0 {
		t.Error("a data connection that does not resume was served")
	}
	s.is("put", "tls12.bin", "failed", "data-peer-mismatch", nil)
	f("tls13.bin", plain, "close-notify", "--ssl-reqd", "--tlsv1.3")
	for _, key := range []string{"tls_reuse: false", "tls_reuse_exempt: [192.0.2.0/24, 127.0.0.1]"} {
		lax := serveFTP(t, key)
		if out, code := curl(t, dir, nil, "-k", "-u", login, "--ssl-reqd", "--tls-max", "1.2", "-T", "in", "ftp://"+lax.ftp.String()+"/tls12.bin"); code != 0 {
			t.Errorf("%s: curl ends with %d: %s", key, code, out)
		}
		lax.is("put", "tls12.bin", "complete", "close-notify", content)
	}
	strict := serveFTP(t, "tls_reuse_exempt: [192.0.2.0/24]")
	if out, code := curl(t, dir, nil, "-k", "-u", login, "--ssl-reqd", "--tls-max", "1.2", "-T", "in", "ftp://"+strict.ftp.String()+"/tls12.bin"); code == 0 {
		t.Errorf("who is not exempt is served: %s", out)
	}
	f("implicit.bin", implicit, "close-notify")
	// Resumed both ways, appended, and in new folders.
	s.write(dir, "half", content[:1_000_000])
	run(0, "-T", "half", plain+"resumed.bin")
	run(0, "-C", "-", "-T", "in", plain+"resumed.bin")
	same(t, filepath.Join(s.root, "resumed.bin"), content)
	run(0, "-C", "-", "-o", "half", plain+"resumed.bin")
	same(t, filepath.Join(dir, "half"), content)
	s.write(dir, "tail", []byte("tail"))
	run(0, "-a", "-T", "tail", plain+"resumed.bin")
	same(t, filepath.Join(s.root, "resumed.bin"), append(slices.Clip(content), "tail"...))
	run(0, "--ftp-create-dirs", "-T", "in", plain+"new/folder/file.bin")
	same(t, filepath.Join(s.root, "new/folder/file.bin"), content)
	if out := run(0, "-l", plain+"new/"); out != "folder\n" {
		t.Errorf("it lists %q", out)
	}
	if out := run(0, plain+"new/folder/"); !strings.Contains(out, " 3000000 ") || !strings.HasSuffix(out, " file.bin\n") {
		t.Errorf("it lists %q", out)
	}
	run(0, "-I", plain+"plain.bin")
	run(0, plain, "-Q", "RNFR plain.bin", "-Q", "RNTO renamed.bin", "-Q", "DELE pasv.bin", "-o", "/dev/null")
	same(t, filepath.Join(s.root, "renamed.bin"), content)
	if _, err := os.Stat(filepath.Join(s.root, "pasv.bin")); err == nil {
		t.Error("pasv.bin is still there")
	}
	run(0, "-r", "10-19", "-o", "range", plain+"renamed.bin")
	same(t, filepath.Join(dir, "range"), content[10:20])
	if r := s.ftpRecord("get", "renamed.bin"); r.Verdict == "complete" {
		t.Errorf("a range is %s", r.Verdict)
	}
	run(78, "-o", "none", plain+"missing.bin")
	s.is("get", "missing.bin", "refused", "not-found", nil)
	run(30, "-P", "-", "-o", "none", plain+"renamed.bin") // active mode is off
	for _, name := range []string{"größe-✓.bin", "with space.bin", "100%25s.bin", "a%23b.bin"} {
		run(0, "-T", "in", plain+strings.ReplaceAll(name, " ", "%20"))
	}
	for _, name := range []string{"größe-✓.bin", "with space.bin", "100%s.bin", "a#b.bin"} {
		same(t, filepath.Join(s.root, name), content)
	}
	if left := s.leftovers(); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestLftpTransfersByFTPAndFTPS(t *testing.T) {
	s := serveFTP(t, "write: overwrite, port_mode: true")
	dir, content := t.TempDir(), noise(2, 2_000_000)
	s.write(dir, "in", content)
	mkdir(t, dir, "tree")
	mkdir(t, dir, "tree", "sub")
	for i := range 20 {
		s.write(filepath.Join(dir, "tree", "sub"), fmt.Sprint("f", i), noise(uint64(i), 5000))
	}
	run := func(script string) string {
		t.Helper()
		out, code := client(t, dir, nil, "lftp", "-c", "set ssl:verify-certificate no; set cmd:fail-exit yes; set net:max-retries 1; set net:timeout 20; "+script)
		if code != 0 {
			t.Errorf("lftp ends with %d: %s", code, out)
		}
		return out
	}
	open := fmt.Sprintf("open -u tally,'%s' ftp://%s; ", ftpPassword, s.ftp)
	for i, mode := range []string{"set ftp:ssl-allow no; ", "set ftp:ssl-force yes; set ftp:ssl-protect-data yes; ", "set ftp:ssl-allow no; set ftp:passive-mode no; "} {
		name := fmt.Sprint("f", i)
		reason := map[bool]string{true: "close-notify", false: "reply-acknowledged"}[i == 1]
		out := run(mode + open + "put in -o " + name + "; get " + name + " -o out" + name + "; ls; mkdir d" + name + "; mv " + name + " d" + name + "/x; cls -l d" + name + "; rm d" + name + "/x; rmdir d" + name)
		same(t, filepath.Join(dir, "out"+name), content)
		s.is("put", name, "complete", reason, content)
		s.is("get", name, "complete", "reply-acknowledged", content)
		if !strings.Contains(out, "2000000") {
			t.Errorf("it lists %q", out)
		}
	}
	run("set ftp:ssl-force yes; set ftp:ssl-protect-data yes; " + open + "mirror -R --parallel=3 tree up; mirror --parallel=3 up down")
	for i := range 20 {
		same(t, filepath.Join(s.root, "up/sub", fmt.Sprint("f", i)), noise(uint64(i), 5000))
		same(t, filepath.Join(dir, "down/sub", fmt.Sprint("f", i)), noise(uint64(i), 5000))
	}
}

func TestPythonFtplibTransfers(t *testing.T) {
	s := serveFTP(t, "write: overwrite, tls_reuse: false")
	dir, content := t.TempDir(), noise(3, 1_000_000)
	s.write(dir, "in", content)
	script := `
import ftplib, io, os, ssl, sys
host, port = sys.argv[1].split(":")
for kind in ("plain", "tls"):
    if kind == "plain":
        f = ftplib.FTP()
    else:
        f = ftplib.FTP_TLS(context=ssl._create_unverified_context())
    f.connect(host, int(port), 20)
    f.login("tally", "correct horse")
    if kind == "tls":
        f.prot_p()
    f.storbinary("STOR " + kind, open("in", "rb"))
    got = io.BytesIO()
    f.retrbinary("RETR " + kind, got.write)
    assert got.getvalue() == open("in", "rb").read()
    assert f.size(kind) == 1000000
    assert f.sendcmd("HASH " + kind).split()[2] == "0-1000000"
    free = os.statvfs(sys.argv[2])
    assert 0 < int(f.sendcmd("AVBL")[4:]) < free.f_bavail * free.f_bsize + (64 << 20), f.sendcmd("AVBL")
    f.storlines("STOR lines-" + kind, io.BytesIO(b"one\ntwo\n"))
    lines = []
    f.retrlines("RETR lines-" + kind, lines.append)
    assert lines == ["one", "two"], lines
    assert dict(f.mlsd())[kind]["size"] == "1000000"
    assert kind in f.nlst()
    out = []
    f.dir(out.append)
    f.mkd("d-" + kind); f.cwd("d-" + kind); assert f.pwd() == "/d-" + kind, f.pwd()
    f.cwd(".."); f.rename(kind, "d-" + kind + "/x"); f.delete("d-" + kind + "/x"); f.rmd("d-" + kind)
    d = f.transfercmd("STOR aborted-" + kind)
    d.sendall(b"x" * 100000)
    try:
        f.abort()
    except ftplib.error_proto as e:  # it takes the 426 for the answer
        pass
    f.close()
`
	if out, code := client(t, dir, nil, "python3", "-c", script, s.ftp.String(), s.root); code != 0 {
		t.Fatalf("python ends with %d: %s", code, out)
	}
	s.is("put", "plain", "complete", "reply-acknowledged", content)
	// Who asks for the size behind an upload compares it. (HASH comes behind a download here, and is evidence of the upload all the same.)
	for _, name := range []string{"plain", "tls"} {
		s.await(1, func(r *record) bool { return r.Op == "put" && r.File == name && r.Details.Compared == "SIZE HASH" })
	}
	s.is("get", "plain", "complete", "reply-acknowledged", content)
	s.is("put", "tls", "complete", "close-notify", content)
	s.is("put", "lines-plain", "complete", "reply-acknowledged", nil)
	same(t, filepath.Join(s.root, "lines-plain"), []byte("one\ntwo\n"))
	for _, name := range []string{"aborted-plain", "aborted-tls"} {
		s.is("put", name, "aborted", "client-abort", nil)
		if _, err := os.Stat(filepath.Join(s.root, name)); err == nil {
			t.Errorf("%s is stored", name)
		}
	}
}

func TestTnftpTransfers(t *testing.T) {
	s := serveFTP(t, "write: overwrite")
	dir, content := t.TempDir(), noise(4, 500_000)
	s.write(dir, "in", content)
	script := fmt.Sprintf("open %s %d\nuser tally \"%s\"\nbinary\nput in up.bin\nget up.bin out\nappend in up.bin\nsize up.bin\nls\nmkdir d\nrename up.bin d/x\nmls d -\ndelete d/x\nrmdir d\nquit\n", s.ftp.Addr(), s.ftp.Port(), ftpPassword)
	out, code := client(t, dir, []byte(script), "tnftp", "-n", "-v")
	if code != 0 {
		t.Fatalf("tnftp ends with %d: %s", code, out)
	}
	same(t, filepath.Join(dir, "out"), content)
	s.is("put", "up.bin", "complete", "reply-acknowledged", content)
	s.is("get", "up.bin", "complete", "reply-acknowledged", content)
	s.is("append", "up.bin", "complete", "reply-acknowledged", append(slices.Clip(content), content...))
	if !strings.Contains(out, "up.bin\t1000000\n") {
		t.Errorf("it said %s", out)
	}
}

// Clients that are killed in the middle: all servers of Debian call such an upload a success.
func TestAKilledClientIsNeverComplete(t *testing.T) {
	s := serveFTP(t, "write: overwrite, tls_reuse: false")
	dir := t.TempDir()
	old := []byte("the old file")
	upload := func(name string, arg ...string) {
		t.Helper()
		s.file(name, old)
		cmd := exec.Command(arg[0], arg[1:]...)
		cmd.Dir = dir
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { // more than the client will live to send
			for _, err := in.Write(noise(5, 1<<20)); err == nil; _, err = in.Write(noise(5, 1<<20)) {
			}
		}()
		for late := time.Now().Add(soon); s.temporary() == 0; {
			if time.Now().After(late) {
				t.Fatalf("%s sends nothing", arg[0])
			}
		}
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
		r := s.ftpRecord("put", name)
		if r.Verdict != "failed" {
			t.Errorf("%s: %s is %s, %s", arg[0], name, r.Verdict, r.Reason)
		}
		t.Logf("%s: %s, %s, %d bytes", name, r.Verdict, r.Reason, *r.Bytes)
		same(t, filepath.Join(s.root, name), old)
	}
	login := "tally:" + ftpPassword
	python := `
import ftplib, ssl, sys
host, port = sys.argv[1].split(":")
f = ftplib.FTP() if sys.argv[2] == "plain" else ftplib.FTP_TLS(context=ssl._create_unverified_context())
f.connect(host, int(port), 20); f.login("tally", "correct horse")
if sys.argv[2] == "tls": f.prot_p()
f.storbinary("STOR " + sys.argv[3], sys.stdin.buffer)
`
	for i := range 4 {
		upload(fmt.Sprint("curl-plain-", i), "curl", "-sS", "-u", login, "-T", "-", fmt.Sprintf("ftp://%s/curl-plain-%d", s.ftp, i))
		upload(fmt.Sprint("curl-tls-", i), "curl", "-sS", "-k", "--ssl-reqd", "-u", login, "-T", "-", fmt.Sprintf("ftp://%s/curl-tls-%d", s.ftp, i))
		upload(fmt.Sprint("python-plain-", i), "python3", "-c", python, s.ftp.String(), "plain", fmt.Sprint("python-plain-", i))
		upload(fmt.Sprint("python-tls-", i), "python3", "-c", python, s.ftp.String(), "tls", fmt.Sprint("python-tls-", i))
	}
	if left := s.leftovers(); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

// temporary is how many bytes of unfinished uploads lie in the root.
func (s *server) temporary() (n int64) {
	s.t.Helper()
	for _, path := range s.leftovers() {
		if st, err := os.Stat(path); err == nil {
			n += st.Size()
		}
	}
	return n
}

// What the server acknowledged before kill -9 stands and is recorded; what it had not is absent, and the record says so.
func TestAKilledFTPServerTellsTheTruthAtTheNextStart(t *testing.T) {
	s := newFTP(t, "write: overwrite")
	for round := range 5 {
		s.start()
		dir := t.TempDir()
		s.write(dir, "in", noise(uint64(round), 20_000))
		var names []string
		for i := range 20 {
			names = append(names, fmt.Sprintf("r%d-%d", round, i))
		}
		acked := s.uploadUntilKilled(dir, names, 7+3*round)
		s.start()
		for _, name := range names {
			_, err := os.Stat(filepath.Join(s.root, name))
			if acked[name] {
				same(t, filepath.Join(s.root, name), noise(uint64(round), 20_000))
			} else if err == nil { // renamed, and killed before the 226: whole all the same
				same(t, filepath.Join(s.root, name), noise(uint64(round), 20_000))
			}
			for _, r := range s.listed("file:" + name) {
				switch {
				case r.Op != "put" || !r.closed():
					t.Errorf("%s: %+v", name, r)
				case acked[name] && r.Verdict != "complete" && r.Verdict != "unproven":
					t.Errorf("%s was acknowledged, and is %s %s", name, r.Verdict, r.Reason)
				case !acked[name] && r.Verdict == "complete":
					t.Errorf("%s was not acknowledged, and is %s %s", name, r.Verdict, r.Reason)
				}
			}
			if acked[name] && len(s.listed("file:"+name)) != 1 {
				t.Errorf("%s was acknowledged, and has %d records", name, len(s.listed("file:"+name)))
			}
		}
		if left := s.leftovers(); len(left) > 0 {
			t.Errorf("left over: %v", left)
		}
		s.stop()
	}
}

// uploadUntilKilled stores one file after the other, and kills the server while the one of that number is sent.
func (s *server) uploadUntilKilled(dir string, names []string, at int) map[string]bool {
	s.t.Helper()
	acked := map[string]bool{}
	content, err := os.ReadFile(filepath.Join(dir, "in"))
	if err != nil {
		s.t.Fatal(err)
	}
	f := &ftpClient{t: s.t, c: mustDial(s.t, s.ftp.String())}
	f.login("tally", ftpPassword)
	for i, name := range names {
		if i == at {
			go s.cmd.Process.Kill() // somewhere in what follows
		}
		if !f.tryPut(name, content) {
			break
		}
		acked[name] = true
	}
	s.kill()
	return acked
}

func mustDial(t testing.TB, at string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp4", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(soon))
	return c
}

func (f *ftpClient) login(user, password string) {
	f.t.Helper()
	f.r = textproto.NewReader(bufio.NewReader(f.c))
	f.reply(220)
	f.command(331, "USER "+user)
	f.command(230, "PASS "+password)
	f.command(200, "TYPE I")
}

// tryPut stores a file, and reports whether that was acknowledged.
func (f *ftpClient) tryPut(name string, content []byte) bool {
	if _, err := fmt.Fprint(f.c, "PASV\r\n"); err != nil {
		return false
	}
	_, text, err := f.r.ReadResponse(227)
	if err != nil {
		return false
	}
	var h [4]int
	var hi, lo int
	if _, err := fmt.Sscanf(text[strings.LastIndexByte(text, '(')+1:], "%d,%d,%d,%d,%d,%d", &h[0], &h[1], &h[2], &h[3], &hi, &lo); err != nil {
		return false
	}
	d, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", hi<<8|lo))
	if err != nil {
		return false
	}
	defer d.Close()
	if _, err := fmt.Fprintf(f.c, "STOR %s\r\n", name); err != nil {
		return false
	}
	if _, _, err := f.r.ReadResponse(150); err != nil {
		return false
	}
	if _, err := d.Write(content); err != nil {
		return false
	}
	_ = d.Close()
	_, _, err = f.r.ReadResponse(226)
	return err == nil
}

func TestRcloneTransfersByFTPAndFTPS(t *testing.T) {
	s := serveFTP(t, "write: overwrite, tls_reuse: false")
	dir := t.TempDir()
	mkdir(t, dir, "tree")
	names := []string{"plain.bin", "größe-✓.bin", "with space", "a'b\"c", `back\slash`, "percent%20", "semi;colon", "-dash", "trailing "}
	for i, name := range names {
		s.write(filepath.Join(dir, "tree"), name, noise(uint64(i), 50_000+i))
	}
	hidden, code := client(t, dir, nil, "rclone", "obscure", ftpPassword)
	if code != 0 {
		t.Fatal(hidden)
	}
	run := func(arg ...string) {
		t.Helper()
		if out, code := client(t, dir, nil, "rclone", append(arg, "--config", "/dev/null", "--retries", "1", "--low-level-retries", "1", "--timeout", "20s")...); code != 0 {
			t.Errorf("rclone %v ends with %d: %s", arg, code, out)
		}
	}
	for _, mode := range []string{"", ",explicit_tls=true,no_check_certificate=true"} {
		remote := fmt.Sprintf(":ftp,host=%s,port=%d,user=tally,pass=%s,encoding=None%s:up%d", s.ftp.Addr(), s.ftp.Port(), strings.TrimSpace(hidden), mode, len(mode))
		run("copy", "tree", remote)
		run("check", "--download", "tree", remote)
		run("copyto", remote+"/plain.bin", "again")
		same(t, filepath.Join(dir, "again"), noise(0, 50_000))
		run("moveto", remote+"/plain.bin", remote+"/moved/there.bin")
		run("touch", "-t", "2001-02-03T04:05:06", remote+"/moved/there.bin")
		run("deletefile", remote+"/moved/there.bin")
		run("rmdir", remote+"/moved")
		run("copy", "tree", remote) // what is there already is not sent again
		for i, name := range names {
			same(t, filepath.Join(s.root, fmt.Sprint("up", len(mode)), name), noise(uint64(i), 50_000+i))
		}
	}
}
