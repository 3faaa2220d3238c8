//go:build corpus

package truth

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/cmd/tallyman/replay"
)

// past replays files as the command does.
func past(t *testing.T, files ...string) (transfers []*tallyman.Transfer, findings []*tallyman.Finding, others map[tallyman.UUID]tallyman.Record) {
	t.Helper()
	for i := range files {
		files[i] = filepath.Join(testdata, files[i])
	}
	p, err := replay.Open(replay.Config{Host: "test", Zone: time.UTC, Now: time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)}, files, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	others = map[tallyman.UUID]tallyman.Record{}
	err = p.Run(t.Context(), func(r tallyman.Record, was tallyman.Verdict) error {
		switch r := r.(type) {
		case *tallyman.Transfer:
			if was != tallyman.NoVerdict || !r.Merged.IsZero() {
				t.Errorf("%q is told more than once", r.Name)
			}
			transfers = append(transfers, r)
		case *tallyman.Finding:
			findings = append(findings, r)
		case *tallyman.Event:
			others[r.ID] = r
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return transfers, findings, others
}

func TestReplayJudgesEveryCaptureByItsTruth(t *testing.T) {
	for _, name := range []string{"truth.jsonl", "truth_gen.jsonl"} {
		for capture, answers := range readAnswers(t, name) {
			t.Run(capture, func(t *testing.T) {
				got, findings, events := past(t, capture)
				slices.SortStableFunc(got, func(a, b *tallyman.Transfer) int { return a.Start.Compare(b.Start) })
				compare(t, answers, got)
				for _, f := range passwords(t, findings, events) {
					if !strings.Contains(capture, "bounce") {
						t.Errorf("found %s: %s", f.Rule, f.Why)
					}
				}
			})
		}
	}
}

// passwords takes the findings about passwords in the clear away: one for each user and day whose PASS the packets show, and no other.
func passwords(t *testing.T, findings []*tallyman.Finding, events map[tallyman.UUID]tallyman.Record) (others []*tallyman.Finding) {
	t.Helper()
	told, want := map[string]int{}, map[string]int{}
	key := func(e *tallyman.Event) string { return tallyman.Escape(e.User) + " " + e.At.Format(time.DateOnly) }
	for _, r := range events {
		e := r.(*tallyman.Event)
		if e.Kind == "login" && e.Witness == "wire" && strings.HasPrefix(e.Text, "password in clear text: 230") && e.User != "anonymous" && e.User != "ftp" {
			want[key(e)] = 1
		}
	}
	for _, f := range findings {
		if f.Rule != "plaintext-login" {
			others = append(others, f)
			continue
		}
		e, ok := events[f.About[0]].(*tallyman.Event)
		if !ok {
			t.Fatalf("found %+v about nothing", f)
		}
		told[key(e)]++
	}
	if !maps.Equal(told, want) {
		t.Errorf("passwords in the clear: found %v, want %v", told, want)
	}
	return others
}

func TestRulesFindTheEventsOfTheTruthAndNothingElse(t *testing.T) {
	for line := range lines(t, "truth_events.jsonl") {
		var want struct {
			Capture, Expect, Attacker, Client string
			ClientPort                        uint16 `json:"client_port"`
			PortArg                           string `json:"port_arg"`
		}
		if err := json.Unmarshal([]byte(line), &want); err != nil {
			t.Fatal(err)
		}
		_, findings, events := past(t, want.Capture)
		findings = passwords(t, findings, events)
		rule, by := map[string]string{"ftp_bruteforce": "brute-force", "ftp_bounce": "bounce"}[want.Expect], want.Attacker+want.Client
		if len(findings) != 1 || findings[0].Rule != rule || findings[0].Key != by+" on test" || !strings.Contains(findings[0].Why, want.PortArg) {
			t.Errorf("%s: found %+v", want.Capture, findings)
			continue
		}
		for _, id := range findings[0].About {
			e, ok := events[id].(*tallyman.Event)
			if !ok || e.Client.Addr().String() != by || want.ClientPort != 0 && e.Client.Port() != want.ClientPort {
				t.Errorf("%s: the finding is about %+v", want.Capture, events[id])
			}
		}
	}
}

// TestBruteForceInLogsIsFoundAsOthersFindIt replays the logs in which CrowdSec's own tests see a bucket flow over.
func TestBruteForceInLogsIsFoundAsOthersFindIt(t *testing.T) {
	f := func(log string, want ...string) {
		t.Helper()
		_, findings, _ := past(t, log)
		var got []string
		for _, one := range findings {
			got = append(got, one.Rule+" "+one.Key)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", log, got, want)
		}
	}
	f("log-crowdsec/tests__ssh-bf__ssh-bf.log", "brute-force 35.188.49.176 on sd-126005")
	f("log-crowdsec/tests__vsftpd-bf__vsftpd-bf.log", "brute-force 93.24.101.89 on test")
	f("log-crowdsec/tests__sshd-success-logs__sshd-success-logs.log")
	f("log-crowdsec/tests__vsftpd-logs__vsftpd-logs.log")
}
