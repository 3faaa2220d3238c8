package main

import (
	"math"
	"slices"
	"testing"
)

func figures(metric string, values ...float64) []sample {
	var out []sample
	for _, v := range values {
		out = append(out, sample{metric: v})
	}
	return out
}

func TestRatioIsTheMedianOfNeighbouringRuns(t *testing.T) {
	of := test{bars: []bar{{speed, ours, hpa, true, 1.2, "x"}}}
	// The machine was slow in the second pair of runs; the ratio does not tell.
	got := of.judge(map[string][]sample{
		ours: figures(speed, 130, 13, 150), hpa: figures(speed, 100, 10, 100),
	})[0]
	if got.Got != 1.3 || got.Low != 1.3 || got.High != 1.5 || !got.Met {
		t.Errorf("got %+v", got)
	}
	if want := "tallyman: MB/s over tftpd-hpa, at least 1.2 x"; got.Goal != want {
		t.Errorf("goal %q, want %q", got.Goal, want)
	}
}

func TestGoalIsMetOnItsOwnSideOfTheLimit(t *testing.T) {
	f := func(least bool, limit, value float64, want bool) {
		t.Helper()
		of := test{bars: []bar{{p99, ours, "", least, limit, "ms"}}}
		if got := of.judge(map[string][]sample{ours: figures(p99, value)})[0]; got.Met != want {
			t.Errorf("%v: got %+v", value, got)
		}
	}
	f(true, 100, 99, false)
	f(true, 100, 100, true)
	f(true, 100, 101, true)
	f(false, 100, 99, true)
	f(false, 100, 100, true)
	f(false, 100, 101, false)
	f(true, 100, math.NaN(), false)
	f(false, 100, math.NaN(), false)
}

func TestOneLostRequestInOneRunMissesNone(t *testing.T) {
	f := func(want bool, values ...float64) {
		t.Helper()
		of := test{bars: []bar{{lost, ours, "", false, 0, ""}}}
		if got := of.judge(map[string][]sample{ours: figures(lost, values...)})[0]; got.Met != want {
			t.Errorf("%v: got %+v", values, got)
		}
	}
	f(true, 0, 0, 0, 0, 0)
	f(false, 0, 0, 1, 0, 0)
}

func TestSpreadIsLeastMedianGreatest(t *testing.T) {
	f := func(low, median, high float64, values ...float64) {
		t.Helper()
		if l, m, h := spread(values); l != low || m != median || h != high {
			t.Errorf("%v: got %v %v %v", values, l, m, h)
		}
	}
	f(5, 5, 5, 5)
	f(1, 3, 9, 9, 1, 3)
	f(1, 2.5, 4, 4, 1, 2, 3)
}

func TestEveryCaseShowsWhatItJudges(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range cases() {
		if seen[c.name] {
			t.Errorf("two cases are called %s", c.name)
		}
		seen[c.name] = true
		if len(c.bars) == 0 {
			t.Errorf("%s has no goal", c.name)
		}
		for _, b := range c.bars {
			if !slices.Contains(c.metrics, b.metric) || !slices.Contains(c.labels, b.of) || b.over != "" && !slices.Contains(c.labels, b.over) {
				t.Errorf("%s judges %+v and shows %v of %v", c.name, b, c.metrics, c.labels)
			}
		}
	}
}
