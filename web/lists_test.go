package web

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"tallyman"
)

func event(n int) *tallyman.Event {
	at := begun.Add(time.Duration(n) * time.Minute)
	return &tallyman.Event{ID: tallyman.DrawUUID(at, tallyman.ID{Seq: uint64(n)}), At: at, Host: "lab", Witness: "pipe", Kind: "order", Text: "reload"}
}

func gap(n int) *tallyman.Gap {
	to := begun.Add(time.Duration(n) * time.Minute)
	return &tallyman.Gap{ID: tallyman.DrawUUID(to, tallyman.ID{Seq: uint64(n)}), Host: "lab", Witness: "log", From: to.Add(-time.Second), To: to, Lost: -1, Why: "journal rotated"}
}

func TestEventsGapsAndFindingsAreKeptApartAndPaged(t *testing.T) {
	s, m := withRecords(t, 0)
	for n := range 10 {
		give(t, m, event(2*n), gap(2*n+1))
	}
	c := call(t, s, sock)
	var first, second struct {
		Events []struct{ ID, Kind string }
		Next   string
	}
	c.get("/api/v1/events?limit=6", 200, &first)
	c.get("/api/v1/events?limit=6&after="+first.Next, 200, &second)
	if len(first.Events) != 6 || len(second.Events) != 4 || second.Next != "" || first.Events[0].Kind != "order" {
		t.Errorf("pages of %d and %d, next %q", len(first.Events), len(second.Events), second.Next)
	}
	if first.Events[5].ID == second.Events[0].ID {
		t.Error("an event came twice")
	}
	var gaps struct {
		Gaps []struct {
			Witness, Why string
			Lost         *int
		}
	}
	c.get("/api/v1/gaps", 200, &gaps)
	if len(gaps.Gaps) != 10 || gaps.Gaps[0].Witness != "log" || gaps.Gaps[0].Lost != nil {
		t.Errorf("gaps %+v", gaps.Gaps)
	}
	c.get("/api/v1/events?q=kind:mount", 200, &second)
	if len(second.Events) != 0 {
		t.Errorf("events of another kind: %v", second.Events)
	}
	if got := strings.TrimSpace(c.get("/api/v1/findings", 200, nil).Body.String()); got != `{"findings":[]}` {
		t.Errorf("findings %s", got)
	}
}

func TestStatsCountTheLast24HoursUnlessAsked(t *testing.T) {
	m := newMemory()
	give(t, m, made(0), judged(made(1), tallyman.Failed, tallyman.ClientSilent))
	now := begun.Add(25 * time.Hour)
	s := newServer(t, Config{}, Parts{Ledger: m, Now: func() time.Time { return now }})
	c := call(t, s, sock)
	var a struct {
		By, From string
		Stats    []tallyman.Stat
		Files    []tallyman.Stat
		Clients  []tallyman.Stat
	}
	c.get("/api/v1/stats", 200, &a)
	if a.By != "verdict" || a.From != "2026-03-01T13:00:00Z" || len(a.Stats) != 0 {
		t.Errorf("got %+v", a)
	}
	c.get("/api/v1/stats?by=verdict&from=2026-03-01", 200, &a)
	if len(a.Stats) != 2 || a.Stats[0].Key != "complete" || a.Stats[0].Bytes != 1000 || a.Stats[1].Verdicts[tallyman.Failed] != 1 {
		t.Errorf("got %+v", a.Stats)
	}
	c.get("/api/v1/files?from=2026-03-01&limit=1", 200, &a)
	c.get("/api/v1/clients?from=2026-03-01", 200, &a)
	if len(a.Files) != 1 || len(a.Clients) != 2 {
		t.Errorf("%d files, %d clients", len(a.Files), len(a.Clients))
	}
}

func TestWordsExplainEveryReason(t *testing.T) {
	var a struct {
		Verdicts []struct{ Verdict, Outcome string }
		Reasons  []struct{ Reason, Verdict, Because string }
	}
	s, _ := withRecords(t, 0)
	call(t, s, sock).get("/api/v1/words", 200, &a)
	if len(a.Verdicts) != len(tallyman.Verdicts()) || len(a.Reasons) != len(tallyman.Reasons()) {
		t.Errorf("%d verdicts, %d reasons", len(a.Verdicts), len(a.Reasons))
	}
	for _, r := range a.Reasons {
		if r.Because == "" || r.Verdict == "" {
			t.Errorf("%s is not explained", r.Reason)
		}
	}
}

func TestDescriptionNamesEveryRouteAndItsParameters(t *testing.T) {
	s, _ := withRecords(t, 0)
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			Summary    string
			Parameters []struct{ Name, In, Description string }
			Security   []any
		}
	}
	call(t, s, wide).get("/api/v1/openapi.json", 200, &doc)
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("openapi %q", doc.OpenAPI)
	}
	n := 0
	for _, ops := range doc.Paths {
		n += len(ops)
	}
	if n != len(s.routes()) {
		t.Errorf("%d operations for %d routes", n, len(s.routes()))
	}
	for _, rt := range s.routes() {
		op, ok := doc.Paths[rt.path][strings.ToLower(rt.method)]
		if !ok || op.Summary == "" {
			t.Errorf("%s %s is not described", rt.method, rt.path)
		}
		if (len(op.Security) > 0) != (rt.needs == see || rt.needs == order) {
			t.Errorf("%s %s: security %v", rt.method, rt.path, op.Security)
		}
		for _, name := range rt.query {
			if i := slices.IndexFunc(op.Parameters, func(p struct{ Name, In, Description string }) bool { return p.Name == name }); i < 0 || op.Parameters[i].Description == "" {
				t.Errorf("%s: parameter %s is not described", rt.path, name)
			}
		}
	}
}

func TestSystemSaysHowThePartsAreDoing(t *testing.T) {
	now := begun.Add(90 * time.Second)
	clock := begun
	s := newServer(t, Config{}, Parts{Now: func() time.Time { return clock }})
	clock = now
	c := call(t, s, sock)
	var sys System
	c.get("/api/v1/system", 200, &sys)
	if sys.Name != "lab-tftp-01" || sys.Version != "test" || sys.UptimeS != 90 || sys.Witnesses[0].State != Live || sys.Counters["tftp_packets_total"] != 7 {
		t.Errorf("got %+v", sys)
	}
	var services struct{ Services []Listener }
	c.get("/api/v1/services", 200, &services)
	if len(services.Services) != 1 || services.Services[0].Root != "/srv/tftp" {
		t.Errorf("got %+v", services)
	}
}

func TestReadyMeansThatEveryPartWorks(t *testing.T) {
	sys := allLive()
	s := newServer(t, Config{}, Parts{System: func() System { return sys }})
	c := call(t, s, wide)
	var a struct {
		Ready   bool
		Reasons []string
	}
	c.get("/readyz", 200, &a)
	if !a.Ready {
		t.Errorf("not ready: %v", a.Reasons)
	}
	sys.Ledger.State = Broken
	sys.Witnesses[0].State = Blind
	sys.Listeners[0].State = Starting
	c.get("/readyz", 503, &a)
	if want := []string{"ledger is failed", "witness server is blind", "listener tftp is starting"}; a.Ready || !slices.Equal(a.Reasons, want) {
		t.Errorf("got %v", a.Reasons)
	}
	c.get("/healthz", 200, nil)
}

func TestNoLabelOfAMetricIsAnAddressOrAName(t *testing.T) {
	s, _ := withRecords(t, 0)
	first := made(1)
	again := *first
	again.Rev = 2
	failed := judged(made(2), tallyman.Failed, tallyman.ClientSilent)
	failed.Proto = "10.9.9.9"
	give(t, s.parts.Feed, first, &again, failed, judged(made(3), tallyman.Active, ""))
	c := call(t, s, loop)
	c.get("/api/v1/openapi.json", 200, nil)
	c.do("GET", "/secret-file-name", "")
	text := c.get("/metrics", 200, nil).Body.String()
	for _, want := range []string{
		`tallyman_transfers_total{op="get",proto="tftp",verdict="complete"} 1`, `tallyman_transfers_total{op="get",proto="other",verdict="failed"} 1`,
		`tallyman_transfer_bytes_total{op="get",proto="tftp"} 1000`, `tallyman_tftp_packets_total 7`, `tallyman_source_live{witness="server"} 1`,
		`tallyman_build_info{version="test"} 1`, `tallyman_web_requests_total{route="/",status="404"} 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	for _, bad := range []string{"10.20", "10.9.9.9", "file-1", "secret-file-name"} {
		if strings.Contains(text, bad) {
			t.Errorf("a label holds %s", bad)
		}
	}
	if got := c.problem(call(t, s, wide).do("GET", "/metrics", ""), http.StatusUnauthorized); got == "" {
		t.Error("metrics are open to the network")
	}
}

func TestCountsFromThePartsNeedANameOfTheHouse(t *testing.T) {
	sys := allLive()
	sys.Counters = map[string]int64{"Bad Name": 1, "": 1, "9lives": 1, "spool_bytes": 5}
	s := newServer(t, Config{}, Parts{System: func() System { return sys }})
	text := call(t, s, sock).get("/metrics", 200, nil).Body.String()
	if !strings.Contains(text, "# TYPE tallyman_spool_bytes gauge") || strings.Contains(text, "Bad") || strings.Contains(text, "9lives") {
		t.Error(text)
	}
}

func TestErrorsAreJSONEverywhere(t *testing.T) {
	s, _ := withRecords(t, 0)
	c := call(t, s, sock)
	w := c.do("GET", "/api/v1/nothing", "")
	if got := c.problem(w, 404); !strings.Contains(got, "openapi.json") {
		t.Errorf("got %q", got)
	}
	if !json.Valid(w.Body.Bytes()) || w.Header().Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("%s: %s", w.Header().Get("Content-Type"), w.Body)
	}
}

func TestMountsAreListed(t *testing.T) {
	stick := Mount{Path: "/media/stick", ToClass: "removable", Device: "usb:4C53", Label: "STICK", FS: "vfat"}
	c := call(t, newServer(t, Config{}, Parts{Mounts: func() []Mount { return []Mount{stick} }}), sock)
	var got struct{ Mounts []Mount }
	c.get("/api/v1/mounts", 200, &got)
	if len(got.Mounts) != 1 || got.Mounts[0] != stick {
		t.Errorf("got %+v", got.Mounts)
	}
	none := call(t, newServer(t, Config{}, Parts{}), sock)
	none.get("/api/v1/mounts", 200, &got)
	if got.Mounts == nil || len(got.Mounts) != 0 {
		t.Errorf("nobody looks, and %+v is mounted", got.Mounts)
	}
}
