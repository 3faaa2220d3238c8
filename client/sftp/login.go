package sftp

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"tallyman"
	"tallyman/client/remote"
)

// Trust says which host key is believed.
type Trust struct {
	Known       string // known_hosts file of OpenSSH; it need not be there
	AcceptNew   bool   // a host that is not known is added to Known; one whose key changed is refused all the same
	Fingerprint string // SHA256:... of the one key that is believed; empty: Known decides
	Insecure    bool   // believes any
}

// Request says what to transfer and how.
type Request struct {
	Place  remote.Place
	Auth   []ssh.AuthMethod // in the order in which they are tried
	Trust  Trust
	Check  remote.Check
	Resume bool          // of an upload: go on behind what the server has. A download is resumed when its content has bytes
	Stall  time.Duration // how long to wait when nothing moves; 60 s
}

// What is spoken. There is no SHA-1 and no CBC.
var (
	exchanges = []string{
		ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519, ssh.KeyExchangeECDHP256, ssh.KeyExchangeECDHP384, ssh.KeyExchangeECDHP521,
		ssh.KeyExchangeDH16SHA512, ssh.KeyExchangeDH14SHA256,
	}
	ciphers  = []string{ssh.CipherAES128GCM, ssh.CipherAES256GCM, ssh.CipherChaCha20Poly1305, ssh.CipherAES256CTR, ssh.CipherAES128CTR}
	macs     = []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM, ssh.HMACSHA256, ssh.HMACSHA512}
	hostKeys = []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512}
)

const (
	dialing = 30 * time.Second
	stall   = 60 * time.Second
)

// moving is a connection that is lost when nothing moves for a while.
type moving struct {
	net.Conn
	stall time.Duration
}

func (m moving) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	if n > 0 {
		_ = m.SetReadDeadline(time.Now().Add(m.stall))
	}
	return n, err
}

func (m moving) Write(p []byte) (int, error) {
	_ = m.SetDeadline(time.Now().Add(m.stall))
	return m.Conn.Write(p)
}

// dial connects and logs in. A connection that is cancelled is closed.
func dial(ctx context.Context, r Request, result *remote.Result) (*ssh.Client, error) {
	d := net.Dialer{Timeout: dialing}
	tcp, err := d.DialContext(ctx, "tcp", r.Place.Address())
	if err != nil {
		return nil, remote.Ended(tallyman.Failed, tallyman.ServerGone, "%v", err)
	}
	context.AfterFunc(ctx, func() { _ = tcp.Close() })
	at := tcp.RemoteAddr().(*net.TCPAddr).AddrPort()
	result.Server = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	believe, kinds, err := r.Trust.believer(r.Place.Address(), tcp.RemoteAddr())
	if err != nil {
		_ = tcp.Close()
		return nil, err
	}
	key := ""
	var doubt error // what the handshake says of it is wrapped by words alone
	if r.Stall == 0 {
		r.Stall = stall
	}
	_ = tcp.SetDeadline(time.Now().Add(dialing))
	conn, channels, requests, err := ssh.NewClientConn(moving{tcp, r.Stall}, r.Place.Address(), &ssh.ClientConfig{
		Config: ssh.Config{KeyExchanges: exchanges, Ciphers: ciphers, MACs: macs}, User: r.Place.User, Auth: r.Auth, ClientVersion: "SSH-2.0-Tallyman",
		HostKeyAlgorithms: kinds, HostKeyCallback: func(host string, from net.Addr, k ssh.PublicKey) error {
			key, doubt = k.Type()+" "+ssh.FingerprintSHA256(k), believe(host, from, k)
			return doubt
		},
	})
	if err != nil {
		_ = tcp.Close()
		switch {
		case doubt != nil:
			return nil, doubt
		case key != "":
			return nil, remote.Ended(tallyman.Refused, tallyman.LoginFailed, "%v", err)
		default:
			return nil, remote.Ended(tallyman.Failed, tallyman.ServerError, "SSH: %v", err)
		}
	}
	result.Secured = "SSH, host key " + key
	return ssh.NewClient(conn, channels, requests), nil
}

// believer returns what judges a host key, and the algorithms to ask for: those of the keys that are known come first, or a server with several keys would show another one.
func (t Trust) believer(address string, from net.Addr) (ssh.HostKeyCallback, []string, error) {
	switch {
	case t.Insecure:
		return ssh.InsecureIgnoreHostKey(), hostKeys, nil //nolint:gosec // asked for by name
	case t.Fingerprint != "":
		return func(_ string, _ net.Addr, k ssh.PublicKey) error {
			if got := ssh.FingerprintSHA256(k); got != t.Fingerprint {
				return remote.Ended(tallyman.Refused, tallyman.Policy, "the host shows the key %s %s, and not the one of --fingerprint", k.Type(), got)
			}
			return nil
		}, hostKeys, nil
	}
	known := func(string, net.Addr, ssh.PublicKey) error { return &knownhosts.KeyError{} }
	if _, err := os.Stat(t.Known); err == nil {
		read, err := knownhosts.New(t.Known)
		if err != nil {
			return nil, nil, remote.Ended(tallyman.Refused, tallyman.Policy, "read the known hosts: %v", err)
		}
		known = read
	}
	kinds := slices.Clone(hostKeys)
	if want, ok := errors.AsType[*knownhosts.KeyError](known(address, from, noKey{})); ok {
		for _, k := range want.Want {
			kind := k.Key.Type()
			first := []string{kind}
			if kind == ssh.KeyAlgoRSA {
				first = []string{ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512}
			}
			kinds = slices.Concat(first, slices.DeleteFunc(kinds, func(a string) bool { return slices.Contains(first, a) }))
		}
	}
	return func(host string, from net.Addr, k ssh.PublicKey) error { return t.judge(known(host, from, k), host, k) }, kinds, nil
}

// judge says what a key means that the file does not know.
func (t Trust) judge(err error, host string, k ssh.PublicKey) error {
	unknown, ok := errors.AsType[*knownhosts.KeyError](err)
	shown := k.Type() + " " + ssh.FingerprintSHA256(k)
	switch {
	case err == nil:
		return nil
	case !ok:
		return remote.Ended(tallyman.Refused, tallyman.Policy, "the host key %s: %v", shown, err)
	case len(unknown.Want) > 0:
		return remote.Ended(tallyman.Refused, tallyman.Policy, "the host shows the key %s, and %s knows another one (line %d): somebody may stand between, or the host has a new key; then correct that line", shown, unknown.Want[0].Filename, unknown.Want[0].Line)
	case !t.AcceptNew:
		return remote.Ended(tallyman.Refused, tallyman.Policy, "the host is not known and shows the key %s: if its administrator confirms it, use --fingerprint %s, or --accept-new", shown, ssh.FingerprintSHA256(k))
	}
	if err := t.remember(host, k); err != nil {
		return remote.Local("add the host to the known ones", err)
	}
	return nil
}

// remember adds a line to the file of known hosts.
func (t Trust) remember(host string, k ssh.PublicKey) error {
	if err := os.MkdirAll(filepath.Dir(t.Known), 0o700); err != nil {
		return err
	}
	old, err := os.ReadFile(t.Known)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	line := knownhosts.Line([]string{knownhosts.Normalize(host)}, k) + "\n"
	if len(old) > 0 && !bytes.HasSuffix(old, []byte("\n")) {
		line = "\n" + line
	}
	f, err := os.OpenFile(t.Known, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line)
	return errors.Join(err, f.Sync(), f.Close())
}

// noKey is a key that nobody has: asked about it, known_hosts tells which it knows.
type noKey struct{}

func (noKey) Type() string                        { return "none" }
func (noKey) Marshal() []byte                     { return []byte("none") }
func (noKey) Verify([]byte, *ssh.Signature) error { return errors.New("this key verifies nothing") }
