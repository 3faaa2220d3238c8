package account

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func openBook(t *testing.T, state string) *Book {
	t.Helper()
	b, err := Open(state)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPasswordIsCheckedAgainAfterARestart(t *testing.T) {
	state := t.TempDir()
	b := openBook(t, state)
	if b.Locked() {
		t.Error("a new book is locked")
	}
	if err := b.SetPassword("ann", Operator, "correct horse"); err != nil {
		t.Fatal(err)
	}
	b = openBook(t, state)
	for _, c := range []struct {
		name, password string
		want           bool
	}{{"ann", "correct horse", true}, {"ann", "wrong horse!", false}, {"bob", "correct horse", false}, {"ann", "", false}} {
		if got := b.Check(c.name, c.password); got != c.want {
			t.Errorf("Check(%q, %q) = %v", c.name, c.password, got)
		}
	}
	if !b.Locked() {
		t.Error("a book with a password is not locked")
	}
}

func TestFileHoldsNoSecretAndIsClosedToOthers(t *testing.T) {
	state := t.TempDir()
	b := openBook(t, state)
	if err := b.SetPassword("ann", Admin, "canary-password"); err != nil {
		t.Fatal(err)
	}
	token, err := b.AddToken("grafana", Viewer, now)
	if err != nil {
		t.Fatal(err)
	}
	cookie, err := b.Begin("ann", now)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(state, File)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"canary-password", token, cookie} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the file holds %q", secret)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if files, _ := os.ReadDir(state); len(files) != 1 {
		t.Errorf("temporary files stay: %v", files)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(state); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others may read: %v", err)
	}
}

func TestSpoiltFileIsNamedAndNotReplaced(t *testing.T) {
	state := t.TempDir()
	path := filepath.Join(state, File)
	if err := os.WriteFile(path, []byte(`{"accounts":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(state); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestSessionEndsByTimeByLogoutAndByNewPassword(t *testing.T) {
	b := openBook(t, t.TempDir())
	begin := func() string {
		t.Helper()
		cookie, err := b.Begin("admin", now)
		if err != nil {
			t.Fatal(err)
		}
		return cookie
	}
	has := func(cookie string, at time.Time) bool {
		_, _, ok := b.OfSession(cookie, at)
		return ok
	}
	cookie := begin()
	if who, password, ok := b.OfSession(cookie, now); !ok || password || who != (Person{"admin", Admin}) {
		t.Errorf("a fresh session is of %v, %v, %v", who, password, ok)
	}
	if has(cookie, now.Add(SessionLife)) {
		t.Error("a session lives on after its time")
	}
	if has("guess", now) || has("", now) {
		t.Error("a cookie that was never given opens a session")
	}
	other := begin()
	if err := b.End(cookie); err != nil || has(cookie, now) || !has(other, now) {
		t.Errorf("logout: %v, %v, %v", err, has(cookie, now), has(other, now))
	}
	if err := b.SetPassword("admin", Admin, "correct horse"); err != nil || has(other, now) {
		t.Errorf("a new password leaves a session open: %v", err)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	b := openBook(t, t.TempDir())
	first, err := b.Begin("admin", now)
	if err != nil {
		t.Fatal(err)
	}
	for range mostSessions {
		if _, err := b.Begin("admin", now); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, ok := b.OfSession(first, now); ok || len(b.kept.Sessions) != mostSessions {
		t.Errorf("%d sessions, the oldest is there: %v", len(b.kept.Sessions), ok)
	}
}

func TestTokenIsGoodUntilItIsRemoved(t *testing.T) {
	b := openBook(t, t.TempDir())
	token, err := b.AddToken("grafana", Viewer, now)
	if err != nil {
		t.Fatal(err)
	}
	if who, ok := b.OfToken(token); !ok || who != (Person{"grafana", Viewer}) {
		t.Errorf("got %v, %v", who, ok)
	}
	second, err := b.AddToken("grafana", Viewer, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := b.OfToken(token); ok {
		t.Error("a replaced token is still good")
	}
	if there, err := b.Remove("grafana"); !there || err != nil {
		t.Errorf("remove: %v, %v", there, err)
	}
	if _, ok := b.OfToken(second); ok {
		t.Error("a removed token is still good")
	}
	if there, err := b.Remove("grafana"); there || err != nil {
		t.Errorf("remove twice: %v, %v", there, err)
	}
}

func TestBadNamesRolesAndPasswordsAreRefused(t *testing.T) {
	b := openBook(t, t.TempDir())
	for _, c := range []struct {
		name, password string
		role           Role
		want           string
	}{
		{"", "correct horse", Viewer, "is no name"},
		{"a\nb", "correct horse", Viewer, `\n`},
		{"ann", "short", Viewer, "take 10 to 256"},
		{"ann", strings.Repeat("x", 257), Viewer, "take 10 to 256"},
		{"ann", "correct horse", "root", "is no role"},
	} {
		if err := b.SetPassword(c.name, c.role, c.password); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("SetPassword(%q, %q, %q): %v", c.name, c.role, c.password, err)
		}
	}
}

func TestHashThatCannotBeReadOrCostsTooMuchFitsNothing(t *testing.T) {
	good, err := hashPassword("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if !passwordFits(good, "correct horse") {
		t.Error("the right password does not fit")
	}
	for _, hash := range []string{
		"", "$", "plain", strings.Replace(good, "argon2id", "argon2i", 1), strings.Replace(good, "m=19456", "m=99999999", 1),
		strings.Replace(good, "t=2", "t=0", 1), strings.Replace(good, "t=2", "t=4000000", 1), strings.Replace(good, "p=1", "p=0", 1), good[:len(good)-30],
	} {
		if passwordFits(hash, "correct horse") {
			t.Errorf("%q fits", hash)
		}
	}
}

func TestManyMayLogInAtOnce(t *testing.T) {
	state := t.TempDir()
	b := openBook(t, state)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			cookie, err := b.Begin(fmt.Sprintf("user-%d", i), now)
			if err != nil {
				t.Error(err)
				return
			}
			if _, _, ok := b.OfSession(cookie, now); !ok {
				t.Error("a session is lost")
			}
			b.Who()
		})
	}
	all.Wait()
	if accounts, _ := openBook(t, state).Who(); len(accounts) != 8 {
		t.Errorf("%d accounts on disk", len(accounts))
	}
}
