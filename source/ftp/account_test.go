package ftp

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tallyman/source/ftp/engine"
)

// Who may not read a folder may not rename the one above it either: what lies there would have the permissions of another place.
func TestAFolderWithOtherPermissionsBelowIsNotRenamed(t *testing.T) {
	r := withAccounts(t, "ann: {password: HASH, permissions: all, paths: {\"/a/closed/**\": [], \"/b/closed/**\": []}}\n")
	r.put("a/closed/f", "secret")
	r.put("d/closed/f", "open")
	if err := os.Symlink("a", filepath.Join(r.root, "around")); err != nil {
		t.Fatal(err)
	}
	r.put("a/sub/f", "open")
	c := r.dial()
	c.as("ann")
	f := func(from, to string, code int) {
		t.Helper()
		c.cmd(350, "RNFR "+from)
		c.cmd(code, "RNTO "+to)
	}
	f("a", "mine", 553)
	f("d", "b", 553) // and then what is in it could not be read any more
	f("d", "mine", 250)
	f("around/sub", "sub", 250)
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

// withAccountsTLS serves them with TLS.
func withAccountsTLS(t *testing.T, text string) *rig {
	t.Helper()
	return withAccountsAnd(t, text, withTLS(engine.Explicit))
}
