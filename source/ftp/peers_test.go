package ftp

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/ftp/data"
)

// steal connects from another address of loopback, and returns how many bytes came before it was turned away.
func steal(t testing.TB, to string) int {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, Timeout: patience}
	c, err := d.DialContext(context.Background(), "tcp", to)
	if errors.Is(err, syscall.ECONNRESET) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	n, err := io.Copy(io.Discard, c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the thief waits")
	}
	return int(n)
}

func TestAThiefAtTheDataPortGetsNothingAndTheOwnerIsServed(t *testing.T) {
	r := serve(t, nil)
	r.put("f", "content")
	c := r.login()
	at := c.passive()
	for range 5 {
		if n := steal(t, at); n != 0 {
			t.Errorf("the thief read %d bytes", n)
		}
	}
	c.send("RETR f")
	c.want(150)
	d, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(d); err != nil || string(got) != "content" {
		t.Errorf("%q, %v", got, err)
	}
	_ = d.Close()
	c.want(226)
	c.cmd(200, "NOOP")
	if e := r.rec.ended(t, "f"); e.Reason != tallyman.ReplyAcknowledged || !strings.Contains(e.Details, `"strangers":5`) {
		t.Errorf("%+v", e)
	}
	if e := r.rec.event(t, tallyman.KindCommandRefused, tallyman.DataPeerMismatch); !strings.Contains(e.Err, "127.0.0.2:") {
		t.Errorf("%+v", e)
	}
	if n := r.Counts().Strangers; n != 5 {
		t.Errorf("%d strangers are counted", n)
	}
}

// listening counts the listening sockets of this process (proc(5), /proc/net/tcp: state 0A).
func listening(t *testing.T) int {
	t.Helper()
	own := map[string]bool{}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if at, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil {
			own[at] = true
		}
	}
	n := 0
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 9 && f[3] == "0A" && own["socket:["+f[9]+"]"] {
				n++
			}
		}
	}
	return n
}

func TestPassivePortsAreClosedInEveryCase(t *testing.T) {
	r := serve(t, func(c *Config) { c.Active = true; c.DataWait = 50 * time.Millisecond })
	r.put("f", "x")
	before := listening(t)
	c := r.login()
	for range 60 {
		c.passive()
		c.cmd(200, "PORT 127,0,0,1,200,1")
	}
	c.passive()
	at := c.passive()
	_, port, _ := net.SplitHostPort(at)
	if elsewhere, err := net.Dial("tcp", net.JoinHostPort("127.0.0.9", port)); err == nil { // it is bound to the address of the control connection
		_ = elsewhere.Close()
		t.Error("the data port is open on another address")
	}
	if n := listening(t) - before; n != 1 {
		t.Errorf("%d ports are open", n)
	}
	c.cmd(550, "RETR none")
	c.passive()
	c.cmd(150, "RETR f")
	c.want(425)
	if n := listening(t) - before; n != 0 {
		t.Errorf("%d ports are open after a refusal and a timeout", n)
	}
	c.passive()
	c.cmd(221, "QUIT")
	if _, err := c.in.ReadByte(); err != io.EOF {
		t.Error(err)
	}
	if n := listening(t) - before; n != 0 {
		t.Errorf("%d ports are open after QUIT", n)
	}
	c = r.login()
	at = c.passive()
	_ = c.tcp.Close()
	for deadline := time.Now().Add(patience); ; {
		conn, err := net.Dial("tcp", at)
		if err != nil {
			break
		}
		_ = conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("the port stays open after the control connection was lost")
		}
	}
}

func TestActiveModeConnectsToTheClientAlone(t *testing.T) {
	r := serve(t, func(c *Config) { c.Active = true })
	r.put("f", "content")
	c := r.login()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := l.Addr().(*net.TCPAddr).AddrPort()
	c.cmd(200, "PORT "+string(portArg(at)))
	c.cmd(150, "RETR f")
	d, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(d); err != nil || string(got) != "content" {
		t.Errorf("%q, %v", got, err)
	}
	_ = d.Close()
	c.want(226)
	c.cmd(200, "EPRT |1|127.0.0.1|"+strconv.Itoa(int(at.Port()))+"|")
	c.cmd(150, "STOR g")
	if d, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(d, "up")
	_ = d.Close()
	c.want(226)
	c.cmd(501, "PORT 127,0,0,2,200,1")
	if e := r.rec.event(t, tallyman.KindCommandRefused, tallyman.Bounce); !strings.Contains(e.Err, "127.0.0.2:51201") {
		t.Errorf("%+v", e)
	}
	c.cmd(501, "PORT 127,0,0,1,0,25")
}

func portArg(a netip.AddrPort) []byte {
	return []byte(strings.ReplaceAll(a.Addr().String(), ".", ",") + "," + strconv.Itoa(int(a.Port()>>8)) + "," + strconv.Itoa(int(a.Port()&255)))
}

func TestTheKernelIsAskedRightly(t *testing.T) {
	pair := func() (server, client *net.TCPConn) {
		l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c, err := net.DialTCP("tcp4", nil, l.Addr().(*net.TCPAddr))
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.AcceptTCP()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close(); _ = c.Close() })
		return s, c
	}
	until := func(what string, s syscall.Conn, is func(data.Seen) bool) {
		t.Helper()
		var seen data.Seen
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
			if seen = data.Watch(s); is(seen) {
				return
			}
		}
		t.Errorf("%s: %+v", what, seen)
	}
	s, c := pair()
	if _, err := s.Write([]byte("226")); err != nil {
		t.Fatal(err)
	}
	until("acknowledged", s, func(v data.Seen) bool { return v == data.Seen{} })
	_, _ = c.Read(make([]byte, 3))
	_ = c.Close()
	until("closed", s, func(v data.Seen) bool { return v == data.Seen{Closed: true} })
	s, c = pair()
	reset(c)
	until("reset", s, func(v data.Seen) bool { return v.Reset })
	s, c = pair()
	_, _ = s.Write([]byte("226"))
	_ = c.Close() // with the 226 unread
	until("reset by unread words", s, func(v data.Seen) bool { return v.Reset })
	s, c = pair()
	_ = s.CloseWrite()
	_, _ = c.Read(make([]byte, 1))
	_ = c.Close()
	until("both closed", s, func(v data.Seen) bool { return v == data.Seen{Closed: true} })
	s, c = pair()
	_ = c.SetReadBuffer(4096)
	_ = s.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	n, _ := s.Write(make([]byte, 64<<20))
	if left := data.Watch(s).Unacked; left == 0 || data.Delivered(s, int64(n)) >= int64(n) {
		t.Errorf("%d of %d bytes are left", left, n)
	}
}
