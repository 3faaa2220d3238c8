package pipe_test

import (
	"slices"
	"testing"

	"tallyman"
	"tallyman/pipe"
	"tallyman/rule"
)

func TestWhatTheRulesFindIsStoredWithTheRecords(t *testing.T) {
	s, b := openSpool(t, t.TempDir(), nil), newBooks()
	defer s.Close()
	p := start(t, pipe.Parts{Spool: s, Ledger: b})
	for n := range 6 {
		p.Record(evidence(n, tallyman.KindLoginFailed))
	}
	drain(t, p)
	events, findings := 0, 0
	for _, r := range b.others {
		switch r := r.(type) {
		case *tallyman.Event:
			events++
		case *tallyman.Finding:
			findings++
			if r.Rule != "brute-force" || len(r.About) != 6 || events != 6 {
				t.Errorf("%+v after %d events", r, events)
			}
		}
	}
	if events != 6 || findings != 1 {
		t.Errorf("%d events and %d findings, want 6 and 1", events, findings)
	}
}

// Failed logins before and after a restart are one burst, and it is told once.
func TestTheWindowsOfTheRulesGoOnAcrossARestart(t *testing.T) {
	dir, b := t.TempDir(), newBooks()
	var found []int
	for run := range 5 {
		s := openSpool(t, dir, nil)
		p := start(t, pipe.Parts{Spool: s, Ledger: b})
		for n := range 2 {
			p.Record(evidence(2*run+n, tallyman.KindLoginFailed))
		}
		drain(t, p)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, r := range b.others {
			if f, ok := r.(*tallyman.Finding); ok {
				n++
				if len(f.About) != 6 {
					t.Errorf("%+v", f)
				}
			}
		}
		found = append(found, n)
	}
	if !slices.Equal(found, []int{0, 0, 1, 1, 1}) {
		t.Errorf("findings after each run: %v", found)
	}
}

func TestTheRulesAreAsTheyAreConfigured(t *testing.T) {
	for over, want := range map[int]int{2: 1, 5: 0} {
		s, b := openSpool(t, t.TempDir(), nil), newBooks()
		rules := rule.Defaults()
		rules.BruteForce.Over = over
		p := start(t, pipe.Parts{Spool: s, Ledger: b, Rules: &rules})
		for n := range 3 {
			p.Record(evidence(n, tallyman.KindLoginFailed))
		}
		drain(t, p)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if got := len(b.others) - 3; got != want {
			t.Errorf("over %d: %d findings, want %d", over, got, want)
		}
	}
}
