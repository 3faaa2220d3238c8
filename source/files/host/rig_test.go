//go:build root

package host_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/files/host"
)

// recorder keeps what is told.
type recorder struct {
	mu   sync.Mutex
	all  []tallyman.Evidence
	came chan struct{}
}

func newRecorder() *recorder { return &recorder{came: make(chan struct{}, 1)} }

func (r *recorder) Record(batch ...tallyman.Evidence) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, batch...)
	select {
	case r.came <- struct{}{}:
	default:
	}
}

func (r *recorder) Commit(_ context.Context, batch ...tallyman.Evidence) error {
	r.Record(batch...)
	return nil
}

func (r *recorder) have() []tallyman.Evidence {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// stick is an ext4 of its own on a loop device, made and removed by the test.
type stick struct {
	t     testing.TB
	image string
	at    string
}

func newStick(t testing.TB) *stick {
	t.Helper()
	dir := t.TempDir()
	s := &stick{t: t, image: dir + "/image", at: dir + "/mnt"}
	run(t, "truncate", "-s", "96M", s.image)
	run(t, "mkfs.ext4", "-q", "-F", "-N", "40000", s.image)
	if err := os.Mkdir(s.at, 0o755); err != nil {
		t.Fatal(err)
	}
	s.mount()
	t.Cleanup(func() { _ = exec.Command("umount", "-l", s.at).Run() })
	return s
}

func (s *stick) mount()   { run(s.t, "mount", "-o", "loop", s.image, s.at) }
func (s *stick) unmount() { run(s.t, "umount", s.at) }

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(context.Background(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// rig is a watch over a folder.
type rig struct {
	t     testing.TB
	root  string
	state string
	w     *host.Watcher
	to    *recorder
	stop  func()
	marks int
}

// watch begins to watch root. What set does to the configuration comes last.
func watch(t testing.TB, root, state string, set func(*host.Config)) *rig {
	t.Helper()
	cfg := host.Defaults("host", root)
	cfg.State = state
	cfg.Every = 0
	if set != nil {
		set(&cfg)
	}
	w, err := host.Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, root: root, state: state, w: w, to: newRecorder()}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx, r.to) }()
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			w.Close()
		})
	}
	t.Cleanup(r.stop)
	return r
}

// sh runs a script in the watched folder, and waits until a last file of it was told of.
func (r *rig) sh(script string) {
	r.t.Helper()
	r.marks++
	name := fmt.Sprintf("mark-%d", r.marks)
	_ = os.Remove(filepath.Join(r.root, name))
	cmd := exec.CommandContext(context.Background(), "bash", "-euc", script+"\ncd "+quote(r.root)+"\n: > "+name)
	cmd.Dir = r.root
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("%v: %s\n%s", err, out, script)
	}
	r.until(func(e *tallyman.Evidence) bool { return e.Path == filepath.Join(r.root, name) }, name)
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// until waits for evidence.
func (r *rig) until(is func(*tallyman.Evidence) bool, what string) {
	r.t.Helper()
	late := time.After(20 * time.Second)
	for {
		all := r.to.have()
		if slices.ContainsFunc(all, func(e tallyman.Evidence) bool { return is(&e) }) {
			return
		}
		select {
		case <-r.to.came:
		case <-late:
			r.t.Fatalf("never told: %s, of %s", what, r.tale())
		}
	}
}

// tale writes what was told, for people.
func (r *rig) tale() string {
	var b strings.Builder
	all := r.to.have()
	for _, e := range all[max(0, len(all)-60):] {
		fmt.Fprintf(&b, "\n%s %s %s < %s  size %d pid %d %s %s", e.Kind, e.Op, e.Path, e.From, e.Size, e.Proc.PID, e.Details, e.Err)
	}
	return b.String()
}

// deeds counts what was told, as lines such as "rename a -> b", relative to the root.
func (r *rig) deeds() map[string]int {
	out := map[string]int{}
	for _, e := range r.to.have() {
		name := strings.TrimPrefix(strings.TrimPrefix(e.Path, r.root), "/")
		switch {
		case e.Kind == tallyman.KindGap:
			out["gap"]++
		case strings.HasPrefix(name, "mark-"):
		case e.From != "":
			out[e.Op.String()+" "+strings.TrimPrefix(strings.TrimPrefix(e.From, r.root), "/")+" -> "+name]++
		default:
			out[e.Op.String()+" "+name]++
		}
	}
	return out
}

// told fails the test for each deed that was not told, and for a gap.
func (r *rig) told(want ...string) {
	r.t.Helper()
	got := r.deeds()
	missing := 0
	for _, line := range want {
		if got[line] == 0 {
			missing++
			if missing < 10 {
				r.t.Errorf("not told: %q", line)
			}
		}
		got[line]--
	}
	if missing > 0 {
		r.t.Errorf("recall %.3f of %d; told besides: %q", 1-float64(missing)/float64(len(want)), len(want), rest(got))
	}
	if got["gap"] > 0 {
		r.t.Errorf("gaps: %q", r.gaps())
	}
}

func rest(got map[string]int) (out []string) {
	for _, line := range slices.Sorted(maps.Keys(got)) {
		if got[line] > 0 && len(out) < 40 {
			out = append(out, line)
		}
	}
	return out
}
