package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"tallyman"
	"tallyman/acl"
	"tallyman/config"
	"tallyman/source/sftp"
	"tallyman/source/sftp/hostkey"
	"tallyman/tree"
	"tallyman/user"
)

// usersFile is the file of accounts in the state folder.
const usersFile = "users.yaml"

// usersPath is the file of accounts.
func (h *house) usersPath(cfg config.Config) string {
	if file := cfg.Users.File; filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(h.state, cfg.Users.File)
}

// accounts opens the accounts that all servers with a login share, once.
func (h *house) accounts() (*user.Book, error) {
	if h.users != nil {
		return h.users, nil
	}
	never, err := acl.Parse(h.cfg.Users.NeverBan, "users.never_ban")
	if err != nil {
		return nil, err
	}
	ca, err := authorities(h.cfg.Serve.SFTP.UserCAFile)
	if err != nil {
		return nil, err
	}
	h.users, err = user.Open(user.Config{File: h.usersPath(h.cfg), Never: never, Authorities: ca, Log: h.log.With("room", "user")})
	return h.users, err
}

// authorities reads the public keys of those who sign certificates.
func authorities(file string) ([]ssh.PublicKey, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("serve.sftp.user_ca_file: %w", err)
	}
	var out []ssh.PublicKey
	for len(text) > 0 {
		k, _, _, rest, err := ssh.ParseAuthorizedKey(text)
		if err != nil {
			break
		}
		out, text = append(out, k), rest
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("serve.sftp.user_ca_file: %s holds no public key: paste the .pub file of the authority, as ssh-keygen made it", file)
	}
	return out, nil
}

// fallBackSFTP switches SFTP off that nobody has asked for: when there is no account, or the default port cannot be had.
func (h *house) fallBackSFTP(ctx context.Context) string {
	c := &h.cfg.Serve.SFTP
	if h.cfg.Given("serve.sftp.listen") || c.Listen == "" {
		return ""
	}
	if _, err := os.Stat(h.usersPath(h.cfg)); err != nil {
		c.Listen = ""
		return ""
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", string(c.Listen))
	if err == nil {
		_ = l.Close()
		return ""
	}
	port := string(c.Listen)[1:]
	c.Listen = ""
	if errors.Is(err, syscall.EADDRINUSE) {
		return "Port " + port + " is held by another process: SFTP is off. Name another with --sftp :2222."
	}
	return "Port " + port + " cannot be had (" + err.Error() + "): SFTP is off."
}

// sftpPolicy is what a reload may change.
type sftpPolicy struct {
	allow acl.List
	write string
	sftp.Policy
}

func newSFTPPolicy(cfg config.Config) (*sftpPolicy, error) {
	c := cfg.Serve.SFTP
	allow, err := acl.Parse(c.Allow, "serve.sftp.allow")
	if err != nil {
		return nil, err
	}
	mode := map[string]tree.Mode{"keep": tree.Keep, "create": tree.Create, "overwrite": tree.Overwrite}
	return &sftpPolicy{allow, c.Write, sftp.Policy{Read: c.Read, Write: c.Write != "no", Mode: mode[c.Write], MaxSize: int64(c.MaxSize), MinFree: c.MinFree.Of}}, nil
}

// openSFTP opens accounts, host keys and roots, and binds the port.
func openSFTP(ctx context.Context, h *house) (source, error) {
	book, err := h.accounts()
	if err != nil {
		return source{}, err
	}
	keys, fresh, err := hostkey.Open(h.state)
	if err != nil {
		return source{}, err
	}
	first, err := newSFTPPolicy(h.cfg)
	if err != nil {
		return source{}, err
	}
	var policy atomic.Pointer[sftpPolicy]
	policy.Store(first)
	r := &roots{h: h, base: h.cfg.Serve.SFTP.Root, kept: h.cfg.Serve.SFTP.Kept, open: map[rootKey]*sftp.Root{}}
	if err := r.openAll(ctx, book); err != nil {
		return source{}, errors.Join(err, r.close())
	}
	c := h.cfg.Serve.SFTP
	cfg := sftp.Defaults()
	cfg.Listen, cfg.Keys, cfg.Fast, cfg.Hash, cfg.Idle, cfg.Drain = string(c.Listen), keys, c.Ciphers == "fast", c.Hash, time.Duration(c.Idle), time.Duration(h.cfg.Drain)
	cfg.Host, cfg.Proc = h.name(), tallyman.Proc{PID: int32(os.Getpid()), Start: bootTicks()}
	s, err := sftp.Listen(cfg, sftp.Parts{
		Users: book, Root: r.of,
		Gate:   func(a netip.Addr) (bool, string) { return policy.Load().allow.Allow(a) },
		Policy: func() sftp.Policy { return policy.Load().Policy },
	}, h.log.With("room", "sftp"))
	if err != nil {
		return source{}, errors.Join(err, r.close())
	}
	out := source{
		Source: s, key: "serve.sftp", proto: "sftp", root: r.any(book), addrs: s.Addrs, Close: s.Close, counts: func() map[string]int64 { return sftpCounts(s, book) },
		write: func() string { return policy.Load().write }, facts: map[string]any{"sftp_host_keys": prints(keys)},
		reload: func(cfg config.Config) error {
			next, err := newSFTPPolicy(cfg)
			if err == nil {
				err = book.Reload()
			}
			if err == nil {
				policy.Store(next)
			}
			return err
		},
	}
	out.greet = func(w io.Writer) { greetSFTP(w, &out, book, keys, fresh) }
	return out, nil
}

func prints(keys []ssh.Signer) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = k.PublicKey().Type() + " " + ssh.FingerprintSHA256(k.PublicKey())
	}
	return out
}

// greetSFTP says what listens where, and by which keys it is known.
func greetSFTP(w io.Writer, s *source, book *user.Book, keys []ssh.Signer, fresh bool) {
	fmt.Fprintf(w, "SFTP  serving %d accounts on %s\n", book.Accounts(), s.addr())
	if book.Accounts() == 0 {
		fmt.Fprintln(w, "      nobody can log in yet: tallyman user add NAME --root DIR")
	}
	fmt.Fprintf(w, "      try  %s\n", s.try("put"))
	what := "host key"
	if fresh {
		what = "new host key"
	}
	for _, p := range prints(keys) {
		fmt.Fprintf(w, "      %s %s\n", what, p)
	}
}

func sftpCounts(s *sftp.Server, book *user.Book) map[string]int64 {
	c := s.Counts()
	return map[string]int64{
		"sftp_connections_total": c.Connections, "sftp_turned_away_total": c.TurnedAway, "sftp_logins_total": c.Logins, "sftp_logins_failed_total": c.LoginsFailed,
		"sftp_transfers_total": c.Transfers, "sftp_refused_total": c.Refused, "sftp_commands_refused_total": c.Commands, "user_bans_total": book.Bans(),
	}
}

// roots are the folders of accounts, opened when they are first needed and then for good.
type roots struct {
	h    *house
	base string // of accounts that name none
	kept int

	mu   sync.Mutex
	open map[rootKey]*sftp.Root
}

// rootKey is one folder, perhaps for those without a password: they read what is readable by others.
type rootKey struct {
	path      string
	anonymous bool
}

// openAll opens what is known at the start, and removes what cut uploads have left there.
func (r *roots) openAll(ctx context.Context, book *user.Book) error {
	paths := book.Roots()
	if r.base != "" {
		paths = append(paths, r.base)
	}
	for _, path := range paths {
		root, err := r.at(rootKey{path: path})
		if err != nil && path != r.base {
			r.h.log.Warn("root of an account not opened: it cannot log in", "root", path, "err", err)
			continue
		}
		if err != nil {
			return err
		}
		sweep(ctx, root.Tree, r.h)
	}
	return nil
}

// any is a root to show, and whose owner serves.
func (r *roots) any(book *user.Book) string {
	if r.base != "" {
		return r.base
	}
	if all := book.Roots(); len(all) > 0 {
		return all[0]
	}
	return r.h.state
}

// of is the root of an account.
func (r *roots) of(a *user.Account) (*sftp.Root, error) {
	path := a.Root
	if path == "" {
		path = r.base
	}
	if path == "" {
		return nil, errors.New("the account has no root: set root in the file of accounts, or the root of the server")
	}
	return r.at(rootKey{path, a.Anonymous()})
}

func (r *roots) at(which rootKey) (*sftp.Root, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if root := r.open[which]; root != nil {
		return root, nil
	}
	owner, err := ownerOf(r.h.cfg.Serve.User, which.path)
	if err != nil {
		return nil, err
	}
	t, err := tree.Open(which.path, tree.Config{UID: owner.uid, GID: owner.gid, Kept: r.kept, WorldReadableOnly: which.anonymous, Step: r.h.p.step})
	if err != nil {
		return nil, err
	}
	root := &sftp.Root{Tree: t, Digests: tree.NewDigests(digestsKept)}
	r.open[which] = root
	return root, nil
}

func (r *roots) close() error {
	var errs []error
	for _, root := range r.open {
		errs = append(errs, root.Tree.Close())
	}
	return errors.Join(errs...)
}
