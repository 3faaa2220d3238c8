package web

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tallyman"
)

type pageAnswer struct {
	Transfers []*tallyman.Transfer `json:"transfers"`
	Next      string               `json:"next"`
}

func withRecords(t testing.TB, n int) (*Server, *memory) {
	t.Helper()
	m := newMemory()
	for i := range n {
		give(t, m, made(i))
	}
	return newServer(t, Config{Listen: "127.0.0.1:0"}, Parts{Ledger: m}), m
}

func TestPagesHoldEachTransferOnceNewestFirst(t *testing.T) {
	s, _ := withRecords(t, 25)
	c := call(t, s, sock)
	var seen []string
	after := ""
	for range 10 {
		var a pageAnswer
		c.get("/api/v1/transfers?limit=10&after="+after, 200, &a)
		for _, tr := range a.Transfers {
			seen = append(seen, tr.Name)
		}
		if after = a.Next; after == "" {
			break
		}
	}
	if len(seen) != 25 || seen[0] != "file-24" || seen[24] != "file-0" {
		t.Errorf("got %d: %v", len(seen), seen)
	}
	slices.Sort(seen)
	if len(slices.Compact(seen)) != 25 {
		t.Error("a transfer came twice")
	}
}

func TestTransferHasEvidenceSentenceAndMissingEvidence(t *testing.T) {
	s, m := withRecords(t, 0)
	tr := judged(made(1), tallyman.Unproven, tallyman.DeliveredUnconfirmed)
	give(t, m, tr)
	var a struct {
		Transfer struct {
			Evidence []struct{ Witness, Says, Raw string }
		}
		Sentence string
		Missing  []string
	}
	call(t, s, sock).get("/api/v1/transfers/"+tr.ID.String(), 200, &a)
	if len(a.Transfer.Evidence) != 2 || a.Transfer.Evidence[0].Raw != tr.Evidence[0].Raw || a.Transfer.Evidence[0].Says == "" {
		t.Errorf("evidence %+v", a.Transfer.Evidence)
	}
	if a.Sentence != tr.Sentence() || !slices.Equal(a.Missing, tr.Missing()) || len(a.Missing) == 0 {
		t.Errorf("sentence %q, missing %q", a.Sentence, a.Missing)
	}
}

func TestTransferHasALaneForEachWitnessAndWhatItLacksIsMissing(t *testing.T) {
	m := newMemory()
	tr := judged(made(1), tallyman.Unproven, tallyman.ClosedUnproven)
	tr.Details = `{"probably":"whole"}`
	give(t, m, tr)
	s := startServer(t, t.Context(), Parts{Ledger: m, Lanes: func(_ context.Context, asked *tallyman.Transfer) []tallyman.Lane {
		if asked.ID != tr.ID || len(asked.Evidence) == 0 {
			t.Errorf("lanes of %+v are asked for", asked)
		}
		return []tallyman.Lane{
			{Witness: "wire", Side: tallyman.SideAbsent, Lacks: []tallyman.Lack{{What: "no packets: <not> allowed", More: "run it as root"}}},
			{Witness: "log", Side: tallyman.SideAgainst, Verdict: tallyman.Unproven, Reason: tallyman.LogOnly, Alone: "a claim", Facts: []tallyman.Fact{{Name: "lines", Text: "2 lines"}}},
		}
	}})
	c := call(t, s, sock)
	var a struct {
		Lanes   []tallyman.Lane
		Missing []string
	}
	c.get("/api/v1/transfers/"+tr.ID.String(), 200, &a)
	if len(a.Lanes) != 2 || a.Lanes[0].Lacks[0].More != "run it as root" || a.Lanes[1].Verdict != tallyman.Unproven || a.Lanes[1].Side != tallyman.SideAgainst {
		t.Errorf("%+v", a.Lanes)
	}
	if len(a.Missing) != 2 || a.Missing[1] != "no packets: <not> allowed -> run it as root" {
		t.Errorf("%q", a.Missing)
	}
	page := c.do("GET", "/plain/"+tr.ID.String(), "")
	body, err := io.ReadAll(page.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"probably whole", "Missing: no packets: &lt;not&gt; allowed<br>→ run it as root", "<strong>against</strong>", "did not see", "<dt>lines</dt><dd>2 lines</dd>"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("the page does not say %q:\n%s", want, body)
		}
	}
}

func TestWrongQuestionsSayWhatToDo(t *testing.T) {
	s, m := withRecords(t, 1)
	c := call(t, s, sock)
	for target, want := range map[string]string{
		"/api/v1/transfers?limit=0":                          "from 1 to 1000",
		"/api/v1/transfers?limit=x":                          "from 1 to 1000",
		"/api/v1/transfers?from=yesterday":                   "now-24h",
		"/api/v1/transfers?from=now-5y":                      "now-24h",
		"/api/v1/transfers?from=now-99999999999w":            "now-24h",
		"/api/v1/transfers?from=now&to=now-1h":               "swap them",
		"/api/v1/transfers?after=nonsense":                   "is no cursor",
		"/api/v1/transfers?q=" + strings.Repeat("a", 5000):   "at most 4096",
		"/api/v1/transfers/not-an-id":                        "no record id",
		"/api/v1/stats?by=colour":                            "take hour, verdict",
		"/api/v1/transfers.csv?from=yesterday":               "now-24h",
		"/api/v1/transfers.ndjson?q=colour:red":              "colour",
		"/api/v1/stream?q=colour:red":                        "colour",
		"/api/v1/stream?last=-1":                             "from 1 to 1000",
		"/api/v1/events?limit=2000":                          "from 1 to 1000",
		"/api/v1/clients?from=%1b[31m":                       `\x1b[31m`,
		"/api/v1/transfers?from=2026-01-02&to=2026-01-02":    "swap them",
		"/api/v1/transfers?to=2026-01-02T25:00:00Z&from=now": "is no time",
	} {
		if got := c.problem(c.do("GET", target, ""), 400); !strings.Contains(got, want) {
			t.Errorf("%s: %q does not say %q", target, got, want)
		}
	}
	missing := c.do("GET", "/api/v1/transfers/019a7f5e-3c00-7abc-8def-0123456789ab", "")
	if got := c.problem(missing, 404); !strings.Contains(got, "no such record") {
		t.Errorf("got %q", got)
	}
	m.fail = errors.New("disk I/O error at /secret/path")
	if got := c.problem(c.do("GET", "/api/v1/transfers", ""), 500); strings.Contains(got, "secret") {
		t.Errorf("an inner error goes out: %q", got)
	}
}

func TestQueryErrorCarriesTheCaret(t *testing.T) {
	s, _ := withRecords(t, 0)
	var p Problem
	call(t, s, sock).get("/api/v1/transfers?q=verdict:failed+colour:red", 400, &p)
	if want := "verdict:failed colour:red\n               ^^^^^^"; p.Caret != want {
		t.Errorf("caret %q, want %q", p.Caret, want)
	}
}

func TestExportsHoldExactlyWhatTheFilterShows(t *testing.T) {
	s, m := withRecords(t, 2500) // more than two chunks
	give(t, m, judged(made(3000), tallyman.Failed, tallyman.ClientSilent))
	c := call(t, s, sock)

	lines := strings.Split(strings.TrimSpace(c.get("/api/v1/transfers.ndjson?q=verdict:complete", 200, nil).Body.String()), "\n")
	if len(lines) != 2500 {
		t.Fatalf("%d lines", len(lines))
	}
	var tr tallyman.Transfer
	if err := json.Unmarshal([]byte(lines[0]), &tr); err != nil || tr.Name != "file-2499" {
		t.Errorf("first line %q, %v", tr.Name, err)
	}
	w := c.get("/api/v1/transfers.csv?q=verdict:failed", 200, nil)
	rows, err := csv.NewReader(w.Body).ReadAll()
	if err != nil || len(rows) != 2 || !slices.Equal(rows[0], csvHead) {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if got := rows[1][slices.Index(csvHead, "reason")]; got != "client-silent" {
		t.Errorf("reason %q", got)
	}
	if got := w.Header().Get("Content-Disposition"); got != `attachment; filename="transfers.csv"` {
		t.Errorf("it opens as %q", got)
	}
	if got := c.get("/api/v1/transfers.csv?q=file:none", 200, nil).Body.String(); got != strings.Join(csvHead, ",")+"\n" {
		t.Errorf("an empty export is %q", got)
	}
	if got := c.get("/api/v1/transfers.ndjson?q=file:none", 200, nil).Body.String(); got != "" {
		t.Errorf("an empty export is %q", got)
	}
}

func TestExportThatFailsHalfwayIsBrokenOff(t *testing.T) {
	s, m := withRecords(t, 1500)
	s.parts.Ledger = failsLater{m}
	srv := httptest.NewServer(s.mux(sock))
	defer srv.Close()
	answer, err := http.Get(srv.URL + "/api/v1/transfers.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err == nil {
		t.Error("half an export looks like a whole one")
	}
}

// failsLater is a ledger whose disk fails once the first chunk is read.
type failsLater struct{ *memory }

func (f failsLater) Transfers(ctx context.Context, q tallyman.Query) iter.Seq2[*tallyman.Transfer, error] {
	f.mu.Lock()
	if len(f.asked) > 0 {
		f.fail = errors.New("disk I/O error")
	}
	f.mu.Unlock()
	return f.memory.Transfers(ctx, q)
}

func TestNoCellIsAFormula(t *testing.T) {
	s, m := withRecords(t, 0)
	c := call(t, s, sock)
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[=+\-@\t\r"',;\n][^\x00]{0,20}`))
		tr := made(1)
		tr.Rev = uint32(len(m.asked) + 2)
		tr.Name, tr.User, tr.Host, tr.Path = text.Draw(rt, "name"), text.Draw(rt, "user"), text.Draw(rt, "host"), text.Draw(rt, "path")
		tr.Tags = []string{text.Draw(rt, "tag")}
		give(t, m, tr)
		rows, err := csv.NewReader(c.get("/api/v1/transfers.csv", 200, nil).Body).ReadAll()
		if err != nil || len(rows) != 2 {
			rt.Fatalf("%d rows, %v", len(rows), err)
		}
		for i, cell := range rows[1] {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				rt.Fatalf("%s is %q", csvHead[i], cell)
			}
		}
		want := tr.File()
		if got := rows[1][slices.Index(csvHead, "file")]; strings.TrimPrefix(got, "'") != strings.TrimPrefix(want, "'") {
			rt.Fatalf("file %q became %q", want, got)
		}
	})
}
