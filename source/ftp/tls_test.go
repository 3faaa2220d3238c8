package ftp

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/ftp/engine"
)

// clientTLS keeps sessions, so that data connections resume that of the control connection.
func clientTLS(version uint16) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", MinVersion: version, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
}

// secure begins TLS on the control connection.
func (c *client) secure(cfg *tls.Config) {
	c.t.Helper()
	c.cmd(234, "AUTH TLS")
	c.wrap(cfg)
}

func (c *client) wrap(cfg *tls.Config) {
	c.t.Helper()
	t := tls.Client(c.tcp, cfg)
	if err := t.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.conn, c.in, c.tls = t, bufio.NewReader(t), cfg
}

// private logs in and makes data private.
func (c *client) private(user string) {
	c.t.Helper()
	c.as(user)
	c.cmd(200, "PBSZ 0")
	c.cmd(200, "PROT P")
}

// dataTLS opens a data connection for a command, under TLS.
func (c *client) dataTLS(line string, cfg *tls.Config) (*tls.Conn, *net.TCPConn) {
	c.t.Helper()
	d := c.data()
	c.cmd(150, line)
	return tls.Client(d, cfg), d
}

func TestTransfersUnderTLSAreProvenByCloseNotify(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		r := serve(t, withTLS(engine.Explicit))
		c := r.dial()
		c.secure(clientTLS(version))
		c.private("tally")
		content := string(noise(1_000_000))
		d, _ := c.dataTLS("STOR f", c.tls)
		if _, err := io.WriteString(d, content); err != nil {
			t.Fatal(err)
		}
		_ = d.Close()
		c.want(226)
		d, _ = c.dataTLS("RETR f", c.tls)
		got, err := io.ReadAll(d)
		if err != nil || string(got) != content {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if !d.ConnectionState().DidResume {
			t.Error("the data connection did not resume")
		}
		_ = d.Close()
		c.want(226)
		c.cmd(221, "QUIT")
		up := r.rec.await(t, "upload", func(e *tallyman.Evidence) bool {
			return e.Kind == tallyman.KindClosed && e.Op == tallyman.OpPut && e.Reason != tallyman.ReplyUnacknowledged
		})
		if up.Reason != tallyman.CloseNotify || up.Proto != "ftps" || !strings.Contains(up.Details, `"tls":"`+tls.VersionName(version)+`","tls_resumed":true`) {
			t.Errorf("%+v", up)
		}
		down := r.rec.await(t, "download", func(e *tallyman.Evidence) bool { return e.Kind == tallyman.KindClosed && e.Op == tallyman.OpGet })
		if down.Reason != tallyman.ReplyAcknowledged || down.Moved != 1_000_000 {
			t.Errorf("%+v", down)
		}
		if e := r.rec.event(t, tallyman.KindLogin, ""); !strings.Contains(e.Err, "over TLS") {
			t.Errorf("%+v", e)
		}
	}
}

func TestUnderTLSAnUploadWithoutCloseNotifyIsCut(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		r := serve(t, withTLS(engine.Explicit))
		r.put("f", "the old file")
		c := r.dial()
		c.secure(clientTLS(version))
		c.private("tally")
		f := func(cut func(*net.TCPConn), reason tallyman.Reason) {
			t.Helper()
			r.rec.forget()
			d, tcp := c.dataTLS("STOR f", c.tls)
			if _, err := d.Write(noise(100_000)); err != nil {
				t.Fatal(err)
			}
			cut(tcp)
			c.want(426)
			if e := r.rec.ended(t, "f"); e.Reason != reason {
				t.Errorf("%+v", e)
			}
			r.old("f")
		}
		f(func(d *net.TCPConn) { _ = d.CloseWrite() }, tallyman.NoCloseNotify)
		f(func(d *net.TCPConn) { _ = d.Close() }, tallyman.NoCloseNotify)
		f(reset, tallyman.ClientGone)
		c.cmd(200, "NOOP")
	}
}

func TestDataConnectionsBelongToTheTLSSessionOfTheirLogin(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		r := serve(t, withTLS(engine.Explicit))
		r.put("f", "content")
		other := r.dial()
		other.secure(clientTLS(version))
		other.private("tally")
		c := r.dial()
		c.secure(clientTLS(version))
		c.private("tally")
		f := func(what string, cfg *tls.Config) {
			t.Helper()
			r.rec.forget()
			d, _ := c.dataTLS("RETR f", cfg)
			if got, err := io.ReadAll(d); len(got) > 0 {
				t.Errorf("%s read %q, %v", what, got, err)
			}
			if text := c.want(522); !strings.Contains(text, "resume the TLS session") {
				t.Error(text)
			}
			if e := r.rec.ended(t, "f"); e.Reason != tallyman.DataPeerMismatch || e.Moved > 0 {
				t.Errorf("%+v", e)
			}
		}
		f("a new session", clientTLS(version))
		f("the session of another login", other.tls)
		lax := r.dial()
		lax.secure(clientTLS(version))
		lax.private("lax")
		d, _ := lax.dataTLS("RETR f", clientTLS(version))
		if got, err := io.ReadAll(d); err != nil || string(got) != "content" {
			t.Errorf("%q, %v", got, err)
		}
		_ = d.Close()
		lax.want(226)
	}
}

func TestImplicitTLSSpeaksTLSFromTheStart(t *testing.T) {
	r := serve(t, withTLS(engine.Required))
	r.put("f", "content")
	c := connect(t, r.tls)
	c.wrap(clientTLS(tls.VersionTLS13))
	c.want(220)
	c.as("tally")
	d, _ := c.dataTLS("RETR f", c.tls)
	if got, err := io.ReadAll(d); err != nil || string(got) != "content" {
		t.Errorf("%q, %v", got, err)
	}
	_ = d.Close()
	c.want(226)
	// Who speaks in the clear there is not answered.
	plain := connect(t, r.tls)
	plain.send("USER tally")
	if b, err := io.ReadAll(plain.tcp); strings.Contains(string(b), "331") {
		t.Errorf("%q, %v", b, err)
	}
}

func TestWhatIsSentBehindAuthInTheClearIsDropped(t *testing.T) {
	r := serve(t, withTLS(engine.Explicit))
	c := r.dial()
	if _, err := io.WriteString(c.tcp, "AUTH TLS\r\nUSER injected\r\n"); err != nil {
		t.Fatal(err)
	}
	c.want(234)
	cfg := clientTLS(tls.VersionTLS13)
	conn := tls.Client(c.tcp, cfg)
	if err := conn.Handshake(); err == nil { // the server may have read the injected bytes as part of its handshake, and then ends it
		c.conn, c.in = conn, bufio.NewReader(conn)
		c.cmd(503, "PASS secret")
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	r := serve(t, withTLS(engine.Explicit))
	c := r.dial()
	c.cmd(234, "AUTH TLS")
	cfg := clientTLS(tls.VersionTLS11)
	if err := tls.Client(c.tcp, cfg).Handshake(); err == nil {
		t.Error("TLS 1.1 was spoken")
	}
}

func TestTheHandshakeHasAnEnd(t *testing.T) {
	r := serve(t, func(c *Config) {
		withTLS(engine.Explicit)(c)
		c.LoginWithin, c.DataWait = 2*time.Second, time.Second
	})
	c := r.dial()
	c.cmd(234, "AUTH TLS")
	if _, err := c.tcp.Read(make([]byte, 1)); errors.Is(err, net.ErrClosed) || err == nil {
		t.Error(err)
	}
	for n := uint64(1); n > 0; n = r.Counts().Now {
	}
}
