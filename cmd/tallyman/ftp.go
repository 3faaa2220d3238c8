package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"tallyman"
	"tallyman/acl"
	"tallyman/config"
	"tallyman/source/ftp"
	"tallyman/source/ftp/data"
	"tallyman/source/ftp/engine"
	"tallyman/source/sftp"
	"tallyman/tree"
	"tallyman/user"
	"tallyman/web/account"
	"tallyman/web/certificate"
)

// Files of the certificate that FTPS makes itself, in the state folder.
const (
	ftpCertFile = "ftp-cert.pem"
	ftpKeyFile  = "ftp-key.pem"
)

// fallBackFTP switches FTP off that nobody has asked for when there is no account, and takes port 2121 where 21 cannot be had.
func (h *house) fallBackFTP(ctx context.Context) string {
	c := &h.cfg.Serve.FTP
	if h.cfg.Given("serve.ftp.listen") || c.Listen == "" {
		return ""
	}
	if _, err := os.Stat(h.usersPath(h.cfg)); err != nil {
		c.Listen = ""
		return ""
	}
	err := free(ctx, string(c.Listen))
	if err == nil {
		return ""
	}
	why := "Port 21 cannot be had (" + err.Error() + ")"
	switch {
	case errors.Is(err, syscall.EACCES):
		why = "Port 21 may not be bound without privileges"
	case errors.Is(err, syscall.EADDRINUSE):
		holder := holderIn(21, "/proc/net/tcp", "/proc/net/tcp6")
		if holder == "" {
			holder = "another process"
		}
		why = "Port 21 is held by " + holder
	}
	if c.Listen = ":2121"; free(ctx, string(c.Listen)) == nil {
		return why + ": FTP listens on 2121."
	}
	c.Listen = ""
	return why + ", and 2121 is taken too: FTP is off. Name another with --ftp :2122."
}

// free reports whether a port of TCP can be had.
func free(ctx context.Context, at string) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", at)
	if err != nil {
		return err
	}
	return l.Close()
}

// ftpPolicy is what a reload may change.
type ftpPolicy struct {
	allow acl.List
	write string
	ftp.Policy
}

func newFTPPolicy(cfg config.Config) (*ftpPolicy, error) {
	c := cfg.Serve.FTP
	allow, err := acl.Parse(c.Allow, "serve.ftp.allow")
	if err != nil {
		return nil, err
	}
	mode := map[string]tree.Mode{"keep": tree.Keep, "create": tree.Create, "overwrite": tree.Overwrite}
	return &ftpPolicy{allow, c.Write, ftp.Policy{Write: c.Write != "no", Mode: mode[c.Write], MaxSize: int64(c.MaxSize), MinFree: c.MinFree.Of}}, nil
}

// openFTP opens accounts, certificate and roots, and binds the ports.
func openFTP(ctx context.Context, h *house) (source, error) {
	book, err := h.accounts()
	if err != nil {
		return source{}, err
	}
	first, err := newFTPPolicy(h.cfg)
	if err != nil {
		return source{}, err
	}
	var policy atomic.Pointer[ftpPolicy]
	policy.Store(first)
	cfg, pair, err := h.ftpConfig()
	if err != nil {
		return source{}, err
	}
	r := &roots{h: h, base: h.cfg.Serve.FTP.Root, kept: h.cfg.Serve.FTP.Kept, open: map[rootKey]*sftp.Root{}}
	if err := r.openAll(ctx, book); err != nil {
		return source{}, errors.Join(err, r.close())
	}
	people := &ftpAccounts{book: book, roots: r, policy: func() ftp.Policy { return policy.Load().Policy }}
	who := ftp.Identity{Host: h.name(), Proc: tallyman.Proc{PID: int32(os.Getpid()), Start: bootTicks()}}
	gate := func(a netip.Addr) (bool, string) { return policy.Load().allow.Allow(a) }
	s, err := ftp.Listen(ctx, cfg, people, gate, who, h.log.With("room", "ftp"))
	if err != nil {
		return source{}, errors.Join(err, r.close())
	}
	out := source{
		Source: s, key: "serve.ftp", proto: "ftp", root: r.any(book), addrs: s.Addrs, Close: s.Close, counts: func() map[string]int64 { return ftpCounts(s) },
		write: func() string { return policy.Load().write }, facts: map[string]any{},
		reload: func(cfg config.Config) error {
			next, err := newFTPPolicy(cfg)
			if err == nil {
				err = book.Reload()
			}
			if err == nil {
				policy.Store(next)
			}
			return err
		},
	}
	print := ""
	if pair != nil {
		print = certificate.Fingerprint(pair.now())
		out.facts["ftp_certificate"] = print
	}
	if a := s.Addrs(); len(a) > 1 {
		out.facts["ftps"] = a[1].String()
	}
	out.greet = func(w io.Writer) { greetFTP(w, &out, book, print) }
	return out, nil
}

// ftpConfig composes the configuration of the server. The certificate is nil without TLS.
func (h *house) ftpConfig() (ftp.Config, *pairFile, error) {
	c := h.cfg.Serve.FTP
	f := ftp.Defaults()
	f.Listen, f.Implicit, f.Reuse, f.Active, f.Passive = string(c.Listen), string(c.Implicit), c.TLSReuse, c.PortMode, c.PasvMode
	f.Ports = data.Range{First: c.PasvPorts.First, Last: c.PasvPorts.Last}
	f.Idle, f.Stall, f.Drain, f.Hash = time.Duration(c.Idle), time.Duration(c.Stall), time.Duration(h.cfg.Drain), c.Hash
	f.TLS = map[string]engine.TLS{"none": engine.None, "explicit": engine.Explicit, "required": engine.Required}[c.TLS]
	if len(c.TLSReuseExempt) > 0 {
		exempt, err := acl.Parse(c.TLSReuseExempt, "serve.ftp.tls_reuse_exempt")
		if err != nil {
			return f, nil, err
		}
		f.Exempt = func(client netip.Addr) bool { ok, _ := exempt.Allow(client); return ok }
	}
	if public, err := netip.ParseAddr(c.PasvAddress); err == nil {
		private, err := acl.Parse([]string{"private"}, "private")
		if err != nil {
			return f, nil, err
		}
		f.Public = func(client netip.Addr) netip.Addr {
			if near, _ := private.Allow(client); near {
				return netip.Addr{}
			}
			return public
		}
	}
	if f.TLS == engine.None && f.Implicit == "" {
		return f, nil, nil
	}
	pair, err := h.ftpPair()
	if err != nil {
		return f, nil, err
	}
	f.Certificate = pair.get
	return f, pair, nil
}

// ftpPair is the configured certificate, or our own.
func (h *house) ftpPair() (*pairFile, error) {
	c := h.cfg.Serve.FTP
	p := &pairFile{crt: c.CertFile, key: c.KeyFile}
	if p.crt == "" {
		p.crt, p.key = filepath.Join(h.state, ftpCertFile), filepath.Join(h.state, ftpKeyFile)
		if _, err := certificate.OwnIn(p.crt, p.key, []string{h.name(), "localhost", "127.0.0.1", "::1"}, time.Now(), account.ReplaceFile); err != nil {
			return nil, err
		}
	}
	_, err := p.get()
	return p, err
}

// pairFile is a certificate in files that may change while it is used.
type pairFile struct {
	crt, key string
	last     atomic.Pointer[loadedPair]
}

type loadedPair struct {
	pair tls.Certificate
	crt  time.Time // when the file changed last
}

// get reads the files again when the certificate has changed. What cannot be read leaves the old one in use.
func (p *pairFile) get() (*tls.Certificate, error) {
	last := p.last.Load()
	st, err := os.Stat(p.crt)
	if last != nil && (err != nil || st.ModTime().Equal(last.crt)) {
		return &last.pair, nil
	}
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(p.crt, p.key)
	if err != nil {
		if last != nil { // its key may follow in a moment, or this user may not read it
			return &last.pair, nil
		}
		return nil, fmt.Errorf("certificate %s with key %s: %w", p.crt, p.key, err)
	}
	p.last.Store(&loadedPair{pair, st.ModTime()})
	return &pair, nil
}

// now is the certificate in use.
func (p *pairFile) now() tls.Certificate { return p.last.Load().pair }

// ftpAccounts lets accounts in that the book knows.
type ftpAccounts struct {
	book   *user.Book
	roots  *roots
	policy func() ftp.Policy
}

// Login implements ftp.Accounts.
func (a *ftpAccounts) Login(ctx context.Context, name, password string, from netip.Addr, _ bool) (ftp.Account, error) {
	if name == "ftp" && a.book.Account(name) == nil {
		name = "anonymous" // RFC 1635
	}
	l, err := a.book.Password(ctx, name, password, from)
	if err != nil {
		if r, ok := errors.AsType[*user.Refusal](err); ok {
			return ftp.Account{}, &ftp.Refusal{Reason: r.Reason, Text: r.Text}
		}
		return ftp.Account{}, err
	}
	root, err := a.roots.of(l.Account)
	if err != nil {
		l.Close()
		return ftp.Account{}, &ftp.Refusal{Reason: tallyman.LoginFailed, Text: err.Error()}
	}
	return ftp.AccountOf(l, root.Tree, root.Digests, a.policy), nil
}

// greetFTP says what listens where, and by which certificate it is known.
func greetFTP(w io.Writer, s *source, book *user.Book, print string) {
	fmt.Fprintf(w, "FTP   serving on %s, accounts: %d\n", s.addr(), book.Accounts())
	if a := s.addrs(); len(a) > 1 {
		fmt.Fprintf(w, "      TLS from the first byte on port %s\n", strconv.Itoa(int(a[1].Port())))
	}
	if book.Accounts() == 0 {
		fmt.Fprintln(w, "      nobody can log in yet: tallyman user add NAME --root DIR")
	}
	fmt.Fprintf(w, "      put  %s\n", s.try("put"))
	if print != "" {
		fmt.Fprintf(w, "      certificate SHA-256 %s\n", print)
	}
}

func ftpCounts(s *ftp.Server) map[string]int64 {
	c := s.Counts()
	return map[string]int64{
		"ftp_connections_total": int64(c.Connections), "ftp_turned_away_total": int64(c.Turned), "ftp_logins_total": int64(c.Logins),
		"ftp_logins_failed_total": int64(c.Wrong), "ftp_commands_total": int64(c.Commands), "ftp_transfers_total": int64(c.Transfers),
		"ftp_refused_total": int64(c.Refused), "ftp_strangers_total": int64(c.Strangers), "ftp_sessions": int64(c.Now),
	}
}
