package main

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"tallyman/test/bench/load"
)

// passing is a contestant that writes down its passes.
func passing(label string, log *[]string, cpu time.Duration, transfers int) shift {
	return shift{label, func(name string) (turn, error) {
		*log = append(*log, name)
		return turn{Result: load.Result{Elapsed: time.Second, Transfers: transfers, Bytes: 1e9}, cpu: cpu}, nil
	}}
}

func TestContestantsTakeTurnsUntilEachHasEnough(t *testing.T) {
	r := &rig{ctx: t.Context(), progress: io.Discard, runs: 2, short: true}
	var log []string
	// The first one has its half second of CPU after one pass, the second after two.
	got, err := r.interleave("case", passing("a", &log, time.Second, 1), passing("b", &log, 250*time.Millisecond, 1))
	if err != nil {
		t.Fatal(err)
	}
	want := "case-a-0-0 case-b-0-0 case-b-0-1 case-a-1-0 case-b-1-0 case-b-1-1"
	if strings.Join(log, " ") != want {
		t.Errorf("passes %v, want %s", log, want)
	}
	costs := append(column(got["a"], cost), column(got["b"], cost)...)
	if !slices.Equal(costs, []float64{1, 1, 0.25, 0.25}) {
		t.Errorf("CPU s/GB %v", costs)
	}
}

func TestContestantWithoutTransfersIsNotWaitedFor(t *testing.T) {
	r := &rig{ctx: t.Context(), progress: io.Discard, runs: 1}
	var log []string
	if _, err := r.interleave("case", passing("dead", &log, 0, 0), passing("b", &log, time.Second, 1)); err != nil {
		t.Fatal(err)
	}
	if strings.Join(log, " ") != "case-dead-0-0 case-b-0-0 case-b-0-1 case-b-0-2 case-b-0-3" {
		t.Errorf("passes %v", log)
	}
}
