//go:build corpus

package truth

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tallyman"
	"tallyman/join"
	"tallyman/source/wire"
)

const testdata = "../../../shared/testdata"

// answer is one line of truth.jsonl and truth_gen.jsonl.
type answer struct {
	Capture    string
	Frame      uint64
	Proto      string
	Client     string
	ClientPort uint16 `json:"client_port"`
	Server     string
	ServerPort uint16 `json:"server_port"`
	ServerTID  uint16 `json:"server_tid"`
	Command    string
	Direction  string
	File       string
	User       *string
	DataMode   *string `json:"data_mode"`
	Announced  *string `json:"announced_endpoint"`
	DataConn   string  `json:"data_conn"`
	Bytes      *int64  `json:"bytes_on_wire"`
	Expected   *int64  `json:"announced_size"`
	Duplicates int64   `json:"duplicate_data_blocks"`
	Content    string
	SHA256     *string
	WireSHA256 *string `json:"wire_sha256"`
	Accept     []string
}

func readAnswers(t *testing.T, name string) map[string][]answer {
	t.Helper()
	out := map[string][]answer{}
	for line := range lines(t, name) {
		var a answer
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[a.Capture] = append(out[a.Capture], a)
	}
	return out
}

func lines(t *testing.T, name string) func(func(string) bool) {
	t.Helper()
	f, err := os.Open(filepath.Join(testdata, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return func(yield func(string) bool) {
		s := bufio.NewScanner(f)
		s.Buffer(nil, 1<<20)
		for s.Scan() && yield(s.Text()) {
		}
		if err := s.Err(); err != nil {
			t.Error(err)
		}
	}
}

// evidenceOf returns the evidence of a capture.
func evidenceOf(t *testing.T, capture string) []tallyman.Evidence {
	t.Helper()
	f, err := os.Open(filepath.Join(testdata, capture))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	file, err := wire.OpenFile(capture, f)
	if err != nil {
		t.Fatal(err)
	}
	var out []tallyman.Evidence
	cfg := wire.Defaults()
	cfg.Host = "test"
	take := func(e tallyman.Evidence) { out = append(out, e) }
	if _, err := wire.Replay(cfg, []*wire.File{file}, take, nil); err != nil {
		t.Error(err)
	}
	for i := range out {
		out[i].ID.Seq = uint64(i + 1)
		out[i].Seen = out[i].Time
	}
	return out
}

// judge joins evidence to transfers, each in its last revision.
func judge(evidence []tallyman.Evidence) []*tallyman.Transfer {
	byID := map[tallyman.UUID]*tallyman.Transfer{}
	cfg := join.Defaults()
	cfg.Settled = 1 << 20
	j := join.New(cfg)
	take := func() {
		for _, r := range j.Changed() {
			if t, ok := r.(*tallyman.Transfer); ok {
				byID[t.ID] = t
			}
		}
	}
	for _, e := range evidence {
		j.Add(e)
		take()
	}
	out := make([]*tallyman.Transfer, 0, len(byID))
	for _, t := range byID {
		if t.Merged.IsZero() {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b *tallyman.Transfer) int { return a.Start.Compare(b.Start) })
	return out
}

// accepts reads the words of the truth files: incomplete is aborted, unproven or failed; failed may be refused.
func accepts(words []string, v tallyman.Verdict) bool {
	for _, w := range words {
		switch w {
		case "complete":
			if v == tallyman.Complete {
				return true
			}
		case "failed":
			if v == tallyman.Failed || v == tallyman.Refused {
				return true
			}
		case "incomplete":
			if v == tallyman.Aborted || v == tallyman.Unproven || v == tallyman.Failed {
				return true
			}
		}
	}
	return false
}

func TestEveryCaptureIsJudgedByItsTruth(t *testing.T) {
	total := 0
	for _, name := range []string{"truth.jsonl", "truth_gen.jsonl"} {
		for capture, answers := range readAnswers(t, name) {
			total += len(answers)
			t.Run(capture, func(t *testing.T) { compare(t, answers, judge(evidenceOf(t, capture))) })
		}
	}
	if total < 751 {
		t.Errorf("%d answers were read, 751 are known", total)
	}
}

func compare(t *testing.T, answers []answer, got []*tallyman.Transfer) {
	t.Helper()
	if len(got) != len(answers) {
		t.Errorf("%d transfers, want %d", len(got), len(answers))
	}
	taken := map[*tallyman.Transfer]bool{}
	for _, want := range answers {
		at := slices.IndexFunc(got, func(g *tallyman.Transfer) bool { return !taken[g] && want.asks(g) })
		if at < 0 {
			t.Errorf("packet %d: %s %q is not found", want.Frame, want.Command, want.File)
			continue
		}
		taken[got[at]] = true
		for _, wrong := range want.differs(got[at]) {
			t.Errorf("packet %d: %s %q: %s\n\t%s", want.Frame, want.Command, want.File, wrong, show(got[at]))
		}
	}
}

// asks reports whether the transfer is the one that the answer speaks of.
func (w *answer) asks(g *tallyman.Transfer) bool {
	client := netip.AddrPortFrom(netip.MustParseAddr(w.Client), w.ClientPort)
	return g.Client == client && strings.HasPrefix(g.Evidence[0].Raw, fmt.Sprintf("#%d ", w.Frame))
}

func (w *answer) differs(g *tallyman.Transfer) []string {
	var out []string
	check := func(what string, got, want any) {
		if fmt.Sprint(got) != fmt.Sprint(want) {
			out = append(out, fmt.Sprintf("%s is %v, want %v", what, got, want))
		}
	}
	var d struct {
		WireSHA256 string `json:"wire_sha256"`
		WireBytes  int64  `json:"wire_bytes"`
		Duplicates int64
		Announced  string
		Data       string
		DataMode   string `json:"data_mode"`
	}
	if err := json.Unmarshal([]byte(g.Details), &d); err != nil {
		out = append(out, "details: "+err.Error())
	}
	if !accepts(w.Accept, g.Judgement.Verdict) {
		out = append(out, fmt.Sprintf("verdict is %v %s, want one of %v", g.Judgement.Verdict, g.Judgement.Reason, w.Accept))
	}
	check("proto", g.Proto, w.Proto)
	check("file", g.Name, w.File)
	check("server", g.Server.Addr(), w.Server)
	check("duplicates", d.Duplicates, w.Duplicates)
	direction := g.Op.Direction()
	if g.Op == tallyman.OpList {
		direction = "listing"
	}
	check("direction", direction, w.Direction)
	content := g.Content.String()
	if content == "" {
		content = "absent"
	}
	check("content", content, w.Content)
	sum := tallyman.Digest("")
	if w.SHA256 != nil {
		sum = tallyman.Digest("sha256:" + *w.SHA256)
	}
	check("digest", g.Digest, sum)
	if w.WireSHA256 != nil {
		check("digest of the wire", d.WireSHA256, *w.WireSHA256)
	}
	if w.Bytes != nil {
		bytes := g.Bytes
		if d.WireBytes > 0 {
			bytes = d.WireBytes
		}
		check("bytes", max(bytes, 0), *w.Bytes)
	}
	if w.Expected != nil {
		check("announced size", g.Expected, *w.Expected)
	}
	if w.User != nil {
		check("user", g.User, *w.User)
	}
	if w.DataMode != nil {
		check("data mode", d.DataMode, *w.DataMode)
	}
	if w.Announced != nil {
		check("announced endpoint", d.Announced, *w.Announced)
	}
	if w.DataConn != "" {
		check("data connection", d.Data, w.DataConn)
	}
	if w.ServerTID != 0 {
		if !slices.ContainsFunc(g.Evidence, func(e tallyman.Evidence) bool { return e.Self.Port() == w.ServerTID }) {
			out = append(out, fmt.Sprintf("port %d of the server is in no evidence", w.ServerTID))
		}
	}
	return out
}

func show(g *tallyman.Transfer) string {
	last := g.Evidence[len(g.Evidence)-1]
	return fmt.Sprintf("%v %v %s moved %d: %s | %s | %s", last.Kind, g.Judgement.Verdict, g.Judgement.Reason, g.Bytes, last.Err, last.Raw, g.Details)
}

func TestSessionStartsEqualTheTruth(t *testing.T) {
	n := 0
	for line := range lines(t, "truth_starts.jsonl") {
		n++
		var want struct {
			Capture  string
			Starts   int `json:"tcp_starts"`
			Answered int `json:"tcp_answered"`
			UDP      int `json:"udp_flows_not53"`
		}
		if err := json.Unmarshal([]byte(line), &want); err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, e := range evidenceOf(t, want.Capture) {
			if e.Kind == tallyman.KindFlow {
				got[e.Proto]++
			}
		}
		if got["tcp"] != want.Starts || got["tcp-answered"] != want.Answered || got["udp"] != want.UDP {
			t.Errorf("%s: %v, want tcp %d, tcp-answered %d, udp %d", want.Capture, got, want.Starts, want.Answered, want.UDP)
		}
	}
	if n < 22 {
		t.Errorf("%d captures were read, 22 are known", n)
	}
}

func TestEventsOfTheTruthAreFound(t *testing.T) {
	n := 0
	for line := range lines(t, "truth_events.jsonl") {
		n++
		var want struct {
			Capture    string
			Expect     string
			Attacker   string
			Failed     int `json:"failed_logins"`
			Successful int
			Client     string
			ClientPort uint16 `json:"client_port"`
			PortArg    string `json:"port_arg"`
		}
		if err := json.Unmarshal([]byte(line), &want); err != nil {
			t.Fatal(err)
		}
		evidence := evidenceOf(t, want.Capture)
		switch want.Expect {
		case "ftp_bruteforce":
			failed, good := 0, 0
			for _, e := range evidence {
				switch {
				case e.Kind == tallyman.KindLoginFailed && e.Peer.Addr().String() == want.Attacker:
					failed++
				case e.Kind == tallyman.KindLogin:
					good++
				}
			}
			if failed != want.Failed || good != want.Successful {
				t.Errorf("%s: %d failed logins and %d good ones, want %d and %d", want.Capture, failed, good, want.Failed, want.Successful)
			}
		case "ftp_bounce":
			var found []string
			for _, e := range evidence {
				if strings.HasPrefix(e.Err, "bounce") {
					found = append(found, fmt.Sprintf("%s names %s", e.Peer, e.Self))
				}
			}
			if want := fmt.Sprintf("%s:%d names %s", want.Client, want.ClientPort, want.PortArg); len(found) != 1 || found[0] != want {
				t.Errorf("bounces %q, want %q alone", found, want)
			}
		default:
			t.Errorf("%q is no event that is known", want.Expect)
		}
	}
	if n < 2 {
		t.Errorf("%d events were read, 2 are known", n)
	}
}
