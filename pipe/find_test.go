package pipe_test

import (
	"testing"

	"tallyman"
	"tallyman/pipe"
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
