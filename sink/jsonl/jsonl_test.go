package jsonl_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tallyman"
	"tallyman/sink/jsonl"
)

// TestMain lets the test be a second process that writes.
func TestMain(m *testing.M) {
	if file := os.Getenv("TEST_JSONL_FILE"); file != "" {
		if err := writeMany(file, os.Getenv("TEST_JSONL_NAME"), 200); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func record(name string) *tallyman.Transfer {
	at := time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC)
	return &tallyman.Transfer{ID: tallyman.DrawUUID(at, tallyman.ID{Seq: 1}), Rev: 1, Start: at, Name: name, Expected: -1, Bytes: -1}
}

func batch(names ...string) tallyman.Batch {
	var b tallyman.Batch
	for _, n := range names {
		b.Records = append(b.Records, record(n))
	}
	return b
}

func writeMany(file, name string, n int) error {
	s, err := jsonl.Open(jsonl.Config{File: file, MaxSize: 64 << 10, Keep: 100})
	if err != nil {
		return err
	}
	for i := range n {
		if err := s.Write(context.Background(), batch(fmt.Sprintf("%s-%d", name, i), fmt.Sprintf("%s-%d-b", name, i))); err != nil {
			return err
		}
	}
	return s.Close()
}

func open(t *testing.T, cfg jsonl.Config) *jsonl.Sink {
	t.Helper()
	s, err := jsonl.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func write(t *testing.T, s *jsonl.Sink, names ...string) {
	t.Helper()
	if err := s.Write(t.Context(), batch(names...)); err != nil {
		t.Fatal(err)
	}
}

// names reads all files of the sink and returns how often each name stands there.
func names(t *testing.T, pattern string) map[string]int {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		in := bufio.NewScanner(f)
		for in.Scan() {
			tr := new(tallyman.Transfer)
			if err := json.Unmarshal(in.Bytes(), tr); err != nil {
				t.Fatalf("%s: line %q is no record: %v", name, in.Text(), err)
			}
			out[tr.Name]++
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestRecordIsOneLineWhateverItsName(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.jsonl")
	s := open(t, jsonl.Config{File: file})
	hostile := "a\nb\x1b[31m\xff{\"id\":"
	write(t, s, hostile, "plain")
	if got := names(t, file); got[hostile] != 1 || got["plain"] != 1 || len(got) != 2 {
		t.Errorf("%v", got)
	}
}

func TestWritersOfTwoProcessesNeverMixLinesNorLoseOneAcrossRotation(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.jsonl")
	var each sync.WaitGroup
	for n := range 3 {
		each.Go(func() {
			c := exec.Command(os.Args[0])
			c.Env = append(os.Environ(), "TEST_JSONL_FILE="+file, "TEST_JSONL_NAME=child"+strconv.Itoa(n))
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("child %d: %v: %s", n, err, out)
			}
		})
		each.Go(func() {
			if err := writeMany(file, "own"+strconv.Itoa(n), 200); err != nil {
				t.Error(err)
			}
		})
	}
	each.Wait()
	got := names(t, file+"*")
	if len(got) != 6*400 {
		t.Errorf("%d of %d records", len(got), 6*400)
	}
	for name, n := range got {
		if n != 1 {
			t.Errorf("%s stands %d times", name, n)
		}
	}
	if _, err := os.Stat(file + ".2"); err != nil {
		t.Errorf("the file was not rotated: %v", err)
	}
}

func TestRotationKeepsSoManyFilesAndNoLineIsCut(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.jsonl")
	s := open(t, jsonl.Config{File: file, MaxSize: 1000, Keep: 2})
	for i := range 60 {
		write(t, s, "f"+strconv.Itoa(i))
	}
	files, err := filepath.Glob(file + "*")
	if err != nil || len(files) != 3 {
		t.Fatalf("%q, %v", files, err)
	}
	if got := names(t, file+"*"); got["f59"] != 1 || got["f0"] != 0 {
		t.Errorf("the newest must stay and the oldest go: %v", got)
	}
	for _, f := range files {
		if st, err := os.Stat(f); err != nil || st.Size() > 1000 {
			t.Errorf("%s: %d bytes, %v", f, st.Size(), err)
		}
	}
}

func TestFileThatWasMovedAwayIsMadeAnewAtReopen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.jsonl")
	s := open(t, jsonl.Config{File: file})
	write(t, s, "one")
	if err := os.Rename(file, file+".old"); err != nil {
		t.Fatal(err)
	}
	write(t, s, "two") // before the signal it still goes into the file that logrotate has moved
	if err := s.Reopen(); err != nil {
		t.Fatal(err)
	}
	write(t, s, "three")
	if old := names(t, file+".old"); old["one"] != 1 || old["two"] != 1 {
		t.Errorf("old file: %v", old)
	}
	if got := names(t, file); got["three"] != 1 || len(got) != 1 {
		t.Errorf("new file: %v", got)
	}
}

func TestTornLineOfACrashIsEndedAndOldContentStays(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.jsonl")
	const torn = `{"id":"01`
	if err := os.WriteFile(file, []byte("{}\n"+torn), 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, open(t, jsonl.Config{File: file}), "after")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) != 3 || lines[0] != "{}" || lines[1] != torn || !strings.Contains(lines[2], `"after"`) {
		t.Errorf("%q", lines)
	}
}

func TestBatchThatTheDiskDoesNotTakeLeavesNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.jsonl")
	s := open(t, jsonl.Config{File: file})
	write(t, s, "one")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// RLIMIT_FSIZE makes the kernel write the first bytes of a batch and refuse the rest, as a full disk does (setrlimit(2)).
	limit(t, uint64(len(before))+50)
	err = s.Write(t.Context(), batch("two", "three"))
	limit(t, ^uint64(0))
	if err == nil {
		t.Fatal("the batch was taken")
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
		t.Errorf("%q, %v", after, err)
	}
	write(t, s, "two", "three")
	if got := names(t, file); len(got) != 3 {
		t.Errorf("after the disk has room: %v", got)
	}
}

// limit sets the largest size of a file that this process may write.
func limit(t *testing.T, n uint64) {
	t.Helper()
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
		t.Fatal(err)
	}
	l.Cur = min(n, l.Max)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
		t.Fatal(err)
	}
}

func TestWrongConfigurationSaysWhatToDo(t *testing.T) {
	if _, err := jsonl.Open(jsonl.Config{}); err == nil || !strings.Contains(err.Error(), "jsonl.file") {
		t.Errorf("%v", err)
	}
	if _, err := jsonl.Open(jsonl.Config{File: filepath.Join(t.TempDir(), "no", "such", "folder")}); err == nil {
		t.Error("a folder that does not exist was accepted")
	}
}
