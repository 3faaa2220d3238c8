package user

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestBandwidthIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := open(t, "ann: {password: '"+hashed(t, "correct horse")+"', bandwidth: {up: 1MiB}}\n")
		began := time.Now()
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				l, err := b.Password(t.Context(), "ann", "correct horse", lan)
				if err != nil {
					t.Error(err)
					return
				}
				defer l.Close()
				for range 5 * 4 {
					if err := errors.Join(l.Up(t.Context(), 256<<10), l.Down(t.Context(), 1<<30)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if took := time.Since(began); took < 8900*time.Millisecond || took > 10*time.Second {
			t.Errorf("10 MiB of two logins at 1 MiB a second take %v", took)
		}
	})
}

func TestQuotaCountsWhatRunsAndWhatIsThere(t *testing.T) {
	l := &Login{Account: &Account{QuotaBytes: 100, QuotaFiles: 2}, book: &Book{meters: map[string]*Meter{}}}
	m, err := l.Meter("/srv", func() (int64, int64, error) { return 50, 1, nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		bytes, files int64
		want         bool
	}{{0, 1, true}, {0, 1, false}, {50, 0, true}, {1, 0, false}} {
		if m.Take(l.Account, c.bytes, c.files) != c.want {
			t.Errorf("%+v", c)
		}
	}
	m.Give(50, 1)
	if !m.Take(l.Account, 40, 1) {
		t.Error("what was given back is not there")
	}
	m.Settle(40, 50, 1) // in the place of the old file
	if m.bytes != 40 || m.files != 1 || m.pending != 0 {
		t.Errorf("%d bytes, %d files, %d pending", m.bytes, m.files, m.pending)
	}
}

func TestRulesBelowAreFoundWhateverThePattern(t *testing.T) {
	f := func(pattern, at string, want bool) {
		t.Helper()
		a := &Account{Paths: []Path{{Pattern: pattern}}}
		if got := a.RulesBelow(at); got != want {
			t.Errorf("%s below %s: %v", pattern, at, got)
		}
	}
	f("/a/closed/**", "a", true)
	f("/a/closed/**", "a/closed", false) // it is the rule of the folder itself
	f("/a/closed/**", "a/closed/sub", false)
	f("/a/closed/**", "b", false)
	f("/*/closed/**", "a", true)
	f("/home/*/private/**", "home/ann", true)
	f("/home/*/private/**", "home/ann/public", false)
	f("/a/**/x", "a/b", true)
	f("**/*.key", "a", false) // it means the same everywhere
	f("/*.cfg", "a", false)
}
