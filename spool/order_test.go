package spool

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tallyman/spool/segment"
)

// TestNamesAreDurableBeforeWhatHangsOnThem reads the order of all file operations of the work. A journaling file system forgives some of these
// omissions, so that no power cut on it finds them.
func TestNamesAreDurableBeforeWhatHangsOnThem(t *testing.T) {
	dir := t.TempDir()
	var mu sync.Mutex
	var trace []string
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if err := work(filepath.Join(dir, "spool"), "traced", null, func(op, path string) error {
		mu.Lock()
		defer mu.Unlock()
		if op != "read" && op != "open" {
			trace = append(trace, op+" "+filepath.Base(path))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	owed := map[string]string{} // what must be synced before anything else is acknowledged, and why
	seen := map[string]int{}
	for i, line := range trace {
		op, name, _ := strings.Cut(line, " ")
		seen[op]++
		switch {
		case op == "create" && strings.HasSuffix(name, ".seg"), op == "remove":
			owed["syncdir spool"] = line
		case op == "mkdir":
			owed["syncdir "+filepath.Base(dir)] = line
		case op == "write" && strings.HasSuffix(name, ".tmp"):
			owed["sync "+name] = line
		case op == "rename":
			if why := owed["sync "+name]; why != "" {
				t.Errorf("operation %d: %s before its content is synced", i, line)
			}
			owed["syncdir spool"] = line
		case op == "sync" && strings.HasSuffix(name, ".seg"):
			for what, why := range owed {
				t.Errorf("operation %d: %s while %q is owed since %q", i, line, what, why)
			}
		}
		delete(owed, line)
	}
	if len(owed) > 0 {
		t.Errorf("at the end %v is owed", owed)
	}
	for _, op := range []string{"mkdir", "create", "remove", "rename", "sync", "syncdir"} {
		if seen[op] < 2 {
			t.Errorf("the work has %d times %s: %v", seen[op], op, trace)
		}
	}
}

func TestOpenSyncsTheNewestSegmentBeforeAnyoneReadsIt(t *testing.T) {
	files, want := filled(t, 3)
	cfg := small(lay(t, files))
	synced := false
	cfg.Step = func(op, path string) error {
		synced = synced || op == "sync" && path == filepath.Join(cfg.Dir, segment.FileName(1, 1))
		return nil
	}
	s := mustOpen(t, cfg)
	defer s.Close()
	if !synced {
		t.Fatal("what a process that was killed has left in the page cache would be delivered, and lost by a power cut")
	}
	same(t, "after open", drain(t, s, mustReader(t, s, "join")), want)
}
