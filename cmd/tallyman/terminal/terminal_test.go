package terminal

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tallyman"
)

var at = time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC)

func TestColumnsAreAsWideAsWhatIsSeen(t *testing.T) {
	var plain, coloured bytes.Buffer
	for _, s := range []Screen{{Writer: &plain}, {Writer: &coloured, Colour: true}} {
		s.Table([]string{"VERDICT", "BYTES", "FILE"}, [][]string{
			{s.Verdict(tallyman.Complete, 0), Amount(1234567), "a"}, {s.Verdict(tallyman.Contradicted, 0), Amount(-1), "“ü”"},
		}, 1)
	}
	want := "VERDICT           BYTES  FILE\ncomplete      1,234,567  a\ncontradicted          -  “ü”\n"
	if plain.String() != want {
		t.Errorf("\n%s, want\n%s", plain.String(), want)
	}
	got := coloured.String()
	for _, v := range tallyman.Verdicts() {
		got = strings.ReplaceAll(got, "\x1b["+colours[v]+"m", "")
	}
	if got = strings.ReplaceAll(got, "\x1b[0m", ""); got != want || coloured.Len() == plain.Len() {
		t.Errorf("with colours:\n%q", coloured.String())
	}
}

func TestEveryVerdictHasAColour(t *testing.T) {
	for _, v := range tallyman.Verdicts() {
		if colours[v] == "" {
			t.Errorf("%s has none", v)
		}
	}
}

func TestWhatIsUnknownIsNeverANumber(t *testing.T) {
	unknown := &tallyman.Transfer{Bytes: -1}
	if got := Amount(unknown.Bytes) + Took(unknown) + Client(unknown); got != "-running-" {
		t.Errorf("%q", got)
	}
}

func TestEachWitnessHasALane(t *testing.T) {
	record := func(witness string, after time.Duration) tallyman.Evidence {
		e := tallyman.Unknown()
		e.Witness, e.Time, e.Kind = witness, at.Add(after), tallyman.KindRequest
		return e
	}
	tr := &tallyman.Transfer{
		Start: at, Proto: "tftp", Op: tallyman.OpGet, Client: netip.MustParseAddrPort("10.0.0.7:2000"), Name: "f\x1b[31m", Expected: -1, Bytes: -1,
		Judgement: tallyman.Judgement{Verdict: tallyman.Unproven, Reason: tallyman.LogOnly, Against: []string{"files"}},
		Evidence:  []tallyman.Evidence{record("server", 0), record("wire", 2*time.Millisecond), record("server", time.Hour)},
	}
	tr.Evidence[1].Raw = "\x1b[2J"
	var why, show bytes.Buffer
	Screen{Writer: &why}.Why(tr, "The sentence.", []string{"a second witness"})
	Screen{Writer: &show}.Show(tr, "The sentence.", nil)
	lines := strings.Split(strings.TrimSpace(why.String()), "\n")
	if len(lines) != 10 || lines[0] != "The sentence." || !strings.HasPrefix(lines[3], "AT ") {
		t.Fatalf("%q", lines)
	}
	server, wire := strings.Index(lines[3], "SERVER"), strings.Index(lines[3], "WIRE")
	for i, lane := range map[int]int{4: server, 5: wire, 7: server} {
		if lane < 0 || !strings.HasPrefix(lines[i][lane:], "asked") {
			t.Errorf("line %d stands in another lane: %q", i, lines)
		}
	}
	for _, want := range []string{"missing: a second witness", "against: files", "+0.002 s", "+1h0m0s", `| \x1b[2J`} {
		if !strings.Contains(why.String(), want) {
			t.Errorf("no %q in %s", want, why.String())
		}
	}
	for _, want := range []string{"unproven  log-only", "tftp get", `f\x1b[31m`, "10.0.0.7:2000"} {
		if !strings.Contains(show.String(), want) {
			t.Errorf("no %q in %s", want, show.String())
		}
	}
	if strings.Contains(why.String()+show.String(), "\x1b") {
		t.Error("a name moves the cursor")
	}
}

func TestBarGoesWhenAllHasMoved(t *testing.T) {
	var out bytes.Buffer
	draw := Progress(&out, "get")
	draw(50, 100)
	if !strings.Contains(out.String(), "[===============               ]  50%") {
		t.Errorf("%q", out.String())
	}
	draw(100, 100)
	if !strings.HasSuffix(out.String(), "\r\x1b[K") {
		t.Errorf("%q", out.String())
	}
}

func TestOnlyATerminalIsColoured(t *testing.T) {
	if On(new(bytes.Buffer)).Colour || IsTerminal(strings.NewReader("")) {
		t.Error("a buffer is taken for a terminal")
	}
}
