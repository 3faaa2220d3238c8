package join_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/join"
)

// searched reports whether a search that is told at the given time, and seen then, is recognised by j.
func searched(j *join.Join, at time.Duration) bool {
	s := story{seq: uint64(at) + 1<<40}
	s.request(at, "10.0.0.7:2000", "pxelinux.cfg/C0A8025B", tallyman.OpGet, tallyman.NotFound)
	s.request(at+10*time.Second, "10.0.0.7:2001", "pxelinux.cfg/default", tallyman.OpGet, tallyman.FinalAck)
	found := false
	for _, e := range s.list {
		j.Add(e)
		for _, tr := range transfers(j.Changed()) {
			found = found || strings.Contains(tr.Details, `"search"`)
		}
	}
	return found
}

func TestClockOfOneWitnessDoesNotMakeTheOthersForgotten(t *testing.T) {
	for _, year := range []int{1, 1970, 2036, 9999} {
		j := join.New(join.Defaults())
		var s story
		s.request(0, "10.9.9.9:9", "x", tallyman.OpGet, tallyman.FinalAck)
		for _, e := range s.list {
			e.Time, e.Seen = time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC), t0 // it is seen now
			j.Add(e)
			j.Changed()
		}
		if !searched(j, time.Second) {
			t.Errorf("a witness whose clock shows the year %d: a boot search is not recognised any more", year)
		}
	}
}

func TestClockThatIsSetLeavesRecordsWhole(t *testing.T) {
	for _, step := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		j := join.New(join.Defaults())
		var before, after story
		before.request(0, "10.0.0.7:1234", "fw.bin", tallyman.OpGet, "")
		after.seq = before.seq
		after.tell(step+5*time.Second, tallyman.KindClosed, func(e *tallyman.Evidence) {
			first := before.list[0]
			e.Peer, e.Began, e.Name, e.Moved, e.Reason = first.Peer, first.Began, first.Name, 3000, tallyman.FinalAck
		})
		last := map[tallyman.UUID]*tallyman.Transfer{}
		note := func() {
			for _, tr := range transfers(j.Changed()) {
				last[tr.ID] = tr
			}
		}
		for _, e := range before.list {
			j.Add(e)
		}
		note()
		j.Add(tallyman.Evidence{ID: tallyman.ID{Seq: 90}, Kind: tallyman.KindGap, Host: "lab", Witness: "server", Time: t0.Add(step), Seen: t0.Add(step)})
		for at := time.Duration(0); at < 5*time.Second; at += time.Second {
			j.Advance(t0.Add(step + at))
			note()
		}
		for _, e := range after.list {
			j.Add(e)
		}
		note()
		if len(last) != 1 {
			t.Errorf("clock set by %s: %d records of one transfer", step, len(last))
		}
		for _, tr := range last {
			if tr.Judgement.Verdict != tallyman.Complete {
				t.Errorf("clock set by %s: %+v", step, tr.Judgement)
			}
		}
		if !searched(j, step+10*time.Second) {
			t.Errorf("clock set by %s: a boot search is not recognised any more", step)
		}
		j.Advance(t0.Add(step + time.Hour))
		if running, settling := j.Open(); running+settling != 0 {
			t.Errorf("clock set by %s: %d run and %d settle an hour later", step, running, settling)
		}
	}
}

func TestWhatIsHeardOfAgainRunsOn(t *testing.T) {
	cfg := join.Defaults()
	j := join.New(cfg)
	var s story
	s.request(0, "10.0.0.7:1234", "fw.bin", tallyman.OpGet, "")
	for _, e := range s.list {
		j.Add(e)
	}
	j.Add(tallyman.Evidence{ID: tallyman.ID{Seq: 90}, Kind: tallyman.KindGap, Host: "lab", Witness: "server", Time: t0.Add(10 * time.Second), Seen: t0.Add(10 * time.Second)})
	first := transfers(j.Changed())[0]
	j.Advance(t0.Add(cfg.Silence + 5*time.Second))
	if got := transfers(j.Changed()); len(got) != 1 || got[0].Judgement.Reason != tallyman.InGap {
		t.Fatalf("silent across a gap: %+v", got)
	}
	var later story
	later.seq = 100
	later.tell(cfg.Silence+time.Minute, tallyman.KindProgress, func(e *tallyman.Evidence) { e.Peer, e.Began, e.Moved = s.list[0].Peer, s.list[0].Began, 2500 })
	j.Add(later.list[0])
	got := transfers(j.Changed())
	if len(got) != 1 || got[0].ID != first.ID || got[0].Judgement.Verdict != tallyman.Active {
		t.Fatalf("heard of again: %+v", got)
	}
}

func TestGapOfAnotherWitnessMakesNobodySuspicious(t *testing.T) {
	j := join.New(join.Defaults())
	var s story
	s.request(0, "10.0.0.7:1234", "fw.bin", tallyman.OpGet, "")
	for _, e := range s.list {
		j.Add(e)
	}
	j.Add(tallyman.Evidence{ID: tallyman.ID{Seq: 90}, Kind: tallyman.KindGap, Host: "lab", Witness: "wire", Time: t0.Add(10 * time.Second), Seen: t0.Add(10 * time.Second)})
	j.Changed()
	j.Advance(t0.Add(time.Hour))
	if got := transfers(j.Changed()); len(got) != 0 {
		t.Errorf("%+v", got[0].Judgement)
	}
}

func TestFloodOfForgedRequestsIsBounded(t *testing.T) {
	cfg := join.Defaults()
	cfg.Settled, cfg.Steps = 100, 1000
	j := join.New(cfg)
	most := 0
	for i := range 20000 {
		s := story{seq: uint64(i * 10)}
		s.request(time.Duration(i)*time.Microsecond, fmt.Sprintf("10.%d.%d.%d:9", i>>16, i>>8&255, i&255), "network-confg", tallyman.OpGet, tallyman.NotFound)
		for _, e := range s.list {
			j.Add(e)
		}
		j.Changed()
		most = max(most, j.Remembered())
	}
	if most > cfg.Steps {
		t.Errorf("%d requests remembered", most)
	}
	if !searched(j, time.Minute) {
		t.Error("after the flood a boot search is not recognised")
	}
}
