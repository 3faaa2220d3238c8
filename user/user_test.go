package user

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/ssh"

	"tallyman"
	"tallyman/acl"
	"tallyman/user/password"
)

var lan = netip.MustParseAddr("10.20.0.7")

// hashed is a cheap hash: most tests are about other things than its cost.
func hashed(t testing.TB, pass string) string {
	t.Helper()
	b, err := bcrypt.GenerateFromPassword([]byte(pass), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, text string) (*Book, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "users.yaml")
	write(t, file, text)
	b, err := Open(Config{File: file, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return b, file
}

// never is a list that holds the LAN of the tests.
func never(t testing.TB) acl.List {
	t.Helper()
	l, err := acl.Parse([]string{"private"}, "users.never_ban")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func refused(t testing.TB, err error, reason tallyman.Reason, words string) {
	t.Helper()
	r, ok := errors.AsType[*Refusal](err)
	if !ok || r.Reason != reason || !strings.Contains(r.Text, words) {
		t.Errorf("got %v, want %s with %q", err, reason, words)
	}
}

func newKey(t testing.TB) (ssh.Signer, string) {
	t.Helper()
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	return s, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.PublicKey())))
}

func TestEverythingWrongIsToldWithItsLine(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		_, err := parse("users.yaml", []byte(text), os.ReadFile)
		if err == nil {
			t.Errorf("accepted: %s", text)
			return
		}
		got := strings.Split(err.Error(), "\n")
		if len(got) != len(want) {
			t.Errorf("%s\n got %q\nwant %q", text, got, want)
			return
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("%s\n got %q\nwant %q", text, got[i], want[i])
			}
		}
	}
	_, line := newKey(t)
	ok := "ann:\n  keys: ['" + line + "']\n"
	f("ann:\n  keyz: []\n", "users.yaml:2: ann: unknown key keyz, known here: allow bandwidth keys", "users.yaml:2: ann: nothing opens")
	f(ok+"  root: srv\n", "root srv is not absolute")
	f(ok+"  permissions: [read, fly]\n", `users.yaml:3: ann: "fly" is no permission, known: all read write`)
	f(ok+"  paths: {incoming: [read]}\n", "users.yaml:3: ann: a pattern begins with /")
	f(ok+"  paths: {/a**b: [read]}\n", "** stands alone")
	f(ok+"  paths: {'/[a': [read]}\n", "cannot be read")
	f(ok+"  quota: {bytes: 10}\n", `"10" is no size`)
	f(ok+"  quota: {files: 010}\n", "expected a whole number")
	f(ok+"  logins: 0\n", "expected a whole number from 1 on")
	f(ok+"  logins: many\n", "expected a whole number from 1 on")
	f(ok+"  until: tomorrow\n", "until is no time")
	f(ok+"  allow: []\n", "nobody could log in")
	f(ok+"  allow: [10.0.0.0/33]\n", "is no address")
	f(ok+"  tls_reuse: maybe\n", "true or false")
	f(ok+"  root: /a\n  root: /b\n", "stands here twice")
	f(ok+ok, "users.yaml:3: the account ann stands here twice")
	f("ann: {password: secret}\n", "is no hash that is known here", "nothing opens the account")
	f("ann: {keys: [ssh-rsa]}\n", "is no line of authorized_keys", "nothing opens")
	f("ann:\n  keys: ['command=\"rm\" "+line+"']\n", "has the option command", "nothing opens")
	f("ann: {keys_file: /nowhere/keys}\n", "/nowhere/keys", "nothing opens")
	f("anonymous: {permissions: all}\n", "anonymous may read and list, nothing else: make an account with a password for write, create")
	f("anonymous: {keys: ['"+line+"']}\n", "neither password nor keys")
	f("'a b': {}\n", "is no name of an account")
	f("12: {}\n", "in quotation marks if it is a number")
	f("ann\n", "expected accounts of the form")
	f("ann: 1\n", "expected the keys of the account")
	f(ok+"---\n"+ok, "a second document")
	f("ann:\n\troot: /x\n", "users.yaml:2: a tab")
	f("ann: [\n", "this is no YAML")
	f("ann:\n  root: \"\xff\"\n", "users.yaml:2: it is not UTF-8")
}

func TestAccountIsReadAsItStands(t *testing.T) {
	_, line := newKey(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "more"), "# keys of ann\n\n"+line+"\n")
	text := `# the lab
ann:
  password: '` + hashed(t, "correct horse") + `'
  keys: ['from="10.0.0.0/8",restrict ` + line + `']
  keys_file: more
  root: /srv/ann
  permissions: [read, list, create]
  paths:
    /incoming/**: [create, list]
    /**/*.key: []
  allow: [private, 203.0.113.0/24]
  quota: {bytes: 10GiB, files: 1000}
  bandwidth: {up: 1MiB, down: 2MiB}
  logins: 3
  tls_reuse: false
  until: 2027-01-31T18:00:00Z
anonymous: {root: /srv/pub}
`
	got, err := parse(filepath.Join(dir, "users.yaml"), []byte(text), os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	a := got["ann"]
	if a.Root != "/srv/ann" || a.Rights != Read|List|Create || len(a.keys) != 2 || a.QuotaBytes != 10<<30 || a.QuotaFiles != 1000 ||
		a.Up != 1<<20 || a.Down != 2<<20 || a.Logins != 3 || a.TLSReuse || a.Until.Year() != 2027 || !a.HasPassword() || a.Allow.String() != "private 203.0.113.0/24" {
		t.Errorf("%+v", a)
	}
	for path, want := range map[string]Right{
		"": Read | List | Create, "x": Read | List | Create, "incoming": Create | List, "incoming/a/b": Create | List, "incoming/a.key": Create | List,
		"a/b/x.key": 0, "x.key": 0, "x.keys": Read | List | Create,
	} {
		for r := Read; r <= List; r <<= 1 {
			if a.May(path, r) != (want&r != 0) {
				t.Errorf("%q: %s is %v", path, r, a.May(path, r))
			}
		}
	}
	if p := got["anonymous"]; !p.Anonymous() || p.Rights != Read|List || !p.TLSReuse {
		t.Errorf("%+v", p)
	}
}

func TestPasswordOpensAndTheRefusalsSayWhy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users.yaml")
	_, line := newKey(t)
	write(t, file, fmt.Sprintf(`
ann: {password: %q}
far: {password: %q, allow: 203.0.113.0/24}
old: {password: %[1]q, until: 2020-01-01T00:00:00Z}
one: {password: %[1]q, logins: 1}
key: {keys: [%[3]q]}
anonymous: {}
`, hashed(t, "correct horse"), hashed(t, "correct horse"), line))
	b, err := Open(Config{File: file, Never: never(t), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	f := func(name, pass string, reason tallyman.Reason, words string) {
		t.Helper()
		l, err := b.Password(t.Context(), name, pass, lan)
		if reason == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			l.Close()
			l.Close()
			return
		}
		refused(t, err, reason, words)
	}
	f("ann", "correct horse", "", "")
	f("ann", "correct horse", "", "") // from memory
	f("ann", "wrong horse", tallyman.LoginFailed, "ann: wrong password")
	f("bob", "correct horse", tallyman.LoginFailed, "bob: there is no such account")
	f("key", "", tallyman.LoginFailed, "the account has no password")
	f("far", "correct horse", tallyman.NotAllowed, "10.20.0.7 is not in the allow list of far")
	f("old", "correct horse", tallyman.LoginFailed, "the account ended at 2020")
	f("anonymous", "me@example.net", "", "")
	f("\x1b[2J", "x", tallyman.LoginFailed, `\x1b[2J: there is no such account`)
	f("one", "correct horse", "", "")
	l, err := b.Password(t.Context(), "one", "correct horse", lan)
	if err != nil {
		t.Fatal(err)
	}
	f("one", "correct horse", tallyman.RateLimited, "logged in 1 times")
	l.Close()
	f("one", "correct horse", "", "")
	if n := b.Logins(); len(n) != 0 {
		t.Errorf("still in: %v", n)
	}
}

func TestKeysAndCertificatesOpen(t *testing.T) {
	mine, line := newKey(t)
	other, _ := newKey(t)
	ca, caLine := newKey(t)
	site, _ := newKey(t)
	file := filepath.Join(t.TempDir(), "users.yaml")
	write(t, file, fmt.Sprintf("ann:\n  keys: ['%s', 'cert-authority,principals=\"ops\" %s']\nbob:\n  keys: ['from=\"192.0.2.0/24\" %s']\n", line, caLine, line))
	b, err := Open(Config{File: file, Never: never(t), Authorities: []ssh.PublicKey{site.PublicKey()}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	cert := func(by ssh.Signer, change func(*ssh.Certificate), principals ...string) ssh.PublicKey {
		c := &ssh.Certificate{Key: other.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: principals, ValidBefore: ssh.CertTimeInfinity}
		if change != nil {
			change(c)
		}
		if err := c.SignCert(rand.Reader, by); err != nil {
			t.Fatal(err)
		}
		return c
	}
	f := func(name string, k ssh.PublicKey, why string) {
		t.Helper()
		if err := b.Offered(name, k, lan); (err == nil) != (why == "") {
			t.Errorf("offered: %v", err)
		}
		l, err := b.Key(t.Context(), name, k, lan)
		if why == "" {
			if err != nil {
				t.Error(err)
				return
			}
			l.Close()
			return
		}
		refused(t, err, tallyman.LoginFailed, why)
	}
	f("ann", mine.PublicKey(), "")
	f("ann", other.PublicKey(), "no key of the account")
	f("bob", mine.PublicKey(), "no key of the account") // from elsewhere
	f("eve", mine.PublicKey(), "no such account")
	f("ann", ca.PublicKey(), "no key of the account") // a CA is no key
	f("ann", cert(ca, nil, "ops"), "")
	f("ann", cert(ca, nil, "ann"), "does not name the account")
	f("bob", cert(ca, nil, "ops"), "nobody here trusts")
	f("bob", cert(site, nil, "ann", "bob"), "")
	f("bob", cert(site, nil), "does not name the account") // none is not all
	f("bob", cert(site, func(c *ssh.Certificate) { c.ValidBefore = 1 }, "bob"), "expired")
	f("bob", cert(site, func(c *ssh.Certificate) { c.CertType = ssh.HostCert }, "bob"), "none of a user")
	f("bob", cert(site, func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"force-command": "sh"} }, "bob"), "another command")
	f("bob", cert(site, func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"verify-required": ""} }, "bob"), "verify-required")
	f("bob", cert(site, func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"force-command": "internal-sftp"} }, "bob"), "")
}

func TestChangeIsInForceWithoutARestartAndAFaultIsNot(t *testing.T) {
	b, file := open(t, "ann: {password: '"+hashed(t, "old password")+"'}\n")
	in := func(pass string) bool {
		b.mu.Lock()
		b.looked = time.Time{} // a second has passed
		b.mu.Unlock()
		l, err := b.Password(t.Context(), "ann", pass, netip.AddrFrom4([4]byte{10, 0, 0, byte(len(pass))}))
		if err == nil {
			l.Close()
		}
		return err == nil
	}
	for range 2 { // the second time from memory
		if !in("old password") {
			t.Fatal("the old password does not open")
		}
	}
	write(t, file, "ann: {password: '"+hashed(t, "a new password")+"'}\n")
	if in("old password") {
		t.Error("the old password is remembered")
	}
	if !in("a new password") {
		t.Error("the new password does not open")
	}
	write(t, file, "ann: {pass: x}\n")
	if !in("a new password") {
		t.Error("a fault in the file locks everybody out")
	}
	if err := b.Reload(); err == nil || !strings.Contains(err.Error(), "stay in force") {
		t.Errorf("reload: %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if in("a new password") {
		t.Error("an account without a file opens")
	}
}

func TestFileThatOthersMayReadIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users.yaml")
	write(t, file, "")
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{File: file}); err == nil || !strings.Contains(err.Error(), "chmod o=") {
		t.Errorf("got %v", err)
	}
}

func TestGuesserWaitsAndIsBannedButNotFromATrustedNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := open(t, "ann: {password: '"+hashed(t, "correct horse")+"'}\n")
		begun, banned := time.Now(), false
		for range 12 {
			_, err := b.Password(t.Context(), "ann", "guess", lan)
			if r, ok := errors.AsType[*Refusal](err); ok && r.Reason == tallyman.RateLimited {
				banned = true
			}
		}
		if took := time.Since(begun); took < 45*time.Second || !banned || b.Bans() != 1 {
			t.Errorf("12 guesses take %v, banned %v, %d bans", took, banned, b.Bans())
		}
		_, err := b.Password(t.Context(), "ann", "correct horse", lan)
		refused(t, err, tallyman.RateLimited, "10.20.0.7 failed too often")
		if l, err := b.Password(t.Context(), "ann", "correct horse", netip.MustParseAddr("10.20.0.8")); err != nil {
			t.Errorf("a neighbour: %v", err)
		} else {
			l.Close()
		}
		b.cfg.Never = never(t)
		begun = time.Now()
		for range 30 {
			_, err := b.Password(t.Context(), "ann", "guess", lan)
			refused(t, err, tallyman.LoginFailed, "wrong")
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("from a trusted network 30 guesses wait %v", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		b.cfg.Never = acl.List{}
		b.guard.Failed(netip.MustParseAddr("10.9.9.9"), "x", time.Now())
		if _, err := b.Password(ctx, "ann", "guess", netip.MustParseAddr("10.9.9.9")); !errors.Is(err, context.Canceled) {
			t.Errorf("who went away: %v", err)
		}
	})
}

// processor is how much processor time this process has used: what others do meanwhile does not count.
func processor(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestRightWrongAndUnknownCostTheSame compares medians of the processor's time, with hashes of the usual cost. A right password is tried by a book that has
// not seen it before.
func TestRightWrongAndUnknownCostTheSame(t *testing.T) {
	hash, err := password.Hash("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "users.yaml")
	write(t, file, "ann: {password: '"+hash+"'}\n")
	var took [3][]time.Duration
	for range 11 {
		for i, try := range [][2]string{{"ann", "correct horse"}, {"ann", "wrong horse!!"}, {"bob", "correct horse"}} {
			b, err := Open(Config{File: file, Never: never(t), Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			began := processor(t)
			l, err := b.Password(t.Context(), try[0], try[1], lan)
			took[i] = append(took[i], processor(t)-began)
			if err == nil {
				l.Close()
			}
		}
	}
	var medians [3]time.Duration
	for i := range took {
		slices.Sort(took[i])
		medians[i] = took[i][len(took[i])/2]
	}
	t.Logf("right %v, wrong %v, unknown %v", medians[0], medians[1], medians[2])
	if least, most := min(medians[0], medians[1], medians[2]), max(medians[0], medians[1], medians[2]); most > 2*least {
		t.Errorf("right %v, wrong %v, unknown %v", medians[0], medians[1], medians[2])
	}
	b, err := Open(Config{File: file, Never: never(t), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	again := func() time.Duration {
		began := processor(t)
		l, err := b.Password(t.Context(), "ann", "correct horse", lan)
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		return processor(t) - began
	}
	if first, second := again(), again(); second > first/5 {
		t.Errorf("the first login takes %v, the second %v", first, second)
	}
}

func TestUnknownNameCostsWhatSomeAccountCosts(t *testing.T) {
	b, _ := open(t, "ann: {password: '"+hashed(t, "correct horse")+"'}\n")
	e := b.current(time.Now())
	if d := b.decoy(e, "bob"); d != e.accounts["ann"].password || d != b.decoy(e, "bob") {
		t.Errorf("decoy %q", d)
	}
	if l, err := b.Password(t.Context(), "bob", "correct horse", lan); err == nil {
		l.Close()
		t.Error("the password of another account opens an unknown one")
	}
}

func TestManyMayLogInAtOnce(t *testing.T) {
	b, file := open(t, "ann: {password: '"+hashed(t, "correct horse")+"', bandwidth: {up: 1GiB}}\n")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			l, err := b.Password(t.Context(), "ann", "correct horse", netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(l.Up(t.Context(), 3<<20), l.Down(t.Context(), 1), b.Reload()); err != nil {
				t.Error(err)
			}
			l.Close()
			_, _ = b.Logins(), file
		})
	}
	all.Wait()
}
