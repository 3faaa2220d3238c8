package query_test

import (
	"net/netip"
	"testing"
	"time"

	"tallyman"
	"tallyman/query"
)

func TestEventsGapsAndFindingsAreMatchedByWhatTheyHave(t *testing.T) {
	login := &tallyman.Event{Kind: "login", Host: "lab", User: "lu", Client: netip.MustParseAddrPort("10.20.0.7:4000"), Text: "230 Welcome", Path: "/srv"}
	gap := &tallyman.Gap{Host: "lab", Witness: "wire", Why: "the ring was full"}
	finding := &tallyman.Finding{Rule: "brute-force", Why: "six failed logins", Key: "10.20.0.7"}
	transfer := &tallyman.Transfer{Op: tallyman.OpGet, Name: "a.cfg", Bytes: -1, Expected: -1}
	f := func(text string, want ...tallyman.Record) {
		t.Helper()
		e, err := query.Parse(text, time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []tallyman.Record{login, gap, finding, transfer} {
			is, wanted := query.MatchRecord(e, r), false
			for _, w := range want {
				wanted = wanted || w == r
			}
			if is != wanted {
				t.Errorf("%s: %T matches is %v", text, r, is)
			}
		}
	}
	f("", login, gap, finding, transfer)
	f("kind:login", login)
	f("kind:gap", gap)
	f("kind:finding", finding)
	f("kind:transfer", transfer)
	f("user:lu client:10.20.0.0/16", login)
	f("host:lab", login, gap)
	f("file:/srv", login)
	f("WELCOME", login)
	f("*ring*", gap)
	f("brute", finding)
	f("10.20.0.7", login)
	f("verdict:failed OR kind:login", login)
	f("-op:get", login, gap, finding)
	f("a.cfg", transfer)
}
