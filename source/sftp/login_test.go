package sftp

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"tallyman"
	"tallyman/source/sftp/packet"
)

func newSigner(t *testing.T) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// tries dials with other means than the usual ones.
func (r *rig) tries(change func(*ssh.ClientConfig)) (*ssh.Client, error) {
	c := r.config()
	change(c)
	return ssh.Dial("tcp", r.srv.Addrs()[0].String(), c)
}

func TestLoginsAreRecordedAndRefusalsSayWhyToUsAlone(t *testing.T) {
	mine, ca := newSigner(t), newSigner(t)
	line := func(s ssh.Signer) string { return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.PublicKey()))) }
	r := serve(t, "keys: ['"+line(mine)+"', 'cert-authority "+line(ca)+"']\npermissions: all", nil)
	r.dial()
	if e := r.wait(tallyman.KindLogin); e.User != "ann" || e.Session == "" || !strings.Contains(e.Details, `"cipher":"`) || !strings.Contains(e.Err, "SSH-2.0-Go") {
		t.Errorf("%+v", e)
	}
	f := func(want tallyman.Reason, words string, change func(*ssh.ClientConfig)) {
		t.Helper()
		sc, err := r.tries(change)
		if want == "" {
			if err != nil {
				t.Error(err)
				return
			}
			r.session(sc)
			if e := r.wait(tallyman.KindLogin); e.User != "ann" {
				t.Errorf("%+v", e)
			}
			_ = sc.Close()
			return
		}
		if err == nil || strings.Contains(err.Error(), "account") {
			t.Errorf("the client hears %v", err)
		}
		if e := r.wait(tallyman.KindLoginFailed); e.Reason != want || !strings.Contains(e.Err, words) {
			t.Errorf("%+v", e)
		}
	}
	key := func(s ssh.Signer) func(*ssh.ClientConfig) {
		return func(c *ssh.ClientConfig) { c.Auth = []ssh.AuthMethod{ssh.PublicKeys(s)} }
	}
	f("", "", key(mine))
	cert := &ssh.Certificate{Key: newSigner(t).PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{"ann"}, ValidBefore: ssh.CertTimeInfinity}
	owner := newSigner(t)
	cert.Key = owner.PublicKey()
	if err := cert.SignCert(rand.Reader, ca); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewCertSigner(cert, owner)
	if err != nil {
		t.Fatal(err)
	}
	f("", "", key(signer))
	f(tallyman.LoginFailed, "ann: wrong password", func(c *ssh.ClientConfig) { c.Auth = []ssh.AuthMethod{ssh.Password("guess")} })
	f(tallyman.LoginFailed, "eve: there is no such account", func(c *ssh.ClientConfig) { c.User = "eve" })
	if _, err := r.tries(key(newSigner(t))); err == nil {
		t.Error("a foreign key opens")
	}
	if c := r.srv.Counts(); c.Logins != 3 || c.LoginsFailed != 2 {
		t.Errorf("%+v", c)
	}
}

func TestAPasswordMayBeGuessedThreeTimesOnAConnection(t *testing.T) {
	r := serve(t, "", nil)
	n := 0
	_, err := r.tries(func(c *ssh.ClientConfig) {
		c.Auth = []ssh.AuthMethod{ssh.RetryableAuthMethod(ssh.PasswordCallback(func() (string, error) {
			if n++; n == 4 {
				return pass, nil
			}
			return "guess", nil
		}), 10)}
	})
	if err == nil || r.srv.Counts().LoginsFailed != 3 {
		t.Errorf("%v, %d failures", err, r.srv.Counts().LoginsFailed)
	}
}

func TestOnlyModernAlgorithmsAreSpoken(t *testing.T) {
	r := serve(t, "", nil)
	fast := serve(t, "", func(c *Config) { c.Fast = true })
	f := func(r *rig, good bool, change func(*ssh.Config)) {
		t.Helper()
		sc, err := r.tries(func(c *ssh.ClientConfig) { change(&c.Config) })
		if (err == nil) != good {
			t.Errorf("%v", err)
		}
		if err == nil {
			_ = sc.Close()
		}
	}
	f(r, false, func(c *ssh.Config) { c.KeyExchanges = []string{ssh.InsecureKeyExchangeDH14SHA1} })
	f(r, false, func(c *ssh.Config) { c.Ciphers = []string{ssh.InsecureCipherAES128CBC} })
	f(r, false, func(c *ssh.Config) { c.Ciphers, c.MACs = []string{ssh.CipherAES128CTR}, []string{ssh.HMACSHA1} })
	f(r, true, func(c *ssh.Config) { c.Ciphers, c.MACs = []string{ssh.CipherAES128CTR}, []string{ssh.HMACSHA256} })
	f(r, true, func(c *ssh.Config) { c.Ciphers = []string{ssh.CipherChaCha20Poly1305} })
	f(r, true, func(c *ssh.Config) { c.KeyExchanges = []string{ssh.KeyExchangeMLKEM768X25519} })
	f(fast, false, func(c *ssh.Config) { c.Ciphers = []string{ssh.CipherChaCha20Poly1305} })
	f(fast, true, func(c *ssh.Config) { c.Ciphers = []string{ssh.CipherAES256GCM} })
}

// The server offers the strict key exchange that a packet slipped in before the first key ends (CVE-2023-48795, OpenSSH PROTOCOL, section 1.10).
func TestKeyExchangeIsStrict(t *testing.T) {
	r := serve(t, "", nil)
	c, err := net.Dial("tcp", r.srv.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, "SSH-2.0-test\r\n"); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 0, 4096)
	for !strings.Contains(string(said), "kex-strict-s-v00@openssh.com") {
		n, err := c.Read(said[len(said):cap(said)])
		if said = said[:len(said)+n]; err != nil || n == 0 {
			t.Fatalf("%v after %q", err, said)
		}
	}
}

func TestThereIsNoShellNoCommandAndNoForwarding(t *testing.T) {
	r := serve(t, "", nil)
	c := r.dial()
	refused := func(words string) {
		t.Helper()
		if e := r.wait(tallyman.KindCommandRefused); !strings.Contains(e.Err, words) || e.User != "ann" || e.Session == "" {
			t.Errorf("%+v", e)
		}
	}
	for _, run := range []func(*ssh.Session) error{
		func(s *ssh.Session) error { return s.Run("scp -t /\x1b[2J") }, func(s *ssh.Session) error { return s.Shell() },
		func(s *ssh.Session) error { return s.RequestSubsystem("netconf") },
	} {
		s, err := c.ssh.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := run(s); err == nil {
			t.Error("it was accepted")
		}
		_ = s.Close()
	}
	refused(`exec scp -t /\x1b[2J refused: only the subsystem sftp is served (scp: use scp -s)`)
	refused("shell refused")
	refused("subsystem netconf refused")
	if _, err := c.ssh.Dial("tcp", "127.0.0.1:25"); err == nil {
		t.Error("a way through")
	}
	refused("direct-tcpip to 127.0.0.1:25 refused: there is no forwarding here")
	if _, err := c.ssh.Listen("tcp", "127.0.0.1:0"); err == nil {
		t.Error("a way back")
	}
	refused("tcpip-forward refused")
	if r.srv.Counts().Commands != 5 {
		t.Errorf("%+v", r.srv.Counts())
	}
	c.says(packet.Request{Type: packet.Mkdir, Path: "d"}, packet.OK) // the session lives on
}

func TestSilentClientIsDropped(t *testing.T) {
	r := serve(t, "", func(c *Config) { c.LoginWithin = 200 * time.Millisecond })
	nc, err := net.Dial("tcp", r.srv.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetReadDeadline(time.Now().Add(soon))
	if _, err := io.Copy(io.Discard, nc); os.IsTimeout(err) {
		t.Error("it is still there")
	}
}

func TestIdleSessionEndsWithATimeout(t *testing.T) {
	r := serve(t, "", func(c *Config) { c.Idle = 300 * time.Millisecond })
	c := r.dial()
	c.write(c.open("f", fresh), 0, "half")
	r.ends(tallyman.OpPut, "f", tallyman.Timeout, 4)
}

func TestConnectionsThatWaitAreBounded(t *testing.T) {
	r := serve(t, "", func(c *Config) { c.WaitingEach = 3 })
	addr := r.srv.Addrs()[0].String()
	for range 3 {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if _, err := nc.Read(make([]byte, 1)); err != nil { // its turn has come
			t.Fatal(err)
		}
	}
	if sc, err := r.tries(func(*ssh.ClientConfig) {}); err == nil {
		_ = sc.Close()
		t.Error("a fourth one is served")
	}
	if e := r.wait(tallyman.KindLoginFailed); e.Reason != tallyman.RateLimited || !strings.Contains(e.Err, "3 connections of this address") {
		t.Errorf("%+v", e)
	}
}

func TestWhoMayNotConnectIsTurnedAway(t *testing.T) {
	r := serve(t, "", nil)
	r.closed.Store(true)
	if _, err := r.tries(func(*ssh.ClientConfig) {}); err == nil {
		t.Error("served")
	}
	if e := r.wait(tallyman.KindLoginFailed); e.Reason != tallyman.NotAllowed || e.Err != "127.0.0.1 is not in serve.sftp.allow" {
		t.Errorf("%+v", e)
	}
}

func TestStopLetsRunningTransfersEnd(t *testing.T) {
	r := serve(t, "", nil)
	idle, busy := r.dial(), r.dial()
	h := busy.open("f", fresh)
	r.stop()
	if kind, _ := idle.receive(); kind != 0 {
		t.Errorf("the idle one gets type %d", kind)
	}
	busy.write(h, 0, "content")
	busy.closes(h, packet.OK)
	<-r.ended
	r.ends(tallyman.OpPut, "f", tallyman.ClosedWell, 7)
	if r.content("f") != "content" {
		t.Error("lost")
	}
}

func TestStopEndsWhatTakesTooLong(t *testing.T) {
	r := serve(t, "", func(c *Config) { c.Drain = 50 * time.Millisecond })
	c := r.dial()
	c.write(c.open("f", fresh), 0, "half")
	r.stop()
	<-r.ended
	r.ends(tallyman.OpPut, "f", tallyman.Shutdown, 4)
}

func TestAHundredSessionsAtOnce(t *testing.T) {
	r := serve(t, "", func(c *Config) { c.WaitingEach = 200 })
	var all sync.WaitGroup
	content := noise(100_000)
	for i := range 100 {
		all.Go(func() {
			sc, err := r.tries(func(*ssh.ClientConfig) {})
			if err != nil {
				t.Error(err)
				return
			}
			defer sc.Close()
			c := r.session(sc)
			name := fmt.Sprintf("f%d", i)
			h := c.open(name, fresh)
			c.write(h, 0, content)
			c.closes(h, packet.OK)
			h = c.open(name, packet.FlagRead)
			if string(c.read(h, packet.MaxData)) != content {
				t.Errorf("%s came back otherwise", name)
			}
			c.closes(h, packet.OK)
		})
	}
	all.Wait()
	for range 200 {
		if e := r.wait(tallyman.KindClosed); e.Reason != tallyman.ClosedWell || e.Digest != sum(content) {
			t.Errorf("%+v", e)
		}
	}
}
