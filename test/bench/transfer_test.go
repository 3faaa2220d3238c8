package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tallyman/test/bench/load"
)

func TestCollectCountsOnlyWholeFilesAndTakesAllAway(t *testing.T) {
	r := &rig{root: t.TempDir()}
	const size = 100_000
	good := load.NewPattern().Fill(size + 1)
	turned := load.NewPattern().Fill(size)
	turned[size-1] ^= 1
	for name, content := range map[string][]byte{
		"up-a-1-0-0": good[:size], "up-a-1-0-1": good[:size], "up-a-1-0-2": good[:size-1], "up-a-1-0-3": good, "up-a-1-0-4": turned,
		"up-a-1-0-5": nil, "up-a-10-0-0": good[:size],
	} {
		if err := os.WriteFile(filepath.Join(r.root, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := r.collect("up-a-1-", size)
	if whole != 2 || err != nil {
		t.Errorf("%d whole files, %v", whole, err)
	}
	left, err := os.ReadDir(r.root)
	if len(left) != 1 || left[0].Name() != "up-a-10-0-0" || err != nil {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestFigureWithTheLedgerCountsTheDrain(t *testing.T) {
	got := turn{
		Result: load.Result{Elapsed: 2 * time.Second, Transfers: 1000, Bytes: 500e6, Gaps: 1, Timeouts: 2}, cpu: time.Second, drain: 3 * time.Second, syncs: 500,
	}.figures()
	for metric, want := range map[string]float64{spoolled: 500, ledgered: 200, each: 1000, speed: 250, cost: 2, syncs: 0.5, again: 3, drained: 3} {
		if got[metric] != want {
			t.Errorf("%s is %v, want %v", metric, got[metric], want)
		}
	}
}

func TestTwoPassesAreOneRun(t *testing.T) {
	a := turn{Result: load.Result{Elapsed: time.Second, Transfers: 1, LostRequests: 1, P99: 5 * time.Millisecond}, cpu: time.Second}
	a.add(turn{Result: load.Result{Elapsed: 2 * time.Second, Transfers: 2, Failed: 1, P99: time.Millisecond}, cpu: time.Second})
	if a.Elapsed != 3*time.Second || a.Transfers != 3 || a.LostRequests != 1 || a.Failed != 1 || a.P99 != 5*time.Millisecond || a.cpu != 2*time.Second {
		t.Errorf("got %+v", a)
	}
}

func TestTableIsMarkdownWithSpreadAndVerdict(t *testing.T) {
	var out strings.Builder
	print(&out, result{
		Name: "lockstep-512", Title: "Read", Labels: []string{ours, hpa}, Metrics: []string{speed},
		Samples: map[string][]sample{ours: figures(speed, 70, 77.25, 80), hpa: figures(speed, 60, 60, 60)},
		Bars:    []verdict{{Goal: "g", Got: 1.25, Low: 1, High: 1.5, Met: true}, {Goal: "h", Got: 0.5}},
	})
	for _, want := range []string{
		"### lockstep-512: Read, 3 runs each", "| tallyman | 77.2 (70 to 80) |\n", "| tftpd-hpa | 60 |\n", "| g | 1.25 (1 to 1.50) | met |\n", "| h | 0.50 (0 to 0) | **missed** |\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
