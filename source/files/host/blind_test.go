//go:build root

package host_test

import (
	"bufio"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"tallyman"
	"tallyman/source/files/host"
)

// watchEnv makes this test binary a watch that goes on until it is killed. It writes what it tells to its output.
const watchEnv = "TALLYMAN_HOST_WATCH"

func TestMain(m *testing.M) {
	if root := os.Getenv(watchEnv); root != "" {
		watchUntilKilled(root)
	}
	os.Exit(m.Run())
}

func watchUntilKilled(both string) {
	root, state, _ := strings.Cut(both, ":")
	cfg := host.Defaults("host", root)
	cfg.State = state
	w, err := host.Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		_, _ = os.Stdout.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	_, _ = os.Stdout.WriteString("watching\n")
	_ = w.Run(context.Background(), printer{})
	os.Exit(1)
}

// printer writes a line for each thing that is told.
type printer struct{}

func (printer) Record(batch ...tallyman.Evidence) {
	for i := range batch {
		_, _ = os.Stdout.WriteString(batch[i].Op.String() + " " + batch[i].Path + "\n")
	}
}

func (p printer) Commit(_ context.Context, batch ...tallyman.Evidence) error {
	p.Record(batch...)
	return nil
}

// replay makes of what was told what must stand on the disk: paths, with sizes of files.
func (r *rig) replay(onto map[string]int64) map[string]int64 {
	for _, e := range r.to.have() {
		if e.Kind == tallyman.KindGap {
			continue
		}
		switch e.Op {
		case tallyman.OpDelete:
			delete(onto, e.Path)
		case tallyman.OpRename:
			for path, size := range onto {
				if path == e.From || strings.HasPrefix(path, e.From+"/") {
					delete(onto, path)
					onto[e.Path+path[len(e.From):]] = size
				}
			}
		case tallyman.OpAttrib:
		default:
			onto[e.Path] = e.Size
		}
	}
	return onto
}

// disk is what stands on it.
func (r *rig) disk() map[string]int64 {
	r.t.Helper()
	out := map[string]int64{}
	err := filepath.Walk(r.root, func(path string, st os.FileInfo, err error) error {
		switch {
		case err != nil:
			return err
		case path == r.root:
		case st.IsDir():
			out[path] = -1
		default:
			out[path] = st.Size()
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// right fails the test where what was told is not what stands on the disk.
func (r *rig) right(before map[string]int64) {
	r.t.Helper()
	told, is := r.replay(before), r.disk()
	wrong := 0
	for path, size := range is {
		if got, ok := told[path]; !ok || got != size {
			if wrong++; wrong < 8 {
				r.t.Errorf("%s is %d, told %d, %v", path, size, got, ok)
			}
		}
	}
	for path := range told {
		if _, ok := is[path]; !ok {
			if wrong++; wrong < 8 {
				r.t.Errorf("%s is not there, and was told", path)
			}
		}
	}
	if wrong > 0 {
		r.t.Errorf("%d of %d are wrong", wrong, len(is))
	}
}

func (r *rig) gaps() (out []string) {
	for _, e := range r.to.have() {
		if e.Kind == tallyman.KindGap {
			out = append(out, e.Err)
		}
	}
	return out
}

const changes = `
mkdir -p d/e; for i in $(seq 300); do echo $i > f$i; done; for i in $(seq 50); do mv f$i d/e/g$i; done; rm f1?? f60
for i in $(seq 201 250); do echo more >> f$i; done; mv d/e d/h; ln f300 link; ln -s f300 soft; cp -r d copy; rm -r d
`

func TestOverflowIsAGapAndTheFinalStateIsRight(t *testing.T) {
	s := newStick(t)
	const bound = "/proc/sys/fs/fanotify/max_queued_events"
	was, err := os.ReadFile(bound)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bound, []byte("16"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.WriteFile(bound, was, 0o600) })
	var held sync.Mutex
	r := watch(t, s.at, "", func(c *host.Config) {
		c.Bounded = true
		c.Slow = func() { held.Lock(); held.Unlock() } //nolint:staticcheck // it waits while the test holds it
	})
	if err := os.WriteFile(bound, was, 0o600); err != nil {
		t.Fatal(err)
	}
	before := r.disk()
	held.Lock()
	cmd := exec.CommandContext(context.Background(), "bash", "-euc", changes)
	cmd.Dir = r.root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	held.Unlock()
	r.sh("true")
	r.stop()
	if gaps := r.gaps(); !slices.ContainsFunc(gaps, func(g string) bool { return strings.Contains(g, "queue of file events was full") }) {
		t.Errorf("no gap: %q", gaps)
	}
	r.right(before)
}

func TestKillIsAGapAndTheFinalStateIsRight(t *testing.T) {
	s := newStick(t)
	state := t.TempDir()
	r := watch(t, s.at, state, nil)
	r.sh("mkdir old; for i in $(seq 20); do echo $i > old/$i; done")
	r.stop()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), watchEnv+"="+s.at+":"+state)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	await := func(want string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), want) {
				return
			}
		}
		t.Fatalf("it never said %q", want)
	}
	await("watching")
	before := r.disk()
	run(t, "bash", "-euc", "cd "+s.at+"; echo seen > seen; rm old/1")
	await("delete " + s.at + "/old/1")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	run(t, "bash", "-euc", "cd "+s.at+changes+"\nmv old new; rm new/2; echo more >> new/3; chmod 600 new/4")
	r = watch(t, s.at, state, nil)
	r.sh("true")
	r.stop()
	if gaps := r.gaps(); len(gaps) != 1 || gaps[0] != "the program did not run" {
		t.Errorf("gaps: %q", gaps)
	}
	// What was told before the kill may be told again, or not.
	before[s.at+"/seen"] = 5
	delete(before, s.at+"/old/1")
	r.right(before)
	deeds := r.deeds()
	for _, want := range []string{"rename old -> new", "delete new/2", "modify new/3", "attrib new/4"} {
		if deeds[want] != 1 {
			t.Errorf("%q was told %d times: %s", want, deeds[want], r.tale())
		}
	}
}

func TestUnmountIsAGapAndTheFinalStateIsRight(t *testing.T) {
	s := newStick(t)
	r := watch(t, s.at, t.TempDir(), nil)
	r.sh("mkdir old; for i in $(seq 20); do echo $i > old/$i; done; echo x > mine")
	before := r.disk()
	had := len(r.to.have())
	s.unmount()
	r.until(func(e *tallyman.Evidence) bool { return strings.Contains(e.Err, "went out of sight") }, "a gap for the unmount")
	other := t.TempDir()
	run(t, "mount", "-o", "loop", s.image, other)
	run(t, "bash", "-euc", "cd "+other+changes+"\nmv old new; rm new/2; echo more >> new/3; rm mine")
	run(t, "umount", other)
	s.mount()
	r.until(func(e *tallyman.Evidence) bool { return strings.Contains(e.Err, "was out of sight") }, "a gap for the mount")
	r.sh("true")
	r.stop()
	r.to.all = r.to.all[had:]
	r.right(before)
}
