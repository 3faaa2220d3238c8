//go:build real

package real

import (
	"bufio"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/logs"
)

// freeTCP is a TCP port that was free a moment ago.
func freeTCP(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// dial waits for a server.
func (i *island) dial(port int) net.Conn {
	i.t.Helper()
	var c net.Conn
	i.until(fmt.Sprintf("somebody listens on %d", port), func() (ok bool) {
		var err error
		c, err = net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		return err == nil
	})
	return c
}

// ftpClient is a control connection.
type ftpClient struct {
	t testing.TB
	c net.Conn
	r *textproto.Reader
}

func (i *island) ftp(port int, password string) *ftpClient {
	i.t.Helper()
	f := &ftpClient{t: i.t, c: i.dial(port)}
	i.t.Cleanup(func() { _ = f.c.Close() })
	_ = f.c.SetDeadline(time.Now().Add(soon))
	f.r = textproto.NewReader(bufio.NewReader(f.c))
	f.reply(220)
	f.command(331, "USER lu")
	if password == "pw" {
		f.command(230, "PASS pw")
		f.command(200, "TYPE I")
	} else {
		f.command(530, "PASS "+password)
	}
	return f
}

func (f *ftpClient) reply(code int) string {
	f.t.Helper()
	_, text, err := f.r.ReadResponse(code)
	if err != nil {
		f.t.Fatalf("want %d: %v", code, err)
	}
	return text
}

func (f *ftpClient) command(code int, text string) string {
	f.t.Helper()
	if _, err := fmt.Fprintf(f.c, "%s\r\n", text); err != nil {
		f.t.Fatal(err)
	}
	return f.reply(code)
}

// passive has the server listen for data, and returns where.
func (f *ftpClient) passive() string {
	f.t.Helper()
	var h [4]int
	var hi, lo int
	text := f.command(227, "PASV")
	if _, err := fmt.Sscanf(text[strings.LastIndexByte(text, '(')+1:], "%d,%d,%d,%d,%d,%d", &h[0], &h[1], &h[2], &h[3], &hi, &lo); err != nil {
		f.t.Fatalf("%q: %v", text, err)
	}
	return fmt.Sprintf("127.0.0.1:%d", hi<<8|lo)
}

// data begins a transfer.
func (f *ftpClient) data(command string) net.Conn {
	f.t.Helper()
	at := f.passive()
	if _, err := fmt.Fprintf(f.c, "%s\r\n", command); err != nil {
		f.t.Fatal(err)
	}
	d, err := net.Dial("tcp4", at)
	if err != nil {
		f.t.Fatal(err)
	}
	f.reply(150)
	return d
}

// put stores a file; killed clients vanish in the middle.
func (f *ftpClient) put(name string, content []byte, killed bool) {
	f.t.Helper()
	d := f.data("STOR " + name)
	if _, err := d.Write(content); err != nil {
		f.t.Fatal(err)
	}
	if killed {
		_ = d.Close()
		_ = f.c.Close()
		return
	}
	_ = d.Close()
	f.reply(226)
}

func ended(path string, op tallyman.Op) func(e *tallyman.Evidence) bool {
	return func(e *tallyman.Evidence) bool {
		return e.Kind == tallyman.KindClosed && e.Op == op && (strings.HasSuffix(e.Path, "/"+path) || e.Name == path)
	}
}

// story is what a client does to each server, and what its log must tell.
func (i *island) story(w *witness, port int, quotes bool) {
	i.t.Helper()
	f := i.ftp(port, "pw")
	f.put("up a.bin", noise(1, 300000), false)
	tricky := `q"u, 5 bytes, "ote`
	if quotes {
		f.put(tricky, []byte("abc"), false)
	}
	i.ftp(port, "pw").put("killed", noise(2, 200000), true)
	i.ftp(port, "bad")
	e := w.find("the upload", func(e *tallyman.Evidence) bool {
		return ended("up a.bin", tallyman.OpPut)(e) || ended("up_a.bin", tallyman.OpPut)(e)
	})
	if e.Moved != 300000 || e.User != "lu" || e.Reason != tallyman.Stored || !strings.Contains(e.Details, `"assumed":true`) {
		i.t.Errorf("the upload: %+v", e)
	}
	if quotes {
		if e := w.find("the name with quotes", ended(tricky, tallyman.OpPut)); e.Moved != 3 {
			i.t.Errorf("the name with quotes: %+v", e)
		}
	}
	e = w.find("the upload that was cut", ended("killed", tallyman.OpPut))
	if e.Reason == tallyman.Stored && !strings.Contains(e.Details, `"assumed":true`) {
		i.t.Errorf("the upload that was cut is sold as stored: %+v", e)
	}
}

func (i *island) failedLogin(w *witness) {
	i.t.Helper()
	w.find("the failed login", func(e *tallyman.Evidence) bool { return e.Kind == tallyman.KindLoginFailed && e.User == "lu" })
	w.find("the login", func(e *tallyman.Evidence) bool { return e.Kind == tallyman.KindLogin && e.User == "lu" })
}

// file is an empty log with its folder, which servers append to.
func (i *island) file(name string) string {
	i.t.Helper()
	path := filepath.Join(i.dir, name)
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		i.t.Fatal(err)
	}
	return path
}

func (i *island) write(name, text string) string {
	i.t.Helper()
	path := filepath.Join(i.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		i.t.Fatal(err)
	}
	return path
}

func TestLogsOfVsftpdBecomeEvidence(t *testing.T) {
	t.Parallel()
	i := newIsland(t)
	own, xfer := i.file("vsftpd.log"), i.file("xferlog")
	port := freeTCP(t)
	w := newWitness(t, logs.Config{Files: []logs.File{{Path: own, Format: "vsftpd", FromStart: true}}})
	w.start()
	x := newWitness(t, logs.Config{Files: []logs.File{{Path: xfer, FromStart: true}}})
	x.start()
	i.vsftpd(port, own, xfer, true)
	i.story(w, port, true)
	i.failedLogin(w)
	if e := w.find("the request", func(e *tallyman.Evidence) bool { return e.Kind == tallyman.KindRequest && e.Name == "killed" }); e.Session == "" || e.Peer.Addr().String() != "127.0.0.1" {
		t.Errorf("the request: %+v", e)
	}
	if e := x.find("the line in xferlog", ended("killed", tallyman.OpPut)); time.Since(e.Time).Abs() > time.Minute {
		t.Errorf("the line in xferlog: %+v", e)
	}
	w.end()
	x.end()
	if r := append(w.src.Refused(), x.src.Refused()...); len(r) > 0 {
		t.Errorf("refused: %+v", r)
	}
}

func TestLogsOfProFTPDBecomeEvidence(t *testing.T) {
	t.Parallel()
	i := newIsland(t)
	ext, xfer := i.file("ext.log"), i.file("xferlog")
	port := freeTCP(t)
	w := newWitness(t, logs.Config{Files: []logs.File{{Path: ext, FromStart: true}}})
	w.start()
	x := newWitness(t, logs.Config{Files: []logs.File{{Path: xfer, FromStart: true}}})
	x.start()
	i.proftpd(port, ext, xfer)
	i.story(w, port, true)
	w.find("the failed login", func(e *tallyman.Evidence) bool {
		return e.Kind == tallyman.KindLoginFailed && e.Peer.Addr().String() == "127.0.0.1"
	})
	w.find("the login", func(e *tallyman.Evidence) bool { return e.Kind == tallyman.KindLogin && e.User == "lu" })
	x.find("the line in xferlog", ended("killed", tallyman.OpPut))
	w.end()
	x.end()
	if r := append(w.src.Refused(), x.src.Refused()...); len(r) > 0 {
		t.Errorf("refused: %+v", r)
	}
}

func TestLogsOfPureFTPdBecomeEvidence(t *testing.T) {
	t.Parallel()
	i := newIsland(t)
	stats := i.file("stats.log")
	port := freeTCP(t)
	w := newWitness(t, logs.Config{Journal: true, JournalDir: i.journal})
	w.start()
	s := newWitness(t, logs.Config{Files: []logs.File{{Path: stats, FromStart: true}}})
	s.start()
	i.pureftpd(port, stats)
	i.until("the first line is seen", func() bool {
		_ = i.dial(port).Close()
		return len(w.src.Counts()) > 0
	})
	i.story(w, port, true)
	i.failedLogin(w)
	s.find("the line in the statistics", ended("killed", tallyman.OpPut))
	w.end()
	s.end()
}

func TestLogsOfOpenSSHBecomeEvidence(t *testing.T) {
	t.Parallel()
	i := newIsland(t)
	port := freeTCP(t)
	w := newWitness(t, logs.Config{Journal: true, JournalDir: i.journal})
	w.start()
	key := i.sshd(port)
	i.until("the first line is seen", func() bool {
		_ = i.dial(port).Close()
		return len(w.src.Counts()) > 0
	})
	content := i.write("content", string(noise(1, 100000)))
	play := func(user, batch string) {
		t.Helper()
		out, err := sftp(key, port, user, batch)
		if user == "lu" && err != nil {
			t.Fatalf("sftp: %v: %s", err, out)
		}
	}
	name := "na me\"q é"
	play("lu", fmt.Sprintf("put %s \"%s\"\nget \"%s\" %s/back\n", content, strings.ReplaceAll(name, `"`, `\"`), strings.ReplaceAll(name, `"`, `\"`), i.dir))
	play("nobody-here", "ls\n")
	e := w.find("the upload", func(e *tallyman.Evidence) bool {
		return e.Kind == tallyman.KindClosed && e.Op == tallyman.OpPut && strings.HasSuffix(e.Path, "/"+name)
	})
	if e.Moved != 100000 || e.User != "lu" || e.Reason != tallyman.ClosedWell || e.Began.IsZero() || e.Peer.Addr().String() != "127.0.0.1" || e.Session == "" {
		t.Errorf("the upload: %+v", e)
	}
	w.find("the download", func(e *tallyman.Evidence) bool {
		return e.Kind == tallyman.KindClosed && e.Op == tallyman.OpGet && e.Moved == 100000
	})
	w.find("the login", func(e *tallyman.Evidence) bool {
		return e.Kind == tallyman.KindLogin && e.User == "lu" && e.Peer.Port() != 0
	})
	w.find("the failed login", func(e *tallyman.Evidence) bool {
		return e.Kind == tallyman.KindLoginFailed && e.User == "nobody-here"
	})
	w.end()
}
