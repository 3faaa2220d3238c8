package spool

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// victim runs the work in a child that dies at file operation n; n = 0 lets it live. It returns what the child said.
func victim(t *testing.T, dir, run string, n int) (out string, died bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "SPOOL_VICTIM="+dir, "SPOOL_RUN="+run, fmt.Sprint("SPOOL_OPS=", n))
	b, err := cmd.Output()
	died = err != nil && strings.Contains(err.Error(), "killed")
	if err != nil && !died {
		t.Fatalf("the child ends with %v: %s", err, b)
	}
	return string(b), died
}

func TestKillAtAnyFileOperationLosesNothingAcknowledged(t *testing.T) {
	l := newLedger()
	dir := t.TempDir()
	out, _ := victim(t, dir, "alive", 0)
	l.hear(t, out)
	l.check(t, "alive", dir)
	if l.ops < 80 || len(l.acked) != 48 {
		t.Fatalf("the work has only %d operations and %d entries", l.ops, len(l.acked))
	}
	n := 1
	for ; ; n++ {
		k := newLedger()
		dir := t.TempDir()
		out, died := victim(t, dir, "first", n)
		if !died {
			break // it has fewer operations
		}
		k.hear(t, out)
		// It dies again while it recovers, or soon after.
		out, _ = victim(t, dir, "second", n%29+1)
		k.hear(t, out)
		k.check(t, fmt.Sprintf("killed at %d, then at %d", n, n%29+1), dir)
	}
	if n < 80 {
		t.Fatalf("only %d operations were reached", n)
	}
	t.Logf("killed at each of %d operations", n-1)
}
