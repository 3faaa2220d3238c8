package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tallyman"
	client "tallyman/client/tftp"
)

// within is the program in this process.
type within struct {
	tftp, state string
	log         *output
	end         func() int // stops it as a signal does, and returns the exit code
}

// output may be written and read at once.
type output struct{ text atomic.Pointer[bytes.Buffer] }

func (o *output) Write(p []byte) (int, error) {
	for {
		old := o.text.Load()
		next := new(bytes.Buffer)
		if old != nil {
			next.Write(old.Bytes())
		}
		next.Write(p)
		if o.text.CompareAndSwap(old, next) {
			return len(p), nil
		}
	}
}

func (o *output) String() string {
	if b := o.text.Load(); b != nil {
		return b.String()
	}
	return ""
}

func serveWithin(t *testing.T, share, state string, step tallyman.Step) *within {
	t.Helper()
	ready := filepath.Join(t.TempDir(), "ready")
	w := &within{state: state, log: new(output)}
	p := &program{stdin: strings.NewReader(""), stdout: io.Discard, stderr: w.log, step: step}
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int, 1)
	go func() {
		code <- p.run(ctx, []string{"serve", share, "--state", state, "--tftp", "127.0.0.1:0", "--web", "", "--ready-file", ready})
	}()
	ended := false
	w.end = func() int {
		if ended {
			return 0
		}
		ended = true
		cancel()
		return <-code
	}
	t.Cleanup(func() { w.end() })
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case c := <-code:
			t.Fatalf("it ended with %d before it was ready: %s", c, w.log)
		case <-tick.C:
		}
		text, err := os.ReadFile(ready)
		if err != nil {
			continue
		}
		var where struct {
			TFTP string `json:"tftp"`
		}
		if err := json.Unmarshal(text, &where); err != nil {
			t.Fatal(err)
		}
		w.tftp = where.TFTP
		return w
	}
}

func (w *within) put(name string) error {
	r, err := client.ParseURL("tftp://" + w.tftp + "/" + name)
	if err == nil {
		_, err = client.Put(context.Background(), r, strings.NewReader("text"), 4, nil)
	}
	return err
}

func (w *within) get(name string) (string, error) {
	r, err := client.ParseURL("tftp://" + w.tftp + "/" + name)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	_, err = client.Get(context.Background(), r, &b, nil)
	return b.String(), err
}

// ask runs a command on the same state folder.
func (w *within) ask(args ...string) string {
	var out bytes.Buffer
	run(context.Background(), append(args, "--state", w.state), strings.NewReader(""), &out, &out)
	return out.String()
}

func TestSpoolWhoseDiskFailsRefusesUploadsAndServesReads(t *testing.T) {
	share := shareWithBig(t)
	var broken atomic.Bool
	w := serveWithin(t, share, t.TempDir(), func(op, path string) error {
		if broken.Load() && op == "sync" && strings.Contains(path, "/"+spoolDir+"/") {
			return syscall.EIO
		}
		return nil
	})
	if err := w.put("before"); err != nil {
		t.Fatal(err)
	}
	broken.Store(true)
	for range 2 {
		if err := w.put("after"); err == nil {
			t.Error("an upload is acknowledged that is not on record")
		}
	}
	if got, err := w.get("big"); err != nil || len(got) != 1<<20 {
		t.Errorf("a read: %d bytes, %v", len(got), err)
	}
	if got := w.ask("doctor"); !strings.Contains(got, "uploads are refused; check the disk and restart") {
		t.Errorf("the doctor says: %s", got)
	}
	if got := w.ask("ls"); !strings.Contains(got, "before") {
		t.Errorf("what is on record cannot be read: %s", got)
	}
	if !strings.Contains(w.log.String(), "poisoned") {
		t.Errorf("the log says: %s", w.log)
	}
	begun := time.Now()
	if code := w.end(); code != exitFailed {
		t.Errorf("it ended with %d", code)
	}
	if d := time.Since(begun); d > 10*time.Second {
		t.Errorf("it took %s to end", d)
	}
}

func TestRecordThatIsSetAsideIsOnDisk(t *testing.T) {
	h := &house{state: t.TempDir()}
	for range 2 {
		where, err := h.setAside(&tallyman.Transfer{Name: "fw\n.bin"}, errors.New("too big"))
		if err != nil || filepath.Base(where) != asideFile {
			t.Fatalf("%s: %v", where, err)
		}
	}
	text, err := os.ReadFile(filepath.Join(h.state, asideFile))
	if err != nil || strings.Count(string(text), "\n") != 2 || !strings.Contains(string(text), `"why":"too big"`) || !strings.Contains(string(text), `"file":"fw\\n.bin"`) {
		t.Errorf("%s, %v", text, err)
	}
}

// history fills a state folder with the records of n uploads and returns the program ended.
func history(t *testing.T, share, state string, names ...string) {
	t.Helper()
	w := serveWithin(t, share, state, nil)
	for _, name := range names {
		if err := w.put(name); err != nil {
			t.Fatal(err)
		}
	}
	if code := w.end(); code != exitFine {
		t.Fatalf("it ended with %d: %s", code, w.log)
	}
}

// counted checks that each name has exactly so many records.
func counted(t *testing.T, w *within, want map[string]int) {
	t.Helper()
	got := map[string]int{}
	for line := range strings.Lines(w.ask("ls", "--json")) {
		var tr tallyman.Transfer
		if json.Unmarshal([]byte(line), &tr) == nil {
			got[tr.Name]++
		}
	}
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%s has %d records, want %d", name, got[name], n)
		}
	}
}

func TestStateThatWasLostOrRestoredIsSaidAndCountsNothingTwice(t *testing.T) {
	copyOf := func(state string) func() {
		text, err := os.ReadFile(filepath.Join(state, ledgerFile))
		if err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := os.WriteFile(filepath.Join(state, ledgerFile), text, 0o640); err != nil {
				t.Fatal(err)
			}
		}
	}
	run := func(what string, harm func(state string), logged, gap string, want map[string]int) {
		t.Helper()
		share, state := shareWithBig(t), t.TempDir()
		history(t, share, state, "a")
		restore := func() {}
		if strings.HasPrefix(what, "ledger restored") {
			restore = copyOf(state)
		}
		history(t, share, state, "b")
		restore()
		harm(state)
		for range 2 { // the second start finds it in order
			w := serveWithin(t, share, state, nil)
			if err := w.put("c"); err != nil {
				t.Errorf("%s: put: %v", what, err)
			}
			if logged != "" && !strings.Contains(w.log.String(), logged) {
				t.Errorf("%s: the log does not say %q: %s", what, logged, w.log)
			}
			a := askSocket(socketPath(state))
			if _, err := awaitRecords(t.Context(), a, want["a"]+want["b"]+1); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			a.close()
			if events := w.ask("events", "kind:gap"); gap != "" && !strings.Contains(events, gap) || strings.Count(events, "blind for") > 1 {
				t.Errorf("%s: gaps: %s", what, events)
			}
			counted(t, w, map[string]int{"a": want["a"], "b": want["b"]})
			if code := w.end(); code != exitFine {
				t.Errorf("%s: it ended with %d", what, code)
			}
			logged = ""
		}
	}
	remove := func(names ...string) func(string) {
		return func(state string) {
			for _, n := range names {
				if err := os.RemoveAll(filepath.Join(state, n)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	run("spool removed", remove(spoolDir), "spool was lost", "the spool is new", map[string]int{"a": 1, "b": 1})
	run("ledger restored from a backup", remove(), "restored from a backup", "", map[string]int{"a": 1, "b": 1})
	run("ledger removed", remove(ledgerFile, ledgerFile+"-wal", ledgerFile+"-shm"), "the ledger is new", "", map[string]int{"a": 1, "b": 1})
}

func TestServerThatWasKilledLeavesAGap(t *testing.T) {
	share, state := shareWithBig(t), t.TempDir()
	history(t, share, state, "a")
	s := serveApart(t, "serve", share, "--tftp", "127.0.0.1:0", "--state", state)
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	gone(t, s.where.Socket)
	if got := (&within{state: state}).ask("db", "prune"); !strings.Contains(got, "Nothing") { // it takes the lock too
		t.Fatal(got)
	}
	for range 2 {
		w := serveWithin(t, share, state, nil)
		if err := w.put("b"); err != nil {
			t.Fatal(err)
		}
		if code := w.end(); code != exitFine {
			t.Fatalf("it ended with %d: %s", code, w.log)
		}
		if got := w.ask("events"); strings.Count(got, "without closing its books") != 1 {
			t.Errorf("events: %s", got)
		}
	}
}
