package plain_test

import (
	"io"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/web/plain"
)

func drawn(t *testing.T, page interface{ Draw(w io.Writer) error }) string {
	t.Helper()
	var b strings.Builder
	if err := page.Draw(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if n := strings.Count(text, "<h1>"); n != 1 || !strings.HasPrefix(text, "<!doctype html>") || !strings.HasSuffix(text, "</html>\n") {
		t.Errorf("%d headings: %s", n, text)
	}
	return text
}

// active is what a policy of default-src 'self' would stop, or what should not be there at all.
var active = regexp.MustCompile(`(?i)<(script|style|img|iframe|object)|\son[a-z]+=|javascript:|style=`)

const hostile = "<img src=x onerror=alert(1)>\x1b[2J\u202egpj.exe\"'"

func transfer() *tallyman.Transfer {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	e := tallyman.Unknown()
	e.Time, e.Witness, e.Kind, e.Name, e.Raw = at, "server", tallyman.KindRequest, hostile, hostile
	return &tallyman.Transfer{
		ID: tallyman.DrawUUID(at, tallyman.ID{Seq: 1}), Rev: 1, Start: at, Proto: "tftp", Op: tallyman.OpGet, Client: netip.MustParseAddrPort("10.0.0.7:2000"),
		Name: hostile, Expected: -1, Bytes: -1, Evidence: []tallyman.Evidence{e},
		Judgement: tallyman.Judgement{Verdict: tallyman.Refused, Reason: tallyman.NotFound, For: []string{"server"}, Against: []string{hostile}},
	}
}

func TestHostileNamesStayText(t *testing.T) {
	tr := transfer()
	for _, page := range []interface{ Draw(w io.Writer) error }{
		plain.List{Who: hostile, Query: hostile, Fault: hostile, Caret: hostile, Rows: []*tallyman.Transfer{tr}, Next: "javascript:alert(1)"},
		plain.Why{Who: hostile, Transfer: tr, Sentence: tr.Sentence(), Missing: []string{hostile}},
		plain.Login{Failed: hostile},
		plain.Trouble{Text: hostile, Caret: hostile},
	} {
		text := drawn(t, page)
		if found := active.FindString(strings.ReplaceAll(text, "&lt;img src=x onerror=", "")); found != "" {
			t.Errorf("%T holds %q: %s", page, found, text)
		}
		if !strings.Contains(text, "&lt;img src=x") {
			t.Errorf("%T lost the name: %s", page, text)
		}
	}
	if text := drawn(t, plain.List{Rows: []*tallyman.Transfer{tr}}) + drawn(t, plain.Why{Transfer: tr}); strings.ContainsAny(text, "\x1b\u202e") {
		t.Error("control characters of a name reach the page")
	}
}

func TestWhatIsUnknownIsNeverANumber(t *testing.T) {
	tr := transfer()
	tr.Client = netip.AddrPort{}
	text := drawn(t, plain.List{Rows: []*tallyman.Transfer{tr}})
	for _, want := range []string{"<td>unknown</td>", `<td class="n">unknown</td>`, `<td class="n">running</td>`, "2026-03-01 12:00:00", "refused (not-found)", `href="/plain/` + tr.ID.String() + `"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

func TestLoginAsksForWhatIsNeeded(t *testing.T) {
	f := func(l plain.Login, fields ...string) {
		t.Helper()
		var got []string
		for _, m := range regexp.MustCompile(`<input name="(\w+)"`).FindAllStringSubmatch(drawn(t, l), -1) {
			got = append(got, m[1])
		}
		if strings.Join(got, " ") != strings.Join(fields, " ") {
			t.Errorf("%+v asks for %q", l, got)
		}
	}
	f(plain.Login{}, "name", "password")
	f(plain.Login{Setup: true}, "link")
	f(plain.Login{Setup: true, Choose: true}, "link", "password")
}

func TestEmptyListNamesTheNextStep(t *testing.T) {
	if text := drawn(t, plain.List{}); !strings.Contains(text, "tallyman get tftp://") {
		t.Error(text)
	}
	if text := drawn(t, plain.List{Query: "x"}); !strings.Contains(text, "No transfer fits") {
		t.Error(text)
	}
}
