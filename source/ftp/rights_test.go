package ftp

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/ftp/engine"
	"tallyman/tree"
	"tallyman/user"
)

// book is the accounts of a file, in a folder.
type book struct {
	*user.Book
	tree *tree.Tree
}

func (b *book) Login(ctx context.Context, name, password string, from netip.Addr, _ bool) (Account, error) {
	l, err := b.Password(ctx, name, password, from)
	if err != nil {
		if r, ok := errors.AsType[*user.Refusal](err); ok {
			return Account{}, &Refusal{Reason: r.Reason, Text: r.Text}
		}
		return Account{}, err
	}
	return AccountOf(l, b.tree, tree.NewDigests(10), func() Policy { return Policy{Write: true, Mode: tree.Overwrite} }), nil
}

// secretHash is that of "secret" (bcrypt, the lowest cost).
const secretHash = `"$2a$04$NigW76yVvoEN17Y1TkkvVOxhVRiqne9jm0RaLD1eKjEa7fDgGFG12"`

// withAccounts serves accounts of a file.
func withAccounts(t *testing.T, text string) *rig {
	t.Helper()
	return withAccountsAnd(t, text, nil)
}

func withAccountsAnd(t *testing.T, text string, change func(*Config)) *rig {
	t.Helper()
	file := filepath.Join(t.TempDir(), "users.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "HASH", secretHash)), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := user.Open(user.Config{File: file, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	r := serveTo(t, change, func(t *tree.Tree) Accounts { return &book{b, t} })
	r.book, r.users = b, file
	return r
}

func TestAnAccountMayDoWhatItsPathsSay(t *testing.T) {
	r := withAccounts(t, `
reader: {password: HASH}
dropper: {password: HASH, permissions: [create]}
mixed:
  password: HASH
  permissions: all
  paths: {"/closed/**": [], "/fixed/**": [read, list]}
`[1:])
	r.put("f", "the old file")
	r.put("closed/f", "secret")
	r.put("fixed/f", "fixed")
	for link, to := range map[string]string{"around": "closed", "file": "closed/f"} {
		if err := os.Symlink(to, filepath.Join(r.root, link)); err != nil {
			t.Fatal(err)
		}
	}
	denied := func(c *client, line string, code int) {
		t.Helper()
		if strings.HasPrefix(line, "RETR") || strings.HasPrefix(line, "STOR") || strings.HasPrefix(line, "APPE") || strings.HasPrefix(line, "LIST") {
			c.passive()
		}
		c.cmd(code, line)
	}
	c := r.dial()
	c.as("reader")
	if got := c.get("RETR f"); got != "the old file" {
		t.Error(got)
	}
	for _, line := range []string{"STOR f", "STOR new", "APPE f", "DELE f", "MKD d", "RMD closed", "SITE CHMOD 600 f", "MFMT 20010203040506 f"} {
		denied(c, line, 550)
	}
	c.cmd(350, "RNFR f")
	c.cmd(553, "RNTO g")
	c = r.dial()
	c.as("dropper")
	if code := c.put("STOR new", "x"); code != 226 {
		t.Error(code)
	}
	for _, line := range []string{"STOR new", "STOR f", "APPE f", "RETR f", "LIST", "DELE new"} {
		denied(c, line, 550)
	}
	if code := c.put("STOU f", "unique"); code != 226 {
		t.Error(code)
	}
	if got, _ := r.holds("f.1"); got != "unique" {
		t.Error(got)
	}
	c = r.dial()
	c.as("mixed")
	for _, line := range []string{"RETR closed/f", "RETR around/f", "RETR file", "STOR closed/f", "STOR around/new", "LIST closed", "LIST around", "DELE around/f", "STOR fixed/f", "APPE fixed/f", "DELE fixed/f", "MKD fixed/d"} {
		denied(c, line, 550)
	}
	if got := c.get("RETR fixed/f"); got != "fixed" {
		t.Error(got)
	}
	c.cmd(350, "RNFR f")
	c.cmd(553, "RNTO around/f")
	if e := r.rec.ended(t, "fixed/f"); e.Reason != tallyman.Policy || !strings.Contains(e.Err, "lacks the right") {
		t.Errorf("%+v", e)
	}
	if got, _ := r.holds("closed/f"); got != "secret" {
		t.Error(got)
	}
	r.clean()
}

func TestAQuotaEndsAnUploadAndIsGivenBack(t *testing.T) {
	r := withAccounts(t, "small: {password: HASH, permissions: all, quota: {bytes: 100KiB, files: 3}}\n")
	c := r.dial()
	c.as("small")
	if got := c.cmd(213, "AVBL"); got != "213 102400\r\n" {
		t.Error(got)
	}
	if code := c.put("STOR a", strings.Repeat("x", 60<<10)); code != 226 {
		t.Fatal(code)
	}
	if code := c.put("STOR b", strings.Repeat("x", 60<<10)); code != 552 {
		t.Fatal(code)
	}
	if e := r.rec.ended(t, "b"); e.Reason != tallyman.Quota {
		t.Errorf("%+v", e)
	}
	if got := c.cmd(213, "AVBL /"); got != "213 40960\r\n" {
		t.Error(got)
	}
	if code := c.put("STOR b", strings.Repeat("x", 30<<10)); code != 226 {
		t.Fatal(code)
	}
	if code := c.put("STOR c", ""); code != 226 {
		t.Fatal(code)
	}
	if got := c.cmd(213, "AVBL"); got != "213 0\r\n" { // no file more
		t.Error(got)
	}
	c.cmd(550, "AVBL none")
	c.passive()
	c.cmd(552, "STOR d")
	c.cmd(250, "DELE a")
	if code := c.put("STOR d", strings.Repeat("x", 60<<10)); code != 226 {
		t.Fatal(code)
	}
	r.clean()
}

func TestWrongLoginsAreToldAndEndTheConnection(t *testing.T) {
	r := withAccounts(t, "ann: {password: HASH}\n")
	c := r.dial()
	c.cmd(331, "USER ann")
	c.cmd(530, "PASS wrong")
	c.cmd(331, "USER nobody")
	c.cmd(530, "PASS wrong") // half a second later
	c.cmd(331, "USER ann")
	c.cmd(421, "PASS wrong")
	if e := r.rec.event(t, tallyman.KindLoginFailed, tallyman.LoginFailed); e.User != "ann" || strings.Contains(e.Err, "PASS") {
		t.Errorf("%+v", e)
	}
	if n := r.Counts().Wrong; n != 3 {
		t.Errorf("%d wrong logins are counted", n)
	}
}

func TestTextIsConvertedAndHasNoDigestThen(t *testing.T) {
	r := serve(t, nil)
	c := r.login()
	c.cmd(200, "TYPE A")
	if code := c.put("STOR f", "one\r\ntwo\r\n"); code != 226 {
		t.Fatal(code)
	}
	if got, _ := r.holds("f"); got != "one\ntwo\n" {
		t.Errorf("%q", got)
	}
	if got := c.get("RETR f"); got != "one\r\ntwo\r\n" {
		t.Errorf("%q", got)
	}
	c.cmd(200, "NOOP")
	e := r.rec.ended(t, "f")
	if e.Moved != 10 || e.Size != 8 || e.Digest != "" || !strings.Contains(e.Details, `"mode":"netascii"`) {
		t.Errorf("%+v", e)
	}
}

func TestAllocationIsComparedWithWhatCame(t *testing.T) {
	r := serve(t, nil)
	c := r.login()
	f := func(allo string, content string, expected int64) {
		t.Helper()
		r.rec.forget()
		c.cmd(200, "ALLO "+allo)
		if code := c.put("STOR f", content); code != 226 {
			t.Fatal(code)
		}
		c.cmd(200, "NOOP")
		if e := r.rec.ended(t, "f"); e.Expected != expected {
			t.Errorf("ALLO %s: %+v", allo, e)
		}
	}
	f("10", "12345", 10) // the join says contradicted
	f("5", "12345", 5)
	f("3", "12345", -1) // a reservation that was too small says nothing
}

func TestAHundredClientsTransferAtOnce(t *testing.T) {
	r := serve(t, func(c *Config) { withTLS(engine.Explicit)(c); c.PerAddress = 200 })
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			c := r.dial()
			name, content := fmt.Sprint("f", i), string(noise(100_000+i))
			if i%2 == 0 {
				c.as("tally")
				if code := c.put("STOR "+name, content); code != 226 {
					t.Errorf("%s: %d", name, code)
				}
				if got := c.get("RETR " + name); got != content {
					t.Errorf("%s: other content", name)
				}
			} else {
				c.secure(clientTLS(0))
				c.private("tally")
				d, _ := c.dataTLS("STOR "+name, c.tls)
				_, _ = d.Write([]byte(content))
				_ = d.Close()
				c.want(226)
			}
			c.cmd(221, "QUIT")
			e := r.rec.ended(t, name)
			if want := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(content))); string(e.Digest) != want || e.Reason.Verdict() != tallyman.Complete {
				t.Errorf("%+v", e)
			}
		})
	}
	wg.Wait()
	r.clean()
}

func TestTooManyAndStrangersAreTurnedAwayAndTold(t *testing.T) {
	r := serve(t, func(c *Config) { c.PerAddress = 2 })
	first, second := r.dial(), r.dial()
	c := connect(t, r.addr)
	c.want(421)
	if e := r.rec.event(t, tallyman.KindCommandRefused, tallyman.RateLimited); !strings.Contains(e.Err, "2 sessions already") {
		t.Errorf("%+v", e)
	}
	first.cmd(221, "QUIT")
	for r.Counts().Now > 1 {
	}
	r.dial()
	second.cmd(200, "NOOP")
	r.shut.Store(true)
	connect(t, r.addr).want(421)
	if e := r.rec.event(t, tallyman.KindCommandRefused, tallyman.NotAllowed); !strings.Contains(e.Err, "serve.ftp.allow") {
		t.Errorf("%+v", e)
	}
}

func TestStopLetsTransfersEndAndThenEndsThem(t *testing.T) {
	r := serve(t, func(c *Config) { c.Drain = 2 * time.Second })
	idle := r.login()
	c, d := r.upload("f")
	slow, _ := r.upload("g")
	r.stop()
	idle.want(421)
	_, _ = d.Write([]byte("the rest"))
	_ = d.Close()
	c.want(226)
	c.want(421)
	slow.want(426)
	slow.want(421)
	if e := r.rec.ended(t, "g"); e.Reason != tallyman.Shutdown {
		t.Errorf("%+v", e)
	}
	if e := r.rec.ended(t, "f"); e.Reason != tallyman.ReplyAcknowledged {
		t.Errorf("%+v", e)
	}
	r.old("g")
}

func TestALineThatIsTooLongEndsTheSession(t *testing.T) {
	r := serve(t, nil)
	c := r.login()
	c.send("STOR " + strings.Repeat("a", 20_000))
	c.want(500)
	c = r.login()
	c.cmd(501, "STOR a\x00b")
	c.cmd(501, "STOR a\rb")
	c.cmd(553, "STOR ../../etc/passwd")
	c.cmd(502, "CCC")
	c.cmd(502, "SITE2 x")
	c.cmd(504, "SITE EXEC x")
	if got := c.cmd(211, "FEAT"); strings.Contains(got, "AUTH") || !strings.Contains(got, "\r\n MLST type*;size*;") {
		t.Error(got)
	}
}

// Whoever is lost while his login waits has not entered.
func TestALoginThatNobodyWaitsForIsGivenUp(t *testing.T) {
	closed := make(chan string, 2)
	r := serveTo(t, nil, func(*tree.Tree) Accounts { return waiting{closed} })
	c := r.dial()
	c.cmd(331, "USER late")
	c.send("PASS x")
	_ = c.tcp.Close()
	if got := <-closed; got != "given up" {
		t.Error(got)
	}
	if got := <-closed; got != "closed" {
		t.Error(got)
	}
}

// waiting lets everybody in, once nobody waits for it any more.
type waiting struct{ closed chan string }

func (w waiting) Login(ctx context.Context, user, _ string, _ netip.Addr, _ bool) (Account, error) {
	<-ctx.Done()
	w.closed <- "given up"
	return Account{Name: user, Close: func() { w.closed <- "closed" }}, nil
}
