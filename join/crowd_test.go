package join_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tallyman"
	"tallyman/join"
)

// burst is many requests of one client for one name at once, written down by children in any order. Whose process number is missing says gone.
func burst(rng *rand.Rand, most int, gone string) (s story, want map[uint16]scene) {
	want = map[uint16]scene{}
	all := append(scenes(), scenes()...)
	rng.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
	for i, c := range all[:2+rng.IntN(most-1)] {
		from := len(s.list)
		s.play(c, time.Duration(rng.IntN(30))*time.Millisecond, "x", 2000+i, 800+10*i, "wire log files")
		want[uint16(2000+i)] = c
		late := time.Duration(rng.IntN(40))*time.Millisecond + time.Duration(i)*time.Microsecond // of the child; no two open one file in one microsecond
		for k := range s.list[from:] {
			if e := &s.list[from+k]; e.Witness != "wire" {
				e.Time, e.Began = e.Time.Add(late), e.Began.Add(late)
				if strings.Contains(gone, e.Witness) {
					e.Proc = tallyman.Proc{}
				}
			}
		}
	}
	rng.Shuffle(len(s.list), func(a, b int) { s.list[a], s.list[b] = s.list[b], s.list[a] })
	return s, want
}

// honest reports whether a verdict is the right one, or a weaker one that says that it is a guess away from it.
func honest(tr *tallyman.Transfer, c scene) bool {
	j := tr.Judgement
	if j.Verdict == c.verdict && j.Reason == c.reason {
		return true
	}
	weaker := j.Verdict == tallyman.Unproven || j.Verdict == c.verdict && j.Reason == c.wire[0]
	return weaker && strings.Contains(tr.Details, `"one_of":`)
}

func TestNoRecordOfACrowdIsGuessed(t *testing.T) {
	for _, gone := range []string{"", "files", "files log"} {
		exact, all := 0, 0
		rapid.Check(t, func(rt *rapid.T) {
			s, want := burst(rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 4)), 48, gone)
			ports := 0
			for _, tr := range records(t, patient(), s.list) {
				c, ok := want[tr.Client.Port()]
				switch {
				case !ok && tr.Judgement.Verdict != tallyman.Unproven:
					rt.Errorf("without %q: a record of nobody is %s %s: %s", gone, tr.Judgement.Verdict, tr.Judgement.Reason, tr.Details)
				case ok && !honest(tr, c):
					rt.Errorf("without %q: %s: %s %s, want %s %s or weaker; %s", gone, c.row, tr.Judgement.Verdict, tr.Judgement.Reason, c.verdict, c.reason, tr.Details)
				}
				if !ok {
					continue
				}
				if ports++; tr.Judgement.Verdict == c.verdict {
					exact++
				}
				all++
			}
			if ports != len(want) || gone == "" && len(records(t, patient(), s.list)) != len(want) {
				rt.Errorf("without %q: %d records of %d transfers", gone, ports, len(want))
			}
		})
		t.Logf("without the numbers of %q: of %d records %.0f %% have the right verdict, the others are unproven", gone+" wire", all, 100*float64(exact)/float64(all))
	}
}

// Where the kernel tells who answered whom, nothing is a guess in the end, whatever was one before all was known.
func TestWhereProcessesAreNamedNobodyIsOneOfACrowd(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 6))
		s, want := burst(rng, 24, "")
		for i := range s.list {
			e := &s.list[i]
			port := int(e.Peer.Port())
			switch {
			case e.Witness != "wire":
			case e.Kind != tallyman.KindRequest:
				e.Proc.PID = int32(800 + 10*(port-2000))
			case want[uint16(port)].asked > 1:
				e.Proc.PID = int32(801 + 10*(port-2000)) // the second child
			}
		}
		last := map[tallyman.UUID]*tallyman.Transfer{}
		j := join.New(patient())
		for i, e := range s.list {
			j.Add(e)
			if i == len(s.list)-1 || rng.IntN(4) == 0 {
				for _, tr := range transfers(j.Changed()) {
					last[tr.ID] = tr
				}
			}
		}
		for _, tr := range last {
			c := want[tr.Client.Port()]
			if jd := tr.Judgement; tr.Merged.IsZero() && (jd.Verdict != c.verdict || jd.Reason != c.reason || strings.Contains(tr.Details, "one_of")) {
				rt.Errorf("%s: %s %s, want %s %s; %s", c.row, jd.Verdict, jd.Reason, c.verdict, c.reason, tr.Details)
			}
		}
	})
}

// The same crowd gives the same records in any order of arrival, however often the program is started anew.
func TestACrowdIsTheSameInAnyOrderAndAcrossRestarts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 5))
		s, _ := burst(rng, 16, []string{"", "files", "files log"}[rng.IntN(3)])
		facts := func(all map[tallyman.UUID]*tallyman.Transfer) (out []string) {
			for _, tr := range all {
				if tr.Merged.IsZero() {
					marked := strings.Contains(tr.Details, `"one_of":`) // a restart may leave the number that it was before
					j := tr.Judgement
					if marked { // whose the lines and files are is what the mark leaves open
						j.For = nil
					}
					out = append(out, fmt.Sprint(tr.Client, " ", j, " ", tr.Bytes, " ", marked))
				}
			}
			slices.Sort(out)
			return out
		}
		straight := map[tallyman.UUID]*tallyman.Transfer{}
		for _, tr := range records(t, patient(), s.list) {
			straight[tr.ID] = tr
		}
		rng.Shuffle(len(s.list), func(a, b int) { s.list[a], s.list[b] = s.list[b], s.list[a] })
		latest := map[tallyman.UUID]*tallyman.Transfer{}
		j := join.New(patient())
		tell := func() {
			for _, tr := range transfers(j.Changed()) {
				latest[tr.ID] = tr
			}
		}
		for _, e := range s.list {
			j.Add(e)
			switch rng.IntN(20) {
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
		got, want := facts(latest), facts(straight)
		if len(got) != len(want) {
			for _, g := range got {
				if !slices.Contains(want, g) {
					rt.Logf("got %s", g)
				}
			}
			for _, g := range want {
				if !slices.Contains(got, g) {
					rt.Logf("want %s", g)
				}
			}
			rt.Fatalf("in another order %d records, want %d", len(got), len(want))
		}
		for i := range got {
			if got[i] != want[i] {
				rt.Errorf("in another order %s\nwant %s", got[i], want[i])
			}
		}
	})
}

// One of two uploads is forgotten, the other goes on: what comes later may still be that of the first.
func TestWhoWasOneOfACrowdStaysOneOfIt(t *testing.T) {
	var s story
	put := scene{op: tallyman.OpPut, wire: []tallyman.Reason{tallyman.FinalAck}, moved: 3000}
	long := put
	long.wire = []tallyman.Reason{tallyman.ClientSilent}
	put.files, long.files = []file{{size: 3000, modified: true, after: time.Millisecond}}, []file{{size: 1000, modified: true, after: time.Minute}}
	s.play(put, 0, "x", 2000, 0, "wire files")
	s.play(long, time.Millisecond, "x", 2001, 0, "wire files")
	for i := range s.list {
		if s.list[i].Kind == tallyman.KindClosed && s.list[i].Peer.Port() == 2001 {
			s.list[i].Reason = tallyman.FinalAck // after a minute, all of it
			s.list[i].Moved = 3000
		}
	}
	slices.SortStableFunc(s.list, func(a, b tallyman.Evidence) int { return a.Seen.Compare(b.Seen) })
	j := join.New(join.Defaults())
	last := map[uint16]*tallyman.Transfer{}
	var restart bool
	for range 2 {
		for _, e := range s.list {
			j.Add(e)
			j.Advance(e.Seen)
			for _, tr := range transfers(j.Changed()) {
				last[tr.Client.Port()] = tr
			}
			if restart && e.Seen.Sub(t0) > 30*time.Second {
				j = join.New(join.Defaults())
				j.Restore(last[2001])
				restart = false
			}
		}
		j.Advance(t0.Add(30 * time.Second))
		if tr := last[2001]; tr.Judgement.Verdict != tallyman.Unproven || !strings.Contains(tr.Details, `"one_of":2`) {
			t.Errorf("%+v; %s", tr.Judgement, tr.Details)
		}
		j, restart = join.New(join.Defaults()), true
	}
}
