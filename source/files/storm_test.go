//go:build root && !race

package files_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"tallyman"
)

func TestStormLosesNothing(t *testing.T) {
	const n = 12_000
	r := newRig(t)
	r.act(order{Do: "storm", Path: r.root, N: n})
	r.settled()
	opened, closed, renamed := map[string]int{}, map[string]int64{}, map[string]int{}
	for _, e := range r.have(all) {
		name := strings.TrimSuffix(filepath.Base(e.Path), ".part")
		switch e.Kind {
		case tallyman.KindOpened:
			opened[name]++
		case tallyman.KindClosed:
			closed[name] = e.Size
		case tallyman.KindRenamed:
			renamed[name]++
		case tallyman.KindGap:
			t.Errorf("gap: %s", e.Err)
		default: // the storm does nothing else that counts
		}
	}
	for i := range n {
		name := fmt.Sprintf("f%05d", i)
		if opened[name] != 1 || renamed[name] != 1 || closed[name] != int64(i%1000) {
			told := r.have(func(e *tallyman.Evidence) bool { return strings.HasPrefix(filepath.Base(e.Path), name) })
			t.Fatalf("%s: opened %d times, renamed %d times, size %d, not %d: %s", name, opened[name], renamed[name], closed[name], i%1000, tale(told))
		}
	}
}

// The race of new folders: 2,000 times a deep folder is made and a file written in it at once.
func TestFileSystemMarksMissNothingInNewFolders(t *testing.T) {
	const n = 2000
	r := newRig(t)
	r.act(order{Do: "race", Path: r.root, N: n})
	r.settled()
	leaves := r.have(func(e *tallyman.Evidence) bool {
		return e.Kind == tallyman.KindClosed && strings.HasSuffix(e.Path, "/b/c/d/e/leaf")
	})
	if len(leaves) != n {
		t.Errorf("%d of %d leaves told, counts %+v", len(leaves), n, r.w.Counts())
	}
	if gaps := r.have(func(e *tallyman.Evidence) bool { return e.Kind == tallyman.KindGap }); len(gaps) > 0 {
		t.Errorf("gaps: %s", tale(gaps))
	}
}
