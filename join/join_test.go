package join_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tallyman"
	"tallyman/join"
)

var t0 = time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC)

// patient remembers for longer than any test lasts.
func patient() join.Config {
	cfg := join.Defaults()
	cfg.Settle, cfg.Linger, cfg.Settled = time.Hour, time.Hour, 1<<20
	return cfg
}

// story makes evidence of one server, numbered in the order in which it is told.
type story struct {
	seq  uint64
	list []tallyman.Evidence
}

func (s *story) tell(at time.Duration, kind tallyman.Kind, change func(*tallyman.Evidence)) {
	s.seq++
	e := tallyman.Unknown()
	e.ID = tallyman.ID{Epoch: 1, Seq: s.seq}
	e.Time, e.Kind = t0.Add(at), kind
	e.Seen = e.Time.Add(time.Millisecond)
	e.Host, e.Witness, e.Proto, e.Op = "lab", "server", "tftp", tallyman.OpGet
	e.Self = netip.MustParseAddrPort("10.0.0.1:69")
	change(&e)
	s.list = append(s.list, e)
}

// request tells the whole of one request: how it began, and how it ended if reason is not empty.
func (s *story) request(at time.Duration, client, name string, op tallyman.Op, reason tallyman.Reason) {
	from := func(e *tallyman.Evidence) {
		e.Peer, e.Began, e.Name, e.Op = netip.MustParseAddrPort(client), t0.Add(at), name, op
	}
	if reason.Verdict() == tallyman.Refused {
		s.tell(at, tallyman.KindRefusal, func(e *tallyman.Evidence) { from(e); e.Reason = reason })
		return
	}
	s.tell(at, tallyman.KindOpened, func(e *tallyman.Evidence) { from(e); e.Path = "/srv/" + name; e.Size = 3000 })
	s.tell(at+time.Second, tallyman.KindProgress, func(e *tallyman.Evidence) { from(e); e.Moved = 1000 })
	s.tell(at+2*time.Second, tallyman.KindProgress, func(e *tallyman.Evidence) { from(e); e.Moved = 2000 })
	if reason != "" {
		s.tell(at+3*time.Second, tallyman.KindClosed, func(e *tallyman.Evidence) {
			from(e)
			e.Moved, e.Reason, e.Digest, e.Details = 3000, reason, "sha256:aa", `{"mode":"octet"}`
		})
	}
}

func records(t testing.TB, cfg join.Config, list []tallyman.Evidence) []*tallyman.Transfer {
	t.Helper()
	j := join.New(cfg)
	for _, e := range list {
		j.Add(e)
	}
	return transfers(j.Changed())
}

func transfers(recs []tallyman.Record) []*tallyman.Transfer {
	var out []*tallyman.Transfer
	for _, r := range recs {
		if tr, ok := r.(*tallyman.Transfer); ok {
			out = append(out, tr)
		}
	}
	return out
}

func TestEveryReasonOfOurServerGivesItsVerdict(t *testing.T) {
	for _, reason := range tallyman.Reasons() {
		var s story
		s.request(0, "10.0.0.7:1234", "fw.bin", tallyman.OpPut, reason)
		got := records(t, patient(), s.list)
		if len(got) != 1 || got[0].Judgement.Verdict != reason.Verdict() || got[0].Judgement.Reason != reason {
			t.Errorf("%s: %d records, %+v", reason, len(got), got[0].Judgement)
		}
		if !tallyman.Legal(got[0].Judgement.Verdict, got[0].Judgement.Reason) {
			t.Errorf("%s: illegal pair %+v", reason, got[0].Judgement)
		}
		if d := got[0].Digest; d != "" && got[0].Content != tallyman.Full {
			t.Errorf("%s: a digest of content that is %s", reason, got[0].Content)
		}
	}
}

func TestRunningTransferIsActiveThenJudgedUnderTheSameID(t *testing.T) {
	var s story
	s.request(0, "10.0.0.7:1234", "fw.bin", tallyman.OpGet, tallyman.FinalAck)
	j := join.New(patient())
	j.Add(s.list[0])
	first := transfers(j.Changed())[0]
	if first.Judgement.Verdict != tallyman.Active || first.Rev != 1 || !first.End.IsZero() || first.Digest != "" {
		t.Fatalf("after the first evidence: %+v", first)
	}
	for _, e := range s.list[1:] {
		j.Add(e)
	}
	last := transfers(j.Changed())
	if len(last) != 1 || last[0].ID != first.ID || last[0].Rev != 2 || last[0].Judgement.Verdict != tallyman.Complete {
		t.Fatalf("after the last evidence: %+v", last)
	}
	if got := last[0]; got.Bytes != 3000 || got.End.Sub(got.Start) != 3*time.Second || got.Digest != "sha256:aa" || len(got.Evidence) != 3 {
		t.Errorf("facts: bytes %d, took %s, digest %s, %d evidence", got.Bytes, got.End.Sub(got.Start), got.Digest, len(got.Evidence))
	}
}

func TestEvidenceThatStandsAloneIsAnEvent(t *testing.T) {
	for kind, word := range map[tallyman.Kind]string{
		tallyman.KindOrder: "order", tallyman.KindLogin: "login", tallyman.KindLoginFailed: "login-failed",
		tallyman.KindCommandRefused: "command-refused", tallyman.KindFlow: "flow", tallyman.KindMounted: "mount", tallyman.KindUnmounted: "unmount",
	} {
		var s story
		s.tell(0, kind, func(e *tallyman.Evidence) { e.Err = "why" })
		j := join.New(patient())
		j.Add(s.list[0])
		got := j.Changed()
		if e, ok := got[0].(*tallyman.Event); len(got) != 1 || !ok || e.Kind != word || e.Text != "why" {
			t.Errorf("%s: %+v", word, got)
		}
	}
}

func TestARenameIsCountedAndNoTransfer(t *testing.T) {
	var s story
	for _, kind := range []tallyman.Kind{tallyman.KindRenamed, tallyman.KindDeleted} {
		s.tell(0, kind, func(e *tallyman.Evidence) { e.Witness, e.Path, e.From = "files", "/srv/a", "/srv/b" })
	}
	j := join.New(patient())
	for _, e := range s.list {
		j.Add(e)
	}
	if got := j.Changed(); len(got) != 0 || j.Names() != 2 {
		t.Errorf("%d records, %d counted", len(got), j.Names())
	}
}

func TestForeignLogAloneNeverMakesComplete(t *testing.T) {
	var s story
	claim := func(reason tallyman.Reason) func(e *tallyman.Evidence) {
		return func(e *tallyman.Evidence) {
			e.Witness, e.Reason, e.Proc = "log", reason, tallyman.Proc{PID: 812, Start: 5}
			e.Peer = netip.MustParseAddrPort("10.0.0.7:0")
		}
	}
	s.tell(0, tallyman.KindClosed, claim(tallyman.FinalAck))
	if got := records(t, patient(), s.list)[0].Judgement; got.Verdict != tallyman.Unproven || got.Reason != tallyman.LogOnly {
		t.Errorf("a claim alone: %+v", got)
	}
}

func TestWitnessWhoContradictsIsNamed(t *testing.T) {
	var s story
	s.request(0, "10.0.0.7:1234", "fw.bin", tallyman.OpGet, tallyman.FinalAck)
	s.tell(4*time.Second, tallyman.KindClosed, func(e *tallyman.Evidence) {
		e.Peer, e.Began, e.Witness, e.Reason = netip.MustParseAddrPort("10.0.0.7:1234"), t0, "log", tallyman.ClientSilent
	})
	got := records(t, patient(), s.list)[0].Judgement
	if got.Verdict != tallyman.Contradicted || got.Reason != tallyman.OutcomeMismatch || !slices.Equal(got.Against, []string{"log"}) || !slices.Equal(got.For, []string{"server"}) {
		t.Errorf("%+v", got)
	}
}

func TestTwoDigestsThatDifferContradict(t *testing.T) {
	var s story
	s.request(0, "10.0.0.7:1234", "fw.bin", tallyman.OpGet, tallyman.FinalAck)
	s.tell(4*time.Second, tallyman.KindDigested, func(e *tallyman.Evidence) {
		e.Peer, e.Began, e.Witness, e.Digest = netip.MustParseAddrPort("10.0.0.7:1234"), t0, "hash", "sha256:bb"
	})
	if got := records(t, patient(), s.list)[0].Judgement; got.Verdict != tallyman.Contradicted || got.Reason != tallyman.HashMismatch {
		t.Errorf("%+v", got)
	}
}

func TestEvidenceThatUnitesTwoRecordsMergesTheYounger(t *testing.T) {
	var s story
	proc := tallyman.Proc{PID: 812, Start: 5}
	s.request(0, "10.0.0.7:1234", "fw.bin", tallyman.OpGet, "")
	s.tell(time.Second, tallyman.KindOpened, func(e *tallyman.Evidence) { e.Witness, e.Proc, e.Path, e.Began = "files", proc, "/srv/fw.bin", e.Time })
	j := join.New(patient())
	for _, e := range s.list {
		j.Add(e)
	}
	apart := transfers(j.Changed())
	if len(apart) != 2 {
		t.Fatalf("before they are united: %d records", len(apart))
	}
	var bridge story
	bridge.seq = s.seq
	bridge.tell(2*time.Second, tallyman.KindProgress, func(e *tallyman.Evidence) {
		e.Witness, e.Proc, e.Peer, e.Began, e.Proto = "log", proc, netip.MustParseAddrPort("10.0.0.7:1234"), t0, "tftp"
	})
	j.Add(bridge.list[0])
	got := transfers(j.Changed())
	elder := apart[0].ID
	if apart[1].ID.Compare(elder) < 0 {
		elder = apart[1].ID
	}
	var merged, kept int
	for _, tr := range got {
		switch {
		case tr.Merged == elder && tr.ID != elder && tr.Rev == 2:
			merged++
		case tr.ID == elder && tr.Merged.IsZero() && slices.Equal(tr.Judgement.For, []string{"files", "log", "server"}):
			kept++
		}
	}
	if merged != 1 || kept != 1 || len(got) != 2 {
		t.Errorf("merged %d, kept %d of %d: %+v", merged, kept, len(got), got)
	}
}

func TestBootSearchIsARunOfMissesThatEndsInAServedFile(t *testing.T) {
	var s story
	names := []string{"pxelinux.cfg/01-88-99-aa-bb-cc-dd", "pxelinux.cfg/C0A8025B", "pxelinux.cfg/C0A8025"}
	for i, n := range names {
		s.request(time.Duration(i)*20*time.Second, fmt.Sprintf("10.0.0.7:%d", 2000+i), n, tallyman.OpGet, tallyman.NotFound)
	}
	s.request(45*time.Second, "10.0.0.7:2100", "pxelinux.cfg/default", tallyman.OpGet, tallyman.FinalAck)
	s.request(46*time.Second, "10.0.0.8:2100", "network-confg", tallyman.OpGet, tallyman.NotFound)      // another client
	s.request(43*time.Second, "10.0.0.7:2105", "passwords.txt", tallyman.OpGet, tallyman.NotFound)      // no name of a firmware
	s.request(47*time.Second, "10.0.0.7:2101", "after.cfg", tallyman.OpGet, tallyman.NotFound)          // nothing was served after it
	s.request(100*time.Second, "10.0.0.7:2102", "pxelinux.cfg/late", tallyman.OpGet, tallyman.FinalAck) // too late for "after"
	s.request(44*time.Second, "10.0.0.7:2103", "secret", tallyman.OpGet, tallyman.NotReadable)          // no miss
	s.request(44500*time.Millisecond, "10.0.0.7:2104", "up", tallyman.OpPut, tallyman.NotFound)         // no read
	marked := map[string]bool{}
	for _, tr := range records(t, patient(), s.list) {
		if strings.Contains(tr.Details, `"search":"pxelinux.cfg/default"`) {
			marked[tr.Name] = true
		}
	}
	if got := slices.Sorted(maps.Keys(marked)); !slices.Equal(got, slices.Sorted(slices.Values(names))) {
		t.Errorf("part of the search: %q", got)
	}
}

func TestSilenceAcrossAGapOfItsWitnessIsUnproven(t *testing.T) {
	var s story
	s.request(0, "10.0.0.7:1234", "fw.bin", tallyman.OpGet, "")
	cfg := patient()
	run := func(gap bool) tallyman.Judgement {
		j := join.New(cfg)
		for _, e := range s.list {
			j.Add(e)
		}
		if gap {
			j.Add(tallyman.Evidence{ID: tallyman.ID{Seq: 90}, Kind: tallyman.KindGap, Host: "lab", Witness: "server", Began: t0, Time: t0.Add(10 * time.Second), Moved: 7})
		}
		first := transfers(j.Changed())
		j.Advance(t0.Add(cfg.Silence + 5*time.Second))
		if again := transfers(j.Changed()); len(again) == 1 {
			return again[0].Judgement
		}
		return first[0].Judgement
	}
	if got := run(true); got.Verdict != tallyman.Unproven || got.Reason != tallyman.InGap {
		t.Errorf("with a gap: %+v", got)
	}
	if got := run(false); got.Verdict != tallyman.Active {
		t.Errorf("without a gap it still runs: %+v", got)
	}
}

func TestMemoryIsBoundedByWhatSettles(t *testing.T) {
	cfg := join.Defaults()
	cfg.Settled = 100
	j := join.New(cfg)
	for i := range 5000 {
		var s story
		s.seq = uint64(i * 10)
		s.request(time.Duration(i)*time.Microsecond, fmt.Sprintf("10.0.%d.%d:9", i/250, i%250), "f", tallyman.OpGet, tallyman.FinalAck)
		for _, e := range s.list {
			j.Add(e)
		}
		j.Changed()
	}
	if running, settling := j.Open(); running != 0 || settling > 100 {
		t.Errorf("%d running, %d settling", running, settling)
	}
}

// visible is what people see of the records: all but id, rev and the places of the evidence.
func visible(t testing.TB, latest map[tallyman.UUID]*tallyman.Transfer) []string {
	t.Helper()
	var out []string
	for _, tr := range latest {
		if !tr.Merged.IsZero() {
			continue
		}
		c := *tr
		c.ID, c.Rev, c.Evidence = tallyman.UUID{}, 0, nil
		line, err := json.Marshal(&c)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range tr.Evidence {
			line = fmt.Appendf(line, "\n  %s %s %s", e.Time.Format("15:04:05.000"), e.Witness, e.Says())
		}
		out = append(out, string(line))
	}
	slices.Sort(out)
	return out
}

func TestAnyOrderCopiesAndRestartsGiveTheSameRecords(t *testing.T) {
	reasons := append(tallyman.Reasons(), "")
	rapid.Check(t, func(rt *rapid.T) {
		var s story
		for i := range rapid.IntRange(1, 9).Draw(rt, "requests") {
			at := time.Duration(rapid.IntRange(0, 90).Draw(rt, "at")) * time.Second
			who := fmt.Sprintf("10.0.0.%d:%d", rapid.IntRange(1, 3).Draw(rt, "client"), 2000+i)
			reason := rapid.SampledFrom(reasons).Draw(rt, "reason")
			if rapid.Bool().Draw(rt, "miss") {
				reason = tallyman.NotFound
			}
			op := rapid.SampledFrom([]tallyman.Op{tallyman.OpGet, tallyman.OpPut}).Draw(rt, "op")
			s.request(at, who, fmt.Sprintf("f%d.cfg", i), op, reason)
			if rapid.Bool().Draw(rt, "witnesses") {
				proc := tallyman.Proc{PID: int32(100 + i), Start: 1}
				s.tell(at+time.Second, tallyman.KindOpened, func(e *tallyman.Evidence) {
					e.Witness, e.Proc, e.Path, e.Op, e.Began = "files", proc, "/srv/x", op, e.Time
				})
				s.tell(at+2*time.Second, tallyman.KindProgress, func(e *tallyman.Evidence) {
					e.Witness, e.Proc, e.Peer, e.Began, e.Op = "log", proc, netip.MustParseAddrPort(who), t0.Add(at), op
				})
			}
		}
		straight := map[tallyman.UUID]*tallyman.Transfer{}
		for _, tr := range records(t, patient(), s.list) {
			straight[tr.ID] = tr
		}
		want := visible(t, straight)

		list := append(slices.Clone(s.list), s.list[:rapid.IntRange(0, len(s.list)).Draw(rt, "copies")]...)
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		rng.Shuffle(len(list), func(a, b int) { list[a], list[b] = list[b], list[a] })
		latest := map[tallyman.UUID]*tallyman.Transfer{}
		j := join.New(patient())
		tell := func() {
			for _, tr := range transfers(j.Changed()) {
				if old := latest[tr.ID]; old != nil && tr.Rev <= old.Rev {
					rt.Fatalf("revision %d follows %d", tr.Rev, old.Rev)
				}
				latest[tr.ID] = tr
			}
		}
		for _, e := range list {
			j.Add(e)
			switch rng.IntN(6) {
			case 0:
				tell()
			case 1:
				tell()
				j = join.New(patient())
				for _, id := range slices.SortedFunc(maps.Keys(latest), tallyman.UUID.Compare) {
					if tr := latest[id]; tr.Merged.IsZero() {
						j.Restore(tr)
					}
				}
			}
		}
		tell()
		if got := visible(t, latest); !slices.Equal(got, want) {
			rt.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

func BenchmarkJoinOfAShortRead(b *testing.B) {
	j := join.New(join.Defaults())
	var s story
	s.request(0, "10.0.0.7:1234", "fw.bin", tallyman.OpGet, tallyman.FinalAck)
	first, last := s.list[0], s.list[3]
	var n uint64
	b.ReportAllocs()
	for b.Loop() {
		n++
		first.ID.Seq, last.ID.Seq = 2*n, 2*n+1
		first.Began = t0.Add(time.Duration(n) * 80 * time.Microsecond)
		last.Began, first.Time, last.Time = first.Began, first.Began, first.Began.Add(time.Millisecond)
		j.Add(first)
		j.Add(last)
		if n%100 == 0 {
			j.Changed()
		}
	}
}
