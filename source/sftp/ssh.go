package sftp

import (
	"errors"
	"net"
	"time"

	"golang.org/x/crypto/ssh"

	"tallyman"
	"tallyman/user"
)

// What is spoken. There is no SHA-1 and no CBC; AES-CTR with HMAC-SHA-2 is for clients on libssh2 before 1.11 (curl of Debian 12) and for network devices.
var (
	exchanges = []string{
		ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519, ssh.KeyExchangeECDHP256, ssh.KeyExchangeECDHP384, ssh.KeyExchangeECDHP521,
		ssh.KeyExchangeDH16SHA512, ssh.KeyExchangeDH14SHA256,
	}
	ciphers     = []string{ssh.CipherAES128GCM, ssh.CipherAES256GCM, ssh.CipherChaCha20Poly1305, ssh.CipherAES256CTR, ssh.CipherAES128CTR}
	fastCiphers = []string{ssh.CipherAES128GCM, ssh.CipherAES256GCM}
	macs        = []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM, ssh.HMACSHA256, ssh.HMACSHA512}
	signatures  = []string{
		ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
		ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512,
	}
)

const (
	tries         = 6 // of all methods; clients offer several keys
	passwordTries = 3
	mostChannels  = 10 // sessions on one connection
	mostSaid      = 20 // refused commands of one connection that are recorded; the counter has all
)

// errTries ends a connection that has used up its passwords.
var errTries = errors.New("too many passwords")

// sshConfig is the configuration for one connection.
func (c *connection) sshConfig() *ssh.ServerConfig {
	s := &ssh.ServerConfig{
		Config:                  ssh.Config{KeyExchanges: exchanges, Ciphers: ciphers, MACs: macs},
		PublicKeyAuthAlgorithms: signatures, MaxAuthTries: tries, ServerVersion: "SSH-2.0-Tallyman",
	}
	if c.srv.cfg.Fast {
		s.Ciphers = fastCiphers
	}
	used := 0
	s.PasswordCallback = func(m ssh.ConnMetadata, pass []byte) (*ssh.Permissions, error) {
		if used++; used > passwordTries {
			return nil, errTries
		}
		l, err := c.srv.parts.Users.Password(c.ctx, m.User(), string(pass), c.peer.Addr())
		return &ssh.Permissions{}, c.enter(m, l, err, "password")
	}
	s.PublicKeyCallback = func(m ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
		if err := c.srv.parts.Users.Offered(m.User(), k, c.peer.Addr()); err != nil {
			return nil, err // an offer is no try
		}
		p := &ssh.Permissions{}
		if cert, ok := k.(*ssh.Certificate); ok {
			p.CriticalOptions = cert.CriticalOptions // the library enforces source-address
		}
		return p, nil
	}
	s.VerifiedPublicKeyCallback = func(m ssh.ConnMetadata, k ssh.PublicKey, p *ssh.Permissions, _ string) (*ssh.Permissions, error) {
		l, err := c.srv.parts.Users.Key(c.ctx, m.User(), k, c.peer.Addr())
		how := "key " + ssh.FingerprintSHA256(k)
		if cert, ok := k.(*ssh.Certificate); ok {
			how = "certificate " + tallyman.Escape(cert.KeyId) + " of " + ssh.FingerprintSHA256(cert.SignatureKey)
		}
		return p, c.enter(m, l, err, how)
	}
	for _, k := range c.srv.cfg.Keys {
		s.AddHostKey(k)
	}
	return s
}

// enter takes a login that was proven, and records how it went. The client learns nothing of the reason.
func (c *connection) enter(m ssh.ConnMetadata, l *user.Login, err error, how string) error {
	if err == nil && l.Anonymous() {
		l.Close()
		err = c.srv.parts.Users.Failed(m.User(), c.peer.Addr(), "an account without a password is for FTP alone")
	}
	if err == nil {
		if c.root, err = c.srv.parts.Root(l.Account); err != nil {
			l.Close()
			c.srv.log.Error("root of an account not opened", "user", l.Name, "err", err)
			err = &user.Refusal{Reason: tallyman.LoginFailed, Text: l.Name + ": " + err.Error()}
		}
	}
	c.client = tallyman.Escape(string(m.ClientVersion()))
	if err != nil {
		r, ok := errors.AsType[*user.Refusal](err)
		if ok {
			c.srv.counts.loginsFailed.Add(1)
		}
		if ok && (r.Reason != tallyman.RateLimited || c.srv.singly.Allow()) {
			c.event(tallyman.KindLoginFailed, r.Reason, m.User(), r.Text, map[string]any{"client": c.client, "method": how})
		}
		return errors.New("no")
	}
	c.login, c.session = l, sessionName(m.SessionID())
	return nil
}

// serve serves the connection until it ends.
func (c *connection) serve() {
	defer c.cancel()
	defer func() { _ = c.raw.Close() }()
	if err := c.raw.SetDeadline(time.Now().Add(c.srv.cfg.LoginWithin)); err != nil {
		return
	}
	sc, channels, requests, err := ssh.NewServerConn(c.raw, c.sshConfig())
	if c.login != nil {
		defer c.login.Close()
	}
	if err != nil {
		c.srv.log.Debug("no login", "client", c.peer.String(), "err", tallyman.Escape(err.Error()))
		return
	}
	defer func() { _ = sc.Close() }()
	c.srv.entered(c)
	c.raw.free.Store(true)
	if err := c.raw.SetDeadline(time.Time{}); err != nil {
		return
	}
	if a, ok := sc.Conn.(ssh.AlgorithmsConnMetadata); ok {
		c.cipher = a.Algorithms().Write.Cipher
	}
	c.srv.counts.logins.Add(1)
	c.entered()
	go c.globals(requests)
	c.channels(channels)
}

// entered records the login.
func (c *connection) entered() {
	c.event(tallyman.KindLogin, "", c.login.Name, "logged in with "+c.client, map[string]any{"cipher": c.cipher, "client": c.client})
}

// globals refuses what a client asks of the connection as a whole: forwarding of ports, mostly.
func (c *connection) globals(requests <-chan *ssh.Request) {
	for r := range requests {
		if r.Type != "keepalive@openssh.com" && r.Type != "no-more-sessions@openssh.com" {
			c.refuseCommand(r.Type, "there is no forwarding here")
		}
		if r.WantReply {
			_ = r.Reply(false, nil) // a dead connection is found by who reads
		}
	}
}

// channels serves sessions and refuses all else. It returns when the connection has ended and its sessions too.
func (c *connection) channels(channels <-chan ssh.NewChannel) {
	slots := make(chan struct{}, mostChannels)
	for n := range channels {
		if n.ChannelType() != "session" {
			c.refuseChannel(n)
			continue
		}
		select {
		case slots <- struct{}{}:
		default:
			_ = n.Reject(ssh.ResourceShortage, "too many sessions")
			continue
		}
		ch, requests, err := n.Accept()
		if err != nil {
			<-slots
			continue
		}
		go func() {
			defer func() { <-slots }()
			c.channel(ch, requests)
		}()
	}
	c.cancel()
	for range mostChannels { // all slots are ours when all sessions have ended
		slots <- struct{}{}
	}
}

// refuseChannel refuses a channel that is no session, and says where it was to lead (RFC 4254, section 7.2).
func (c *connection) refuseChannel(n ssh.NewChannel) {
	to := ""
	var direct struct {
		Host       string
		Port       uint32
		From       string
		OriginPort uint32
	}
	if n.ChannelType() == "direct-tcpip" && ssh.Unmarshal(n.ExtraData(), &direct) == nil {
		to = " to " + net.JoinHostPort(tallyman.Escape(direct.Host), itoa(direct.Port))
	}
	c.refuseCommand(n.ChannelType()+to, "there is no forwarding here")
	_ = n.Reject(ssh.Prohibited, "only sessions with the subsystem sftp")
}

// channel waits for the subsystem sftp and serves it.
func (c *connection) channel(ch ssh.Channel, requests <-chan *ssh.Request) {
	defer func() { _ = ch.Close() }()
	begun := false
	done := make(chan struct{})
	for {
		select {
		case <-done:
			return
		case r, ok := <-requests:
			if !ok {
				if begun {
					<-done
				}
				return
			}
			what, good := c.asked(r, begun)
			if !good && what != "" {
				c.refuseCommand(what, "only the subsystem sftp is served (scp: use scp -s)")
			}
			if r.WantReply {
				_ = r.Reply(good, nil)
			}
			if good {
				begun = true
				go func() {
					defer close(done)
					newSession(c, ch).run()
					_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{0}))
					_ = ch.Close()
					if c.srv.stopping.Load() {
						c.endIdle()
					}
				}()
			}
		}
	}
}

// asked reports whether a request of a session is the one that is served; what names it for the record, "" if it is not worth one.
func (c *connection) asked(r *ssh.Request, begun bool) (what string, good bool) {
	var text struct{ Text string }
	switch r.Type {
	case "subsystem", "exec":
		if ssh.Unmarshal(r.Payload, &text) != nil {
			return r.Type, false
		}
		return r.Type + " " + tallyman.Escape(text.Text), r.Type == "subsystem" && text.Text == "sftp" && !begun
	case "env", "signal", "window-change", "xon-xoff", "keepalive@openssh.com", "eow@openssh.com", "pty-req":
		return "", false
	default:
		return r.Type, false
	}
}
