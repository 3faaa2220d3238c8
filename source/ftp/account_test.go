package ftp

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"tallyman/source/ftp/engine"
)

// Who may not read a folder may not rename the one above it either: what lies there would have the permissions of another place.
func TestAFolderWithOtherPermissionsBelowIsNotRenamed(t *testing.T) {
	r := withAccounts(t, "ann: {password: HASH, permissions: all, paths: {\"/a/closed/**\": [], \"/a/c/closed/**\": [], \"/b/closed/**\": [], \"/*/*/hidden/**\": []}}\n")
	r.put("a/closed/f", "secret")
	r.put("d/closed/f", "open")
	if err := os.Symlink("a", filepath.Join(r.root, "around")); err != nil {
		t.Fatal(err)
	}
	r.put("a/sub/f", "open")
	r.put("file", "open")
	r.put("a/c/closed/f", "secret")
	c := r.dial()
	c.as("ann")
	f := func(from, to string, code int) {
		t.Helper()
		c.cmd(350, "RNFR "+from)
		c.cmd(code, "RNTO "+to)
	}
	f("a", "mine", 553)
	f("around/c", "mine", 553)
	f("d", "b", 553)    // and then what is in it could not be read any more
	f("d", "mine", 553) // it may hold a d/x/hidden
	f("file", "other", 250)
	f("around/sub", "around/other/sub", 553) // no such folder
	f("around/sub/f", "around/g", 250)
	if got, _ := r.holds("a/closed/f"); got != "secret" {
		t.Errorf("%q", got)
	}
}

// Whoever begins TLS when he is logged in is logged in no more (RFC 4217, 4): his place is free.
func TestALoginEndsWhereTLSBegins(t *testing.T) {
	r := withAccountsTLS(t, "ann: {password: HASH, permissions: all, logins: 1}\n")
	for range 3 {
		c := r.dial()
		c.as("ann")
		c.secure(clientTLS(0))
		c.cmd(530, "PWD")
		c.as("ann")
		c.cmd(221, "QUIT")
		for n := uint64(1); n > 0; n = r.Counts().Now {
		}
	}
}

// A quota counts what lies there, however often its names come and go.
func TestAQuotaIsNotWonByNames(t *testing.T) {
	r := withAccounts(t, "small: {password: HASH, permissions: all, quota: {bytes: 100KiB}}\n")
	c := r.dial()
	c.as("small")
	if code := c.put("STOR a", strings.Repeat("x", 90<<10)); code != 226 {
		t.Fatal(code)
	}
	// A link is not what it leads to.
	if err := os.Symlink("a", filepath.Join(r.root, "link")); err != nil {
		t.Fatal(err)
	}
	c.cmd(250, "DELE link")
	if code := c.put("STOR b", strings.Repeat("x", 90<<10)); code != 552 {
		t.Errorf("a removed link gave room: %d", code)
	}
	// Of two uploads onto one file, only one replaces it.
	one, two := r.dial(), r.dial()
	one.as("small")
	two.as("small")
	d1, d2 := one.data(), two.data()
	one.cmd(150, "STOR a")
	two.cmd(150, "STOR a")
	_, _ = d1.Write([]byte("1"))
	_ = d1.Close()
	one.want(226)
	_, _ = d2.Write([]byte("2"))
	_ = d2.Close()
	two.want(226)
	if code := c.put("STOR b", strings.Repeat("x", 150<<10)); code != 552 {
		t.Errorf("two uploads onto one file gave its room twice: %d", code)
	}
	if code := c.put("STOR b", strings.Repeat("x", 90<<10)); code != 226 {
		t.Errorf("the room of the file that was replaced is not free: %d", code)
	}
	c.cmd(350, "RNFR b")
	c.cmd(250, "RNTO a")
	if code := c.put("STOR b", strings.Repeat("x", 11<<10)); code != 552 {
		t.Errorf("a rename gave room: %d", code)
	}
	r.clean()
}

// The file of accounts may change, break and vanish while sessions run: who is logged in goes on as he entered, who comes meets the file.
func TestAccountsChangeWhileSessionsRun(t *testing.T) {
	r := withAccounts(t, "ann: {password: HASH, permissions: all, logins: 2}\n")
	c, d := r.dial(), (*net.TCPConn)(nil)
	c.as("ann")
	d = c.data()
	c.cmd(150, "STOR f")
	_, _ = d.Write([]byte("first half, "))
	rewrite := func(text string) error {
		t.Helper()
		if err := os.WriteFile(r.users, []byte(strings.ReplaceAll(text, "HASH", secretHash)), 0o600); err != nil {
			t.Fatal(err)
		}
		return r.book.Reload()
	}
	if err := rewrite("ann: {password: HASH}\nben: {password: HASH}\n"); err != nil {
		t.Error(err)
	}
	other := r.dial()
	other.as("ben")
	reader := r.dial()
	reader.as("ann")
	reader.cmd(550, "MKD d") // it may only read now
	if err := rewrite("ann: {password: HASH, permission: all}\n"); err == nil || !strings.Contains(err.Error(), "old accounts stay in force") {
		t.Error(err)
	}
	again := r.dial()
	again.as("ben") // as the last good file says
	if err := os.Remove(r.users); err != nil {
		t.Fatal(err)
	}
	if err := r.book.Reload(); err != nil {
		t.Error(err)
	}
	late := r.dial()
	late.cmd(331, "USER ben")
	late.cmd(530, "PASS secret")
	_, _ = d.Write([]byte("second half"))
	_ = d.Close()
	c.want(226)
	if got, _ := r.holds("f"); got != "first half, second half" {
		t.Errorf("%q", got)
	}
	c.cmd(221, "QUIT")
}

// Five hundred come at once: all are let in, all that they send stands, and none of their places stays taken.
func TestFiveHundredLoginsAtOnce(t *testing.T) {
	r := withAccountsAnd(t, "ann: {password: HASH, permissions: all, logins: 500}\n", func(c *Config) { c.PerAddress = 500 })
	before := runtime.NumGoroutine()
	var in, all sync.WaitGroup
	in.Add(500)
	for i := range 500 {
		all.Go(func() {
			c := r.dial()
			_ = c.tcp.SetDeadline(time.Now().Add(3 * patience)) // 500 passwords are hashed under the race detector
			c.as("ann")
			in.Done()
			in.Wait() // all are logged in
			name := fmt.Sprint("f", i)
			if code := c.put("STOR "+name, name); code != 226 {
				t.Errorf("%s: %d", name, code)
			}
			c.cmd(221, "QUIT")
		})
	}
	all.Wait()
	for i := range 500 {
		if got, _ := r.holds(fmt.Sprint("f", i)); got != fmt.Sprint("f", i) {
			t.Errorf("f%d holds %q", i, got)
		}
	}
	for late := time.Now().Add(patience); len(r.book.Logins()) > 0 || r.Counts().Now > 0 || runtime.NumGoroutine() > before+2; runtime.Gosched() {
		if time.Now().After(late) {
			t.Fatalf("%v are logged in, %d sessions run, %d goroutines more than before", r.book.Logins(), r.Counts().Now, runtime.NumGoroutine()-before)
		}
	}
	r.clean()
}

// Two accounts with one root share what lies there, and each is held to its own quota, also while both upload at once.
func TestAccountsOfOneRootAreHeldToTheirOwnQuota(t *testing.T) {
	r := withAccounts(t, "small: {password: HASH, permissions: all, quota: {bytes: 100KiB}}\nlarge: {password: HASH, permissions: all, quota: {bytes: 200KiB}}\n")
	small, large := r.dial(), r.dial()
	small.as("small")
	large.as("large")
	d := large.data()
	large.cmd(150, "STOR a")
	_, _ = d.Write(make([]byte, 90<<10))
	for u := ""; u == ""; { // it has come
		all, _ := os.ReadDir(r.root)
		for _, e := range all {
			if i, err := e.Info(); err == nil && i.Size() == 90<<10 {
				u = e.Name()
			}
		}
	}
	if code := small.put("STOR b", strings.Repeat("x", 20<<10)); code != 552 {
		t.Errorf("what another one uploads into the root does not count: %d", code)
	}
	_, _ = d.Write(make([]byte, 60<<10))
	_ = d.Close()
	large.want(226)
	if code := large.put("STOR c", strings.Repeat("x", 60<<10)); code != 552 {
		t.Errorf("beyond its own quota: %d", code)
	}
	if code := large.put("STOR c", strings.Repeat("x", 40<<10)); code != 226 {
		t.Errorf("within its own quota: %d", code)
	}
	r.clean()
}

// withAccountsTLS serves them with TLS.
func withAccountsTLS(t *testing.T, text string) *rig {
	t.Helper()
	return withAccountsAnd(t, text, withTLS(engine.Explicit))
}
