package rule_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/rule"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// scene hands records to all rules.
type scene struct {
	set  *rule.Set
	n    uint64
	told []*tallyman.Finding
}

func newScene() *scene { return &scene{set: rule.New(rule.Defaults())} }

func (s *scene) event(kind tallyman.Kind, after time.Duration, client string, change func(e *tallyman.Event)) {
	s.n++
	e := &tallyman.Event{
		ID: tallyman.DrawUUID(noon, tallyman.ID{Seq: s.n}), At: noon.Add(after), Host: "lab", Witness: "wire", Kind: kind.String(),
		Client: netip.MustParseAddrPort(client + ":2000"), User: "admin",
	}
	if change != nil {
		change(e)
	}
	s.told = append(s.told, s.set.Take(e)...)
}

func (s *scene) fail(after time.Duration, client string) {
	s.event(tallyman.KindLoginFailed, after, client, nil)
}

func (s *scene) want(t *testing.T, rules ...string) {
	t.Helper()
	var got []string
	for _, f := range s.told {
		got = append(got, f.Rule)
		severity := tallyman.High
		switch f.Rule {
		case "plaintext-login":
			severity = tallyman.Low
		case "mount-new":
			severity = tallyman.Info
		}
		if f.Severity != severity || f.ID.IsZero() || len(f.About) == 0 || f.Why == "" || f.At.IsZero() || f.Key == "" {
			t.Errorf("a finding lacks something: %+v", f)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(rules) {
		t.Errorf("found %v, want %v", got, rules)
	}
}

func TestSixFailedLoginsAreOneFinding(t *testing.T) {
	s := newScene()
	for i := range 5 {
		s.fail(time.Duration(i)*time.Minute, "10.0.0.7")
	}
	s.want(t)
	for i := range 30 {
		s.fail(5*time.Minute+time.Duration(i)*time.Second, "10.0.0.7")
	}
	s.want(t, "brute-force")
	f := s.told[0]
	if f.Key != "10.0.0.7 on lab" || len(f.About) != 6 || f.Why != "6 failed logins by 10.0.0.7 within 5m0s, as admin: more than 5 within 10m0s are too many" {
		t.Errorf("%+v", f)
	}
}

func TestBurstAfterQuietIsAFindingAgain(t *testing.T) {
	s := newScene()
	for i := range 6 {
		s.fail(time.Duration(i)*time.Second, "10.0.0.7")
	}
	for i := range 6 {
		s.fail(time.Hour+time.Duration(i)*time.Second, "10.0.0.7")
	}
	s.want(t, "brute-force", "brute-force")
	if s.told[0].ID == s.told[1].ID {
		t.Error("two findings have one id")
	}
}

func TestSlowFailuresAndThoseOfManyAreNoFinding(t *testing.T) {
	s := newScene()
	for i := range 40 {
		s.fail(time.Duration(i)*3*time.Minute, "10.0.0.7")
		s.fail(time.Duration(i)*time.Second, fmt.Sprintf("10.0.1.%d", i))
	}
	for i := range 6 { // two witnesses of three failures
		s.event(tallyman.KindLoginFailed, time.Duration(i)*time.Second, "10.0.0.9", func(e *tallyman.Event) { e.Witness = []string{"wire", "log"}[i%2] })
	}
	s.want(t)
}

func TestLoginTakesBackTheFailuresOfItsOwnNameAlone(t *testing.T) {
	s := newScene()
	for i := range 5 {
		s.fail(time.Duration(i)*time.Second, "10.0.0.7")
	}
	s.event(tallyman.KindLogin, 5*time.Second, "10.0.0.7", nil)
	s.fail(6*time.Second, "10.0.0.7")
	s.want(t)
	for i := range 5 { // who logs in as himself in between hides nothing
		s.event(tallyman.KindLogin, 7*time.Second, "10.0.0.7", func(e *tallyman.Event) { e.User = "guest" })
		s.fail(time.Duration(8+i)*time.Second, "10.0.0.7")
	}
	s.want(t, "brute-force")
}

func TestLineThatRepeatsAFailureIsNotCounted(t *testing.T) {
	s := newScene()
	for i := range 12 {
		s.event(tallyman.KindLoginFailed, time.Duration(i)*time.Second, "10.0.0.7", func(e *tallyman.Event) {
			if i >= 5 {
				e.Text = "told before: maximum authentication attempts exceeded"
			}
		})
	}
	s.want(t)
}

func TestThirdPartyInAPortCommandIsOneFinding(t *testing.T) {
	s := newScene()
	bounce := func(e *tallyman.Event) {
		e.Server, e.Text = netip.MustParseAddrPort("10.9.9.9:80"), "bounce: PORT 10,9,9,9,0,80 names a third party, answered 200"
	}
	s.event(tallyman.KindFlow, 0, "10.0.0.7", nil)
	s.event(tallyman.KindFlow, time.Second, "10.0.0.7", bounce)
	s.event(tallyman.KindFlow, 2*time.Second, "10.0.0.7", bounce)
	tr := &tallyman.Transfer{
		ID: tallyman.DrawUUID(noon, tallyman.ID{Seq: 99}), Start: noon, Host: "lab", Client: netip.MustParseAddrPort("10.0.0.7:2000"), Op: tallyman.OpGet, Name: "f",
		Details: `{"bounce":"10.9.9.9:80"}`, Judgement: tallyman.Judgement{Verdict: tallyman.Failed, Reason: tallyman.Bounce},
	}
	s.told = append(s.told, s.set.Take(tr)...)
	s.want(t, "bounce")
	if !strings.Contains(s.told[0].Why, "10.0.0.7 asked an FTP server to connect to 10.9.9.9:80") {
		t.Error(s.told[0].Why)
	}
	alone := newScene()
	for range 3 { // each revision of a record is looked at
		alone.told = append(alone.told, alone.set.Take(tr)...)
	}
	alone.want(t, "bounce")
	if !strings.Contains(alone.told[0].Why, "10.9.9.9:80, for get “f”: failed") {
		t.Error(alone.told[0].Why)
	}
}

func TestDataOfSomebodyElseIsAFinding(t *testing.T) {
	s := newScene()
	s.told = append(s.told, s.set.Take(&tallyman.Transfer{
		ID: tallyman.DrawUUID(noon, tallyman.ID{Seq: 1}), Start: noon, Client: netip.MustParseAddrPort("[::ffff:10.0.0.7]:2000"), Op: tallyman.OpPut, Name: "f\x1b[2J",
		Judgement: tallyman.Judgement{Verdict: tallyman.Failed, Reason: tallyman.DataPeerMismatch},
	})...)
	s.event(tallyman.KindCommandRefused, 0, "10.0.0.8", func(e *tallyman.Event) { e.Text = "data-peer-mismatch: said the server" })
	s.want(t, "data-peer-mismatch", "data-peer-mismatch")
	if s.told[0].Key != "10.0.0.7" || strings.Contains(s.told[0].Why, "\x1b") {
		t.Errorf("%+v", s.told[0])
	}
}

func TestFindingHasTheSameIDWhenItIsFoundAgain(t *testing.T) {
	a, b := newScene(), newScene()
	for i := range 6 {
		a.fail(time.Duration(i)*time.Second, "10.0.0.7")
		b.fail(time.Duration(i)*time.Second, "10.0.0.7")
	}
	if len(a.told) != 1 || len(b.told) != 1 || a.told[0].ID != b.told[0].ID {
		t.Errorf("%v and %v", a.told, b.told)
	}
}

func TestFloodOfClientsIsForgottenAndCounted(t *testing.T) {
	cfg := rule.Defaults()
	cfg.Keys = 100
	s := &scene{set: rule.New(cfg)}
	for i := range 1000 {
		s.fail(time.Duration(i)*time.Millisecond, fmt.Sprintf("10.0.%d.%d", i/250, i%250))
	}
	s.want(t)
	if n := s.set.Forgotten(); n != 900 {
		t.Errorf("%d clients were forgotten, want 900", n)
	}
	for range 6 { // those that are remembered are the newest
		s.fail(2*time.Second, "10.0.3.249")
	}
	s.want(t, "brute-force")
}

func TestEveryRuleOfTheTableHasAName(t *testing.T) {
	if got := fmt.Sprint(rule.Names()); got != "[brute-force bounce data-peer-mismatch plaintext-login mount-new]" {
		t.Error(got)
	}
}

func TestARuleThatIsOffFindsNothing(t *testing.T) {
	for _, name := range rule.Names() {
		cfg := rule.Defaults()
		cfg.Off = []string{name}
		s := &scene{set: rule.New(cfg)}
		for i := range 6 {
			s.fail(time.Duration(i)*time.Second, "10.0.0.7")
		}
		s.event(tallyman.KindFlow, 0, "10.0.0.7", func(e *tallyman.Event) { e.Text = "bounce: PORT" })
		s.event(tallyman.KindCommandRefused, 0, "10.0.0.7", func(e *tallyman.Event) { e.Text = "data-peer-mismatch: said the server" })
		s.event(tallyman.KindLogin, time.Second, "10.0.0.7", func(e *tallyman.Event) { e.User, e.Text = "ann", "password in clear text: 230 hello" })
		s.event(tallyman.KindMounted, 2*time.Second, "10.0.0.7", func(e *tallyman.Event) { e.Path, e.ToClass, e.Device = "/mnt", "network", "nfs:nas:/x" })
		want := slices.DeleteFunc(rule.Names(), func(n string) bool { return n == name })
		s.want(t, want...)
		if s.set.Forgotten() != 0 {
			t.Error("keys were forgotten")
		}
	}
}

// What was told in a former run is not told again, whether the record of then or its finding is recalled.
func TestARecalledRunGoesOn(t *testing.T) {
	for _, findings := range []bool{false, true} {
		before, after := newScene(), newScene()
		bounce := &tallyman.Transfer{
			ID: tallyman.DrawUUID(noon, tallyman.ID{Seq: 99}), Start: noon, Host: "lab", Client: netip.MustParseAddrPort("10.0.0.7:2000"), Name: "f",
			Judgement: tallyman.Judgement{Verdict: tallyman.Failed, Reason: tallyman.Bounce},
		}
		before.told = before.set.Take(bounce)
		before.want(t, "bounce")
		if findings {
			after.set.Recall(before.told[0])
		} else {
			after.set.Recall(bounce)
		}
		after.told = after.set.Take(bounce)
		after.want(t)
	}
}
