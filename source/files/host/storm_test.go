//go:build root && !race

package host_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"tallyman"
)

// Folders are filled the moment they are made: nobody could look into them in between.
func TestNewFoldersHideNothing(t *testing.T) {
	s := newStick(t)
	r := watch(t, s.at, "", nil)
	before := r.disk()
	r.sh(`python3 -c '
import os
for i in range(1, 2001):
    os.makedirs("r%d/b/c/d/e" % i); open("r%d/b/c/d/e/leaf" % i, "w").write("x")
'`)
	r.stop()
	var want []string
	for i := range 2000 {
		want = append(want, fmt.Sprintf("create r%d/b/c/d/e/leaf", i+1), fmt.Sprintf("create r%d", i+1), fmt.Sprintf("create r%d/b/c/d/e", i+1))
	}
	r.told(want...)
	r.right(before)
}

// Programs that live for a millisecond are known all the same, with their own process.
func TestShortProcessesAreNamed(t *testing.T) {
	s := newStick(t)
	r := watch(t, s.at, "", nil)
	out := filepath.Join(t.TempDir(), "pids")
	r.sh(`echo src > src; for i in $(seq 150); do
  cp src c$i & echo "c$i $!" >> ` + out + `; wait; touch t$i & echo "t$i $!" >> ` + out + `; wait; mv t$i m$i & echo "m$i $!" >> ` + out + `; wait; done`)
	r.stop()
	pids := map[string]string{}
	for line := range strings.Lines(run(t, "cat", out)) {
		name, pid, _ := strings.Cut(strings.TrimSpace(line), " ")
		pids[name] = pid
	}
	exes := map[string]string{"c": "/cp", "t": "/touch", "m": "/mv"}
	n, exe, pid, why := 0, 0, 0, ""
	for _, e := range r.to.have() {
		name := strings.TrimPrefix(e.Path, s.at+"/")
		if pids[name] == "" || e.Op == tallyman.OpAttrib {
			continue
		}
		n++
		if fmt.Sprint(e.Proc.PID) == pids[name] {
			pid++
		}
		if strings.Contains(e.Details, exes[name[:1]]+`"`) {
			exe++
		} else {
			why = e.Details
		}
	}
	if n < 450 || exe*100 < n*99 || pid*100 < n*99 {
		t.Errorf("of %d: program %d, process %d; %s", n, exe, pid, why)
	}
}
