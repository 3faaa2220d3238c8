package user

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/time/rate"

	"tallyman"
	"tallyman/acl"
	"tallyman/user/guard"
	"tallyman/user/password"
)

// lookEvery is how often the file is looked at for changes, at most, when somebody logs in.
const lookEvery = time.Second

// Config says where the accounts are.
type Config struct {
	File string // absolute
	// Never are addresses that are neither slowed down nor banned.
	Never acl.List
	// Authorities sign certificates for any account that they name.
	Authorities []ssh.PublicKey
	Log         *slog.Logger
}

// Refusal is the error of a login: why it was refused, in one escaped line for the record. The client is told nothing of it.
type Refusal struct {
	Reason tallyman.Reason // login-failed not-allowed rate-limited
	Text   string
}

// Error returns the text.
func (r *Refusal) Error() string { return r.Text }

// Book holds the accounts that are in force. Its methods may be called by many goroutines.
type Book struct {
	cfg    Config
	guard  *guard.Guard
	slots  chan struct{} // a hash costs 19 MiB and 20 ms: as many at once as there are processors; the others wait
	secret [32]byte      // of this process: keys the memory of passwords and the choice of decoys

	mu     sync.Mutex
	now    *edition
	looked time.Time
	told   string // the complaint about the file that was last logged
	in     map[string]int
	limits map[string]*limits
	meters map[string]*Meter
}

// edition is one state of the file.
type edition struct {
	accounts map[string]*Account
	hashes   []string // of all accounts, sorted: a name that is unknown costs what one of them costs
	stamp    stamp

	mu    sync.Mutex
	known map[string][sha256.Size]byte // by account: the HMAC of the password that was right
}

// stamp tells states of a file apart.
type stamp struct {
	ino          uint64
	size         int64
	mtime, ctime int64
}

type limits struct{ up, down *rate.Limiter }

// Open reads the accounts. A file that is not there holds none. The error of a file that is wrong is of type Problems.
func Open(cfg Config) (*Book, error) {
	b := &Book{
		cfg: cfg, guard: guard.New(), slots: make(chan struct{}, runtime.NumCPU()),
		in: map[string]int{}, limits: map[string]*limits{}, meters: map[string]*Meter{},
	}
	_, _ = rand.Read(b.secret[:]) // never fails (crypto/rand)
	e, err := readFile(cfg.File)
	if err != nil {
		return nil, err
	}
	b.put(e)
	return b, nil
}

// readFile reads the file as it is now.
func readFile(file string) (*edition, error) {
	e := &edition{accounts: map[string]*Account{}, known: map[string][sha256.Size]byte{}}
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return e, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w: let the user who serves read it", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, Problems{{File: file, Text: fmt.Sprintf("it may be used by others (mode %04o): chmod o= it, and change the passwords if others could read it", info.Mode().Perm())}}
	}
	content := make([]byte, min(info.Size(), mostBytes+1))
	n, err := readFull(f, content)
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	if e.accounts, err = parse(file, content[:n], os.ReadFile); err != nil {
		return nil, err
	}
	e.stamp = stampOf(info)
	for _, a := range e.accounts {
		if a.password != "" {
			e.hashes = append(e.hashes, a.password)
		}
	}
	slices.Sort(e.hashes)
	return e, nil
}

func readFull(f *os.File, p []byte) (n int, err error) {
	for n < len(p) {
		m, err := f.ReadAt(p[n:], int64(n))
		n += m
		if m == 0 {
			break // shorter than a moment ago
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func stampOf(info fs.FileInfo) stamp {
	s := stamp{size: info.Size(), mtime: info.ModTime().UnixNano()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.ino, s.ctime = sys.Ino, sys.Ctim.Nano()
	}
	return s
}

// Reload reads the file again. After an error the old accounts are in force.
func (b *Book) Reload() error {
	e, err := readFile(b.cfg.File)
	if err != nil {
		return fmt.Errorf("the old accounts stay in force: %w", err)
	}
	b.put(e)
	return nil
}

func (b *Book) put(e *edition) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now, b.told = e, ""
	for name, l := range b.limits {
		if a := e.accounts[name]; a != nil {
			l.set(a)
		}
	}
}

// current is the edition in force: the file is read again if it has changed.
func (b *Book) current(now time.Time) *edition {
	b.mu.Lock()
	e := b.now
	look := now.Sub(b.looked) >= lookEvery || now.Before(b.looked)
	if look {
		b.looked = now
	}
	b.mu.Unlock()
	if !look {
		return e
	}
	var is stamp
	if info, err := os.Stat(b.cfg.File); err == nil {
		is = stampOf(info)
	}
	if is == e.stamp {
		return e
	}
	next, err := readFile(b.cfg.File)
	b.mu.Lock()
	told := err != nil && err.Error() == b.told
	if err != nil {
		b.told = err.Error()
	}
	b.mu.Unlock()
	if err != nil {
		if !told {
			b.cfg.Log.Error("accounts not read again, the old ones stay in force", "err", err)
		}
		return e
	}
	b.cfg.Log.Info("accounts read again", "accounts", len(next.accounts))
	b.put(next)
	return next
}

// Account returns the account of that name, nil if there is none.
func (b *Book) Account(name string) *Account { return b.current(time.Now()).accounts[name] }

// Accounts returns how many accounts there are.
func (b *Book) Accounts() int { return len(b.current(time.Now()).accounts) }

// Bans counts the bans since the start.
func (b *Book) Bans() int64 { return b.guard.Bans() }

// Banned reports how long no login from the address will be looked at, 0 if it will be.
func (b *Book) Banned(from netip.Addr) time.Duration {
	if never, _ := b.cfg.Never.Allow(from); never {
		return 0
	}
	return b.guard.Banned(from, time.Now())
}

// Source is what counts as one address, here and wherever places are counted: of IPv6 a network of 64 bits.
func Source(from netip.Addr) netip.Addr { return guard.Network(from) }

// Roots returns the roots that accounts name, each once, sorted.
func (b *Book) Roots() []string {
	var out []string
	for _, a := range b.current(time.Now()).accounts {
		if a.Root != "" && !slices.Contains(out, a.Root) {
			out = append(out, a.Root)
		}
	}
	slices.Sort(out)
	return out
}

// turn waits until the source may try. The error is a *Refusal when it is banned, or that of ctx.
func (b *Book) turn(ctx context.Context, from netip.Addr) error {
	if never, _ := b.cfg.Never.Allow(from); never {
		return nil
	}
	wait, ok := b.guard.Turn(from, time.Now())
	if !ok {
		return &Refusal{tallyman.RateLimited, fmt.Sprintf("%s failed too often: no login for %s", from, wait.Round(time.Second))}
	}
	if wait == 0 {
		return nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Password logs in with a password. It waits: for the turn of a source that has failed before, and for a processor. The error is a *Refusal, or that of
// ctx. Right, wrong and unknown cost the same but for a password that was right before and costs less.
func (b *Book) Password(ctx context.Context, name, pass string, from netip.Addr) (*Login, error) {
	if err := b.turn(ctx, from); err != nil {
		return nil, err
	}
	e := b.current(time.Now())
	a := e.accounts[name]
	if a != nil && a.open {
		return b.enter(a, from)
	}
	hash := b.decoy(e, name)
	if a != nil && a.password != "" {
		hash = a.password
	}
	fits, err := b.fits(ctx, e, name, hash, pass)
	if err != nil {
		return nil, err
	}
	if !fits || a == nil || a.password == "" {
		return nil, b.Failed(name, from, whyNot(a))
	}
	return b.enter(a, from)
}

func whyNot(a *Account) string {
	switch {
	case a == nil:
		return "there is no such account"
	case a.password == "":
		return "the account has no password"
	default:
		return "wrong password"
	}
}

// decoy is a hash for a name that has none: always the same one, so that who tries twice learns nothing.
func (b *Book) decoy(e *edition, name string) string {
	if len(e.hashes) == 0 {
		return password.Nobody
	}
	sum := b.mac("decoy", name, "")
	return e.hashes[binary.BigEndian.Uint64(sum[:8])%uint64(len(e.hashes))]
}

func (b *Book) mac(what, name, pass string) (out [sha256.Size]byte) {
	h := hmac.New(sha256.New, b.secret[:])
	for _, s := range []string{what, name, pass} {
		_ = binary.Write(h, binary.BigEndian, uint64(len(s))) // a hash takes all
		h.Write([]byte(s))
	}
	h.Sum(out[:0])
	return out
}

// fits compares, from memory if the same password was right before.
func (b *Book) fits(ctx context.Context, e *edition, name, hash, pass string) (bool, error) {
	sum := b.mac("password", name, pass)
	e.mu.Lock()
	was, known := e.known[name]
	e.mu.Unlock()
	if known && hmac.Equal(was[:], sum[:]) {
		return true, nil
	}
	select {
	case b.slots <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	e.mu.Lock() // who came with the same password has perhaps been looked at meanwhile
	was, known = e.known[name]
	e.mu.Unlock()
	ok := known && hmac.Equal(was[:], sum[:]) || password.Fits(hash, pass)
	<-b.slots
	if a := e.accounts[name]; ok && a != nil && a.password == hash {
		e.mu.Lock()
		e.known[name] = sum
		e.mu.Unlock()
	}
	return ok, nil
}

// Failed notes that a login failed and returns the error for it. Servers call it for what they find out themselves.
func (b *Book) Failed(name string, from netip.Addr, why string) error {
	text := tallyman.Escape(name) + ": " + why
	if never, _ := b.cfg.Never.Allow(from); !never {
		if ban := b.guard.Failed(from, name, time.Now()); ban > 0 {
			text += fmt.Sprintf("; %s is banned for %s", from, ban)
		}
	}
	return &Refusal{tallyman.LoginFailed, text}
}

// Offered reports, without a login, whether the key would open the account. An offer is no failure: clients offer all they have.
func (b *Book) Offered(name string, k ssh.PublicKey, from netip.Addr) error {
	_, err := b.key(name, k, from)
	return err
}

// Key logs in with a key, or a certificate, whose owner has proven to have it.
func (b *Book) Key(ctx context.Context, name string, k ssh.PublicKey, from netip.Addr) (*Login, error) {
	if err := b.turn(ctx, from); err != nil {
		return nil, err
	}
	a, err := b.key(name, k, from)
	if err != nil {
		return nil, b.Failed(name, from, err.Error())
	}
	return b.enter(a, from)
}

func (b *Book) key(name string, k ssh.PublicKey, from netip.Addr) (*Account, error) {
	a := b.current(time.Now()).accounts[name]
	if a == nil {
		return nil, errors.New("there is no such account")
	}
	cert, ok := k.(*ssh.Certificate)
	if !ok {
		if why := weak(k); why != "" {
			return nil, errors.New("the key " + why)
		}
		if wire := string(k.Marshal()); slices.ContainsFunc(a.keys, func(x key) bool { return x.fits(wire, false, from) }) {
			return a, nil
		}
		return nil, errors.New("no key of the account")
	}
	return a, b.certificate(a, cert, from)
}

// certificate checks a user certificate (OpenSSH PROTOCOL.certkeys). One without principals is good for nobody, as in sshd(8).
func (b *Book) certificate(a *Account, cert *ssh.Certificate, from netip.Addr) error {
	signer := string(cert.SignatureKey.Marshal())
	principals := []string{a.Name}
	known := slices.ContainsFunc(b.cfg.Authorities, func(k ssh.PublicKey) bool { return string(k.Marshal()) == signer })
	for i := range a.keys {
		if k := &a.keys[i]; k.fits(signer, true, from) {
			known = true
			if k.principals != nil {
				principals = k.principals
			}
		}
	}
	switch why := weak(cert.Key); {
	case !known:
		return errors.New("nobody here trusts the CA of the certificate")
	case cert.CertType != ssh.UserCert:
		return errors.New("the certificate is none of a user")
	case why != "":
		return errors.New("the key of the certificate " + why)
	}
	if c, ok := cert.CriticalOptions["force-command"]; ok && c != "internal-sftp" {
		return errors.New("the certificate forces another command than internal-sftp")
	}
	for _, p := range principals {
		if slices.Contains(cert.ValidPrincipals, p) {
			checker := ssh.CertChecker{SupportedCriticalOptions: []string{"force-command"}}
			return checker.CheckCert(p, cert)
		}
	}
	return errors.New("the certificate does not name the account")
}
