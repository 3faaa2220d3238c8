package terminal

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

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
	told := &Told{Transfer: tr, Sentence: "The sentence.", Missing: []string{"a second witness"}}
	Screen{Writer: &why}.Why(told)
	Screen{Writer: &show}.Show(&Told{Transfer: tr, Sentence: "The sentence."})
	lines := strings.Split(strings.TrimSpace(why.String()), "\n")
	if len(lines) != 10 || lines[0] != "The sentence." || !strings.HasPrefix(lines[3], "AT ") {
		t.Fatalf("%q", lines)
	}
	server, wire := strings.Index(lines[3], "SERVER"), strings.Index(lines[3], "WIRE")
	for i, lane := range map[int]int{4: server, 5: wire, 7: server} {
		if at := strings.IndexRune(lines[i], '●'); lane < 0 || utf8.RuneCountInString(strings.ReplaceAll(lines[i][:max(at, 0)], "│", "|")) != lane {
			t.Errorf("line %d stands in another lane: %q", i, lines)
		}
	}
	for _, want := range []string{"missing: a second witness", "against: files", "+2.000 ms", "+1h0m0s", `| \x1b[2J`} {
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

func TestEachWitnessSaysWhatItAloneWouldSayAndWhatItLacks(t *testing.T) {
	tr := &tallyman.Transfer{Expected: -1, Bytes: -1, Judgement: tallyman.Judgement{Verdict: tallyman.Contradicted, Reason: tallyman.StoredShort, Against: []string{"files"}}}
	var out bytes.Buffer
	Screen{Writer: &out, Width: 60}.Why(&Told{Transfer: tr, Sentence: strings.Repeat("word ", 20) + "end.", Lanes: []tallyman.Lane{
		{Witness: "wire", Side: tallyman.SideFor, Verdict: tallyman.Complete, Alone: "the client acknowledged", Facts: []tallyman.Fact{{Name: "packets", Text: "13 packets"}}},
		{Witness: "files", Side: tallyman.SideAgainst, Verdict: tallyman.Unproven, Alone: "on the disk it is shorter"},
		{Witness: "log", Side: tallyman.SideSilent, Lacks: []tallyman.Lack{{What: "no line: it runs without -vv", More: "add -vv to TFTP_OPTIONS and restart it, whatever that takes"}}},
	}})
	for _, want := range []string{
		"\nWIRE    complete: the client acknowledged\n        packets       13 packets\n", "\nFILES   unproven, against: on the disk it is shorter\n",
		"\nLOG     says nothing\n        missing       no line: it runs without -vv\n                      -> add -vv to TFTP_OPTIONS and restart\n                         it, whatever that takes\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	for line := range strings.Lines(out.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 60 && !strings.Contains(line, "record") {
			t.Errorf("%d columns: %q", n, line)
		}
	}
}

func TestTextIsBrokenBetweenWords(t *testing.T) {
	f := func(text string, width int, want ...string) {
		t.Helper()
		if got := Wrap(text, width); !slices.Equal(got, want) {
			t.Errorf("%q in %d: %q", text, width, got)
		}
	}
	f("one two three", 0, "one two three")
	f("one two three", 7, "one two", "three")
	f("“ü” abcdefgh", 5, "“ü”", "abcde", "fgh")
	f("a  b", 3, "a ", "b")
	f("", 5, "")
	f("\x1b[31mred\x1b[0m and more", 7, "\x1b[31mred\x1b[0m and", "more")
}

func TestTheLastColumnOfSentencesIsFolded(t *testing.T) {
	var out bytes.Buffer
	s := Screen{Writer: &out, Width: 40}
	s.Fold([]string{"KIND", "WHAT"}, [][]string{{"gap", "it could not see for a while, and then some"}})
	if want := "KIND  WHAT\ngap   it could not see for a while, and\n      then some\n"; out.String() != want {
		t.Errorf("\n%s, want\n%s", out.String(), want)
	}
	out.Reset()
	s.Table([]string{"KIND", "FILE"}, [][]string{{"get", strings.Repeat("name", 20)}})
	if !strings.Contains(out.String(), strings.Repeat("name", 20)) {
		t.Errorf("a name is broken: %s", out.String())
	}
}
