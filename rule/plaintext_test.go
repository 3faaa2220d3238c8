package rule_test

import (
	"strings"
	"testing"
	"time"

	"tallyman"
)

func TestAPasswordInTheClearIsToldOnceAUserAndDay(t *testing.T) {
	s := newScene()
	login := func(after time.Duration, witness, user, text string) {
		s.event(tallyman.KindLogin, after, "10.0.0.7", func(e *tallyman.Event) { e.Witness, e.User, e.Text = witness, user, text })
	}
	login(0, "server", "ann", "password over TLS")
	login(0, "server", "anonymous", "password in clear text")
	login(0, "wire", "ftp", "password in clear text: 230 welcome")
	login(0, "log", "carl", "password in clear text") // whoever wrote the line chose its words
	login(time.Second, "server", "ann", "password in clear text")
	login(2*time.Second, "wire", "ann", "password in clear text: 230 Welcome")
	login(time.Hour, "server", "ann", "password in clear text")
	login(time.Hour, "wire", "bob\x1b", "password in clear text: 230 hello")
	login(13*time.Hour, "server", "ann", "password in clear text")
	login(13*time.Hour, "server", "ftp", "password in clear text") // an account of that name
	s.want(t, "plaintext-login", "plaintext-login", "plaintext-login", "plaintext-login")
	for i, who := range []string{"ann", `bob\x1b`, "ann", "ftp"} {
		if f := s.told[i]; !strings.HasPrefix(f.Why, who+" logged in from 10.0.0.7, ") || strings.Contains(f.Why, "tls") != (i != 1) {
			t.Errorf("%+v", f)
		}
	}
}

// After a restart the finding of the day is recalled, though the login itself was longer ago than the windows of other rules.
func TestAPasswordThatWasToldBeforeARestartIsNotToldAgain(t *testing.T) {
	before, after := newScene(), newScene()
	clear := func(s *scene, at time.Duration) {
		s.event(tallyman.KindLogin, at, "10.0.0.7", func(e *tallyman.Event) { e.User, e.Text = "ann", "password in clear text: 230 hello" })
	}
	clear(before, 0)
	before.want(t, "plaintext-login")
	after.set.Recall(before.told[0])
	after.n = before.n
	clear(after, 5*time.Hour)
	after.want(t)
}
