package ftp

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/source/ftp/engine"
)

// TestSwappingLinksOpensNoWayOut lets one goroutine exchange a folder and a link that leads out, as fast as it can, while a client reads, writes, lists and
// renames through that name.
func TestSwappingLinksOpensNoWayOut(t *testing.T) {
	r := serve(t, nil)
	out := t.TempDir()
	r.put("door/f", "inside")
	if err := os.WriteFile(filepath.Join(out, "f"), []byte("canary"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(out, filepath.Join(r.root, "door2")); err != nil {
		t.Fatal(err)
	}
	a, b := filepath.Join(r.root, "door"), filepath.Join(r.root, "door2")
	var stop atomic.Bool
	var swapper sync.WaitGroup
	swapper.Go(func() {
		for !stop.Load() {
			if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
				t.Error(err)
			}
		}
	})
	c := r.login()
	// either asks, and reports whether it was done; a transfer is read to its end.
	either := func(line, send string) (string, bool) {
		d := c.data()
		defer d.Close()
		c.send(line)
		if code, _ := c.reply(); code != 150 {
			return "", false
		}
		if send != "" {
			_, _ = io.WriteString(d, send)
			_ = d.CloseWrite()
		}
		got, _ := io.ReadAll(d)
		code, _ := c.reply()
		return string(got), code == 226
	}
	read, refused := 0, 0
	for i := range 300 {
		got, ok := either("RETR door/f", "")
		switch {
		case !ok:
			refused++
		case got != "inside":
			t.Fatalf("read %q", got)
		default:
			read++
		}
		if i%4 != 0 {
			continue
		}
		either("STOR door/f", "inside")
		either("APPE door/g", "inside")
		if got, _ := either("NLST door", ""); strings.Contains(got, "canary") {
			t.Error(got)
		}
		for _, line := range []string{"DELE door/g", "MKD door/d", "RNFR door/d", "RNTO door/e", "RMD door/e", "SITE CHMOD 600 door/f", "MFMT 20010203040506 door/f", "SIZE door/f", "CWD door", "CWD /"} {
			c.send(line)
			c.reply()
		}
	}
	stop.Store(true)
	swapper.Wait()
	if read == 0 || refused == 0 {
		t.Errorf("%d reads, %d refusals: the swapper was not met", read, refused)
	}
	left, _ := os.ReadDir(out)
	info, err := os.Stat(filepath.Join(out, "f"))
	if err != nil || len(left) != 1 || info.Mode().Perm() != 0o644 || info.ModTime().Year() == 2001 {
		t.Errorf("outside: %v, %v, %v", left, info, err)
	}
	if got, err := os.ReadFile(filepath.Join(out, "f")); string(got) != "canary" {
		t.Errorf("outside: %q, %v", got, err)
	}
}

// Names as a foreign hand may leave them on the disk: what could end a line early, or be taken for another one, is in no listing and in no reply.
func TestNoNameForgesALine(t *testing.T) {
	r := serve(t, nil)
	const forged = "-rw-r--r--   1 ftp      ftp               666 Jan  1 00:00 forged"
	hidden := []string{"a\r\n" + forged, "b\n226 Done", "c\rd", "e\x1b[2Jf", "g\x7fh", "i\x00j"[:1] + "\x01"}
	shown := []string{"plain", "größe-✓", "latin-\xe9", "\xff\xfe\xff", "quote\"d", "213 End", " blank", "a b", "%s%n"}
	for _, name := range append(hidden, shown...) {
		r.put("d/"+name, "x")
	}
	c := r.login()
	lines := func(text string) int {
		t.Helper()
		if strings.Contains(text, "\nforged") || strings.Contains(text, "\n226 Done") || strings.Count(text, "\r") != strings.Count(text, "\r\n") || strings.ContainsAny(text, "\x1b\x01\x7f") {
			t.Errorf("%q", text)
		}
		return strings.Count(text, "\r\n")
	}
	for line, n := range map[string]int{"LIST d": len(shown), "NLST d": len(shown), "MLSD d": len(shown) + 1} {
		text := c.get(line)
		if got := lines(text); got != n {
			t.Errorf("%s: %d lines, want %d: %q", line, got, n, text)
		}
		for _, name := range shown { // byte for byte: a data connection is no Telnet
			if !strings.Contains(text, name+"\r\n") {
				t.Errorf("%s hides %q", line, name)
			}
		}
	}
	text := c.cmd(213, "STAT d")
	if got := lines(text); got != len(shown)+2 || !strings.Contains(text, " \xff\xff\xfe\xff\xff\r\n") { // IAC is doubled on the control connection (RFC 854)
		t.Errorf("STAT: %d lines: %q", got, text)
	}
	// The names come back as they went.
	for _, name := range shown {
		arg := strings.ReplaceAll(name, "\xff", "\xff\xff")
		if got := c.get("RETR d/" + arg); got != "x" {
			t.Errorf("%q: %q", name, got)
		}
		if text := c.cmd(250, "MLST d/"+arg); !strings.Contains(text, "/d/"+arg+"\r\n") {
			t.Errorf("%q", text)
		}
	}
	for _, line := range []string{"RETR d/c\rd", "STOR x\x00y", "MKD x\ry", "CWD \xff\xf4d", "RNFR \x00", "SITE CHMOD 600 a\rb", "MFMT 20010203040506 a\rb", "STAT d/c\rd"} {
		c.cmd(501, line)
	}
	// Other control bytes may stand in a name that a client asks for, and are never echoed.
	for _, line := range []string{"MLST d/e\x1b[2Jf", "SIZE d/e\x1b[2Jf", "HASH d/e\x1b[2Jf", "MFMT 20010203040506 d/e\x1b[2Jf", "CWD d/e\x1b[2Jf", "MKD d/n\x1bew", "RMD d/n\x1bew", "STAT d/e\x1b[2Jf"} {
		c.send(line)
		if _, text := c.reply(); strings.ContainsAny(text, "\x1b") {
			t.Errorf("%q: %q", line, text)
		}
	}
	r.put("d\x1b/f", "x")
	for _, line := range []string{"NLST d/e\x1b[2Jf", "NLST d\x1b", "LIST d\x1b", "MLSD d\x1b"} {
		if got := c.get(line); strings.Contains(got, "\x1b") {
			t.Errorf("%q: %q", line, got)
		}
	}
}

// Who sends commands faster than they are answered, or never reads, bounds himself: the others are served.
func TestFloodsOfCommandsHarmNobodyElse(t *testing.T) {
	r := serve(t, nil)
	c, d := r.upload("f")
	c.send(strings.Repeat("NOOP\r\n", 400))
	c.want(421)
	c.want(426)
	_ = d.Close()
	r.old("f")
	deaf := r.login()
	_ = deaf.tcp.SetWriteDeadline(time.Now().Add(5 * time.Second))
	flood := bytes.Repeat([]byte("HELP\r\n"), 10_000)
	sent := 0
	for { // nobody reads the answers: in the end nothing is taken any more
		n, err := deaf.tcp.Write(flood)
		if sent += n; err != nil {
			break
		}
		if sent > 256<<20 {
			t.Fatal("it takes everything")
		}
	}
	other := r.login()
	began := time.Now()
	other.cmd(200, "NOOP")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the others wait %v", took)
	}
	_ = deaf.tcp.Close()
}

// A slow loris: bytes that never become a command do not keep a place.
func TestBytesThatBecomeNoCommandKeepNoPlace(t *testing.T) {
	r := serve(t, func(c *Config) { withTLS(engine.Explicit)(c); c.LoginWithin, c.Idle = time.Second, time.Second })
	f := func(what string, c *client) {
		t.Helper()
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			_, _ = io.Copy(io.Discard, c.tcp)
		}()
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for late := time.After(patience); ; {
			select {
			case <-gone:
				return
			case <-late:
				t.Fatalf("%s is still there", what)
			case <-tick.C:
				_, _ = c.tcp.Write([]byte("N"))
			}
		}
	}
	f("who is not logged in", r.dial())
	f("who is", r.login())
	begun := r.dial()
	begun.cmd(234, "AUTH TLS")
	f("who is about to begin TLS", begun)
	f("who is about to begin implicit TLS", connect(t, r.tls))
	for n := uint64(1); n > 0; n = r.Counts().Now {
	}
}

// TestAHundredTransfersInAllModes runs them at once, up and down, each content compared: passive and active, extended or not, in the clear and under TLS.
func TestAHundredTransfersInAllModes(t *testing.T) {
	f := func(t *testing.T, host string, modes []string) {
		before := listening(t)
		r := serve(t, func(c *Config) {
			withTLS(engine.Explicit)(c)
			c.Implicit = ""
			c.Listen = net.JoinHostPort(host, "0")
			c.PerAddress, c.Active = 200, true
		})
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				c := r.dial()
				private := i/len(modes)%2 == 1
				if private {
					c.secure(clientTLS(tls.VersionTLS13))
					c.private("tally")
				} else {
					c.as("tally")
				}
				name, content := fmt.Sprint("f", i), noise(200_000+i)
				for _, verb := range []string{"STOR ", "RETR "} {
					got := c.through(modes[i%len(modes)], verb+name, content, private)
					if verb == "RETR " && !bytes.Equal(got, content) {
						t.Errorf("%s by %s: other content", name, modes[i%len(modes)])
					}
				}
				c.cmd(221, "QUIT")
				if e := r.rec.ended(t, name); e.Reason.Verdict() != tallyman.Complete || e.Digest == "" {
					t.Errorf("%+v", e)
				}
			})
		}
		all.Wait()
		r.clean()
		if n := listening(t) - before; n > 1 {
			t.Errorf("%d ports are open", n)
		}
	}
	t.Run("IPv4", func(t *testing.T) { f(t, "127.0.0.1", []string{"EPSV", "PASV", "PORT", "EPRT"}) })
	t.Run("IPv6", func(t *testing.T) { f(t, "::1", []string{"EPSV", "EPRT"}) })
}

// through moves content in a mode, and returns what came.
func (c *client) through(mode, line string, content []byte, private bool) []byte {
	var tcp net.Conn
	var err error
	switch mode {
	case "EPSV":
		tcp = c.data()
		c.cmd(150, line)
	case "PASV":
		text := c.cmd(227, "PASV")
		var h [6]int
		if _, err := fmt.Sscanf(text[strings.IndexByte(text, '(')+1:], "%d,%d,%d,%d,%d,%d", &h[0], &h[1], &h[2], &h[3], &h[4], &h[5]); err != nil {
			c.t.Fatal(err)
		}
		if tcp, err = net.Dial("tcp", fmt.Sprintf("%d.%d.%d.%d:%d", h[0], h[1], h[2], h[3], h[4]<<8|h[5])); err != nil {
			c.t.Fatal(err)
		}
		c.cmd(150, line)
	default:
		host, _, _ := net.SplitHostPort(c.tcp.LocalAddr().String())
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			c.t.Fatal(err)
		}
		defer l.Close()
		at := l.Addr().(*net.TCPAddr).AddrPort()
		if mode == "PORT" {
			c.cmd(200, "PORT "+string(portArg(at)))
		} else {
			c.cmd(200, fmt.Sprintf("EPRT |%d|%s|%d|", map[bool]int{true: 1, false: 2}[at.Addr().Is4()], at.Addr(), at.Port()))
		}
		c.cmd(150, line)
		if tcp, err = l.Accept(); err != nil {
			c.t.Fatal(err)
		}
	}
	defer tcp.Close()
	_ = tcp.SetDeadline(time.Now().Add(patience))
	d := tcp
	if private {
		d = tls.Client(tcp, c.tls)
	}
	var got []byte
	if strings.HasPrefix(line, "STOR") {
		if _, err := d.Write(content); err != nil {
			c.t.Error(err)
		}
	} else if got, err = io.ReadAll(d); err != nil {
		c.t.Error(err)
	}
	_ = d.Close()
	c.want(226)
	return got
}

// A network of IPv6 is one source: who has it has 2^64 addresses.
func TestPlacesAreCountedByNetwork(t *testing.T) {
	for at, want := range map[string]string{"2001:db8:1:2:3::4": "2001:db8:1:2::", "::ffff:10.0.0.7": "10.0.0.7", "10.0.0.7": "10.0.0.7"} {
		if got := place(netip.MustParseAddr(at)); got.String() != want {
			t.Errorf("%s counts as %s", at, got)
		}
	}
}

// A digest of a large file stops when nobody waits for it any more, and does not hold up the end of the server.
func TestADigestHoldsNothingUp(t *testing.T) {
	r := serve(t, func(c *Config) { c.Drain = 100 * time.Millisecond })
	if err := os.WriteFile(filepath.Join(r.root, "huge"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(r.root, "huge"), 1<<40); err != nil { // ten minutes
		t.Fatal(err)
	}
	gone := r.login()
	gone.send("HASH huge")
	_ = gone.tcp.Close()
	for n := uint64(1); n > 0; n = r.Counts().Now {
	}
	c := r.login()
	before := r.Counts().Commands
	c.send("HASH huge")
	for r.Counts().Commands == before {
	}
	r.stop()
	for n := uint64(1); n > 0; n = r.Counts().Now {
	}
}

// Neither a client that does not read nor one that is about to begin TLS holds the end of the server up beyond drain.
func TestNobodyHoldsTheEndUp(t *testing.T) {
	r := serve(t, func(c *Config) { withTLS(engine.Explicit)(c); c.Drain = 100 * time.Millisecond })
	begun := r.dial()
	begun.cmd(234, "AUTH TLS")
	deaf := r.login()
	_ = deaf.tcp.SetWriteDeadline(time.Now().Add(2 * time.Second))
	flood := bytes.Repeat([]byte("HELP\r\n"), 10_000)
	for _, err := deaf.tcp.Write(flood); err == nil; _, err = deaf.tcp.Write(flood) {
	}
	began := time.Now()
	r.stop()
	for n := uint64(1); n > 0; n = r.Counts().Now {
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}
