//go:build real

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// binaryEnv tells the tests where the program is that was built for this run.
const binaryEnv = "TALLYMAN_BENCH_BINARY"

// TestMain lets the program of the tests be the processes that the bench starts of itself.
func TestMain(m *testing.M) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	is, err := asChild(ctx, os.Args[1:], os.Stdin, os.Stdout)
	code := 0
	if !is {
		code, err = buildAndRun(m)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	stop()
	os.Exit(code)
}

func buildAndRun(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "tallyman-bench-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	binary := filepath.Join(dir, "tallyman")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/tallyman").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build the program: %w: %s", err, out)
	}
	if err := os.Setenv(binaryEnv, binary); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// root is that of the repository. A test may run more than one case.
var root = func() string {
	dir, err := filepath.Abs("../..")
	if err != nil {
		panic(err)
	}
	return dir
}()

// short runs a case once, for a second or so, and returns the figures by contestant.
func short(t *testing.T, name string) map[string]sample {
	t.Helper()
	t.Chdir(root)
	var out, progress strings.Builder
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := run(ctx, []string{"-short", "-runs", "1", "-only", name, "-json", "-tallyman", os.Getenv(binaryEnv)}, &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	var results []result
	if err := json.Unmarshal([]byte(out.String()), &results); err != nil || len(results) != 1 {
		t.Fatalf("%v: %s", err, out.String())
	}
	got := map[string]sample{}
	for _, label := range results[0].Labels {
		if n := len(results[0].Samples[label]); n != 1 {
			t.Fatalf("%d runs of %s", n, label)
		}
		got[label] = results[0].Samples[label][0]
	}
	return got
}

// none fails unless the figures are 0, and some unless they are above.
func none(t *testing.T, of sample, metrics ...string) {
	t.Helper()
	for _, m := range metrics {
		if of[m] != 0 {
			t.Errorf("%s: %v, want none", m, of[m])
		}
	}
}

func some(t *testing.T, of sample, metrics ...string) {
	t.Helper()
	for _, m := range metrics {
		if of[m] <= 0 {
			t.Errorf("%s: %v, want more than none", m, of[m])
		}
	}
}

func TestRingTellsEveryStartAtFullRate(t *testing.T) {
	got := short(t, "wire-starts")
	none(t, got[ring], dropped, starts)
	for _, label := range []string{ring, tcpdump, tshark} {
		some(t, got[label], share, rss, pace)
	}
	some(t, got[ring], late) // it was told, not made up
}

func TestWatchedTransfersAreJudged(t *testing.T) {
	got := short(t, "ftp-watched")
	none(t, got[watched], unjudged, gaps)
	some(t, got[watched], speed, total, rss)
	some(t, got[unwatched], speed)
}

func TestReplayFindsTheContentThatTsharkExports(t *testing.T) {
	got := short(t, "replay-offline")
	for _, label := range offlineLabels() {
		some(t, got[label], took, total, through)
		if strings.HasPrefix(label, replayed) {
			none(t, got[label], unseen)
		}
	}
}

func TestEveryTypicalLineIsTold(t *testing.T) {
	got := short(t, "log-lines")
	for _, name := range formats() {
		none(t, got[name], untold)
		some(t, got[name], lines)
	}
}

func TestLongLogsAreReplayed(t *testing.T) {
	got := short(t, "log-million")
	for _, label := range []string{tenth, half, whole} {
		some(t, got[label], rss, took, lines)
	}
}
