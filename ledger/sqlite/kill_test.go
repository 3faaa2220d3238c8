package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"tallyman"
)

const victimPath = "TALLYMAN_TEST_VICTIM"

// perBatch is how much evidence a batch of the victim holds.
const perBatch = 10

var victimAgent = tallyman.Agent{0xdead >> 8, 0xdead & 0xff}

// victim writes batches, tells of each that was taken, and begins again a few batches before the watermark, as a spool does that did not hear of it.
func victim(path string) int {
	ctx := context.Background()
	l, err := Open(ctx, Config{Path: path})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	mark, err := l.Committed(ctx, victimAgent)
	for seq := mark.Seq - min(mark.Seq, 3*perBatch); err == nil; seq += perBatch {
		b := tallyman.Batch{Mark: tallyman.ID{Agent: victimAgent, Epoch: 1, Seq: seq + perBatch}}
		for n := seq + 1; n <= seq+perBatch; n++ {
			b.Records = append(b.Records, ofVictim(n, tallyman.Complete))
			if n > perBatch {
				// A revision that comes a batch later moves the counts from one cell to another.
				b.Records = append(b.Records, ofVictim(n-perBatch, tallyman.Failed))
			}
		}
		if err = l.Write(ctx, b); err == nil {
			fmt.Println(b.Mark.Seq)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func ofVictim(n uint64, v tallyman.Verdict) *tallyman.Transfer {
	start := time.Date(2026, 3, 9, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Minute)
	t := &tallyman.Transfer{
		ID: tallyman.DrawUUID(start, tallyman.ID{Agent: victimAgent, Epoch: 1, Seq: n}), Rev: uint32(v), Start: start, End: start.Add(time.Second), Seen: start,
		Host: "h", Proto: "tftp", Op: tallyman.OpGet, Name: fmt.Sprintf("file-%d", n%97), Bytes: int64(n), Expected: -1,
		Judgement: tallyman.Judgement{Verdict: v, Reason: tallyman.FinalAck},
	}
	e := tallyman.Unknown()
	e.ID = tallyman.ID{Agent: victimAgent, Epoch: 1, Seq: n}
	t.Evidence = []tallyman.Evidence{e}
	return t
}

func TestKilledWriterLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tallyman.db")
	var acked uint64
	for round := range kills {
		acked = max(acked, runVictim(t, path, 2+round*7%23))
		l := openAt(t, path)
		mark, err := l.Committed(t.Context(), victimAgent)
		if err != nil {
			t.Fatal(err)
		}
		if mark.Seq < acked {
			t.Fatalf("the victim was told that %d is stored, the ledger has %d", acked, mark.Seq)
		}
		check(t, l, mark.Seq)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// runVictim kills the victim after some batches and returns the last one that it told of.
func runVictim(t *testing.T, path string, batches int) (acked uint64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), victimPath+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); batches-- {
		if acked, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
			t.Fatal(err)
		}
		if batches == 0 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
		t.Fatalf("the victim ended by itself: %v", err)
	}
	return acked
}

// check finds each record up to the mark once, in the revision that the mark implies, and none beyond.
func check(t *testing.T, l *Ledger, mark uint64) {
	t.Helper()
	seen := map[tallyman.UUID]bool{}
	for tr, err := range l.Transfers(t.Context(), tallyman.Query{Evidence: true}) {
		if err != nil {
			t.Fatal(err)
		}
		n := tr.Evidence[0].ID.Seq
		want := tallyman.Failed
		if n > mark-perBatch {
			want = tallyman.Complete
		}
		if n > mark || seen[tr.ID] || len(tr.Evidence) != 1 || tr.Judgement.Verdict != want && tr.Rev != uint32(tallyman.Failed) {
			t.Fatalf("mark %d: record %d is %v, seen before: %v", mark, n, tr.Judgement.Verdict, seen[tr.ID])
		}
		seen[tr.ID] = true
	}
	if uint64(len(seen)) != mark {
		t.Fatalf("%d records of %d", len(seen), mark)
	}
	for day := ofVictim(0, tallyman.Complete).Start; day.Before(ofVictim(mark, tallyman.Complete).Start); day = day.AddDate(0, 0, 1) {
		r, err := l.Recount(t.Context(), day)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Differences) > 0 {
			t.Fatalf("mark %d: %+v", mark, r.Differences)
		}
	}
	var sound string
	if err := l.read.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&sound); err != nil || sound != "ok" {
		t.Fatalf("the file is damaged: %s, %v", sound, err)
	}
}
