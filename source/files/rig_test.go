package files_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/files"
)

// actorEnv makes this test binary an actor: a process that does to files what it is told, because the doings of the test itself are not told.
const actorEnv = "TALLYMAN_FILES_ACTOR"

func TestMain(m *testing.M) {
	switch root := os.Getenv(actorEnv); root {
	case "":
	case "1":
		act()
		return
	default:
		watchUntilKilled(root)
	}
	os.Exit(m.Run())
}

// watchUntilKilled watches a root for good.
func watchUntilKilled(root string) {
	w, err := files.Open(files.Defaults("host", files.Root{Path: root}), slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("watching:", w.Ability().Says, w.Ability().Remedy)
	_ = w.Run(context.Background(), &recorder{came: make(chan struct{}, 1), held: make(chan struct{}, 1)})
	os.Exit(1)
}

// order is what an actor is told to do, one a line.
type order struct {
	Do, Path, To string
	FD, N        int
}

// act obeys orders and answers each with a line: "" or an error.
func act() {
	open := map[int]*os.File{}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var o order
		err := json.Unmarshal(in.Bytes(), &o)
		if err == nil {
			err = obey(o, open)
		}
		answer := ""
		if err != nil {
			answer = err.Error()
		}
		fmt.Println(answer)
	}
}

func obey(o order, open map[int]*os.File) (err error) {
	path := raw(o.Path)
	f := open[o.FD]
	switch o.Do {
	case "open":
		open[o.FD], err = os.Open(path)
	case "create":
		open[o.FD], err = os.Create(path)
	case "append":
		open[o.FD], err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	case "write":
		_, err = f.Write(make([]byte, o.N))
	case "read":
		_, err = f.Read(make([]byte, o.N))
	case "close":
		err = f.Close()
	case "rename":
		err = os.Rename(path, raw(o.To))
	case "remove":
		err = os.RemoveAll(path)
	case "mkdir":
		err = os.MkdirAll(path, 0o755)
	case "symlink":
		err = os.Symlink(raw(o.To), path)
	case "put":
		err = os.WriteFile(path, make([]byte, o.N), 0o644)
	case "storm": // N files, each written, closed, renamed and removed again but for the last step
		for i := range o.N {
			name := filepath.Join(path, fmt.Sprintf("f%05d", i))
			if err := os.WriteFile(name+".part", make([]byte, i%1000), 0o644); err != nil {
				return err
			}
			if err := os.Rename(name+".part", name); err != nil {
				return err
			}
		}
	case "race": // deep folders, filled at once
		for i := range o.N {
			dir := filepath.Join(path, fmt.Sprint(i), "b", "c", "d", "e")
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, "leaf"), make([]byte, 10), 0o644); err != nil {
				return err
			}
		}
	default:
		err = fmt.Errorf("no order %q", o.Do)
	}
	return err
}

// raw and cooked bring any bytes through JSON.
func cooked(s string) string { return fmt.Sprintf("%x", s) }

func raw(s string) string {
	var b []byte
	_, _ = fmt.Sscanf(s, "%x", &b)
	return string(b)
}

type actor struct {
	t   testing.TB
	cmd *exec.Cmd
	in  *json.Encoder
	out *bufio.Scanner
}

func newActor(t testing.TB) *actor {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	a := &actor{t: t, cmd: exec.Command(self)}
	a.cmd.Env = append(os.Environ(), actorEnv+"=1")
	a.cmd.Stderr = os.Stderr
	in, err := a.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	a.in, a.out = json.NewEncoder(in), bufio.NewScanner(out)
	t.Cleanup(func() {
		_ = in.Close()
		_ = a.cmd.Wait()
	})
	return a
}

func (a *actor) pid() int32 { return int32(a.cmd.Process.Pid) }

func (a *actor) do(o order) {
	a.t.Helper()
	o.Path, o.To = cooked(o.Path), cooked(o.To)
	if err := a.in.Encode(o); err != nil {
		a.t.Fatal(err)
	}
	if !a.out.Scan() {
		a.t.Fatalf("the actor is gone after %+v", o)
	}
	if a.out.Text() != "" {
		a.t.Fatalf("%s %q: %s", o.Do, raw(o.Path), a.out.Text())
	}
}

// recorder keeps evidence, and holds the watcher up while it is shut.
type recorder struct {
	mu   sync.Mutex
	gate sync.Mutex
	all  []tallyman.Evidence
	came chan struct{}
	held chan struct{}
}

func (r *recorder) Record(batch ...tallyman.Evidence) {
	if !r.gate.TryLock() {
		r.held <- struct{}{}
		r.gate.Lock()
	}
	defer r.gate.Unlock()
	r.mu.Lock()
	r.all = append(r.all, batch...)
	r.mu.Unlock()
	select {
	case r.came <- struct{}{}:
	default:
	}
}

func (r *recorder) Commit(_ context.Context, batch ...tallyman.Evidence) error {
	r.Record(batch...)
	return nil
}

func (r *recorder) have(match func(*tallyman.Evidence) bool) []tallyman.Evidence {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []tallyman.Evidence
	for i := range r.all {
		if match(&r.all[i]) {
			out = append(out, r.all[i])
		}
	}
	return out
}

// soon bounds how long a test waits for what must come.
const soon = 30 * time.Second

// until waits for so many pieces of evidence.
func (r *recorder) until(t testing.TB, n int, match func(*tallyman.Evidence) bool) []tallyman.Evidence {
	t.Helper()
	late := time.After(soon)
	for {
		if got := r.have(match); len(got) >= n {
			return got
		}
		select {
		case <-r.came:
		case <-late:
			t.Fatalf("%d of %d came. All: %s", len(r.have(match)), n, tale(r.have(all)))
		}
	}
}

func all(*tallyman.Evidence) bool { return true }

// tale is evidence in short words.
func tale(list []tallyman.Evidence) string {
	var b strings.Builder
	for i := range list {
		if i == 60 {
			fmt.Fprintf(&b, "\n ... %d more", len(list)-i)
			break
		}
		e := &list[i]
		fmt.Fprintf(&b, "\n  %s %s %q from %q size %d pid %d %s %s %s", e.Kind, e.Op, e.Path, e.From, e.Size, e.Proc.PID, e.File, e.Details, e.Err)
	}
	return b.String()
}

// rig is a watched root and an actor.
type rig struct {
	*recorder
	t      testing.TB
	root   string
	actor  *actor
	cfg    files.Config
	w      *files.Watcher
	stop   func()
	marked int
}

// newRig watches a new folder.
func newRig(t testing.TB, set ...func(*rig)) *rig {
	t.Helper()
	r := &rig{recorder: &recorder{came: make(chan struct{}, 1), held: make(chan struct{}, 1)}, t: t, root: folder(t), actor: newActor(t)}
	r.cfg = files.Defaults("host", files.Root{Path: r.root, Proto: "tftp"})
	for _, s := range set {
		s(r)
	}
	r.start()
	t.Cleanup(func() { r.stop() })
	return r
}

// folder makes a folder and returns its real path.
func folder(t testing.TB) string {
	t.Helper()
	path, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func in(mode files.Mode) func(*rig) { return func(r *rig) { r.cfg.Mode = mode } }

func (r *rig) start() {
	r.t.Helper()
	w, err := files.Open(r.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		r.t.Fatal(err)
	}
	r.w = w
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx, r) }()
	r.stop = func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("run: %v", err)
		}
		w.Close()
		r.stop = func() {}
	}
}

func (r *rig) path(elem ...string) string { return filepath.Join(append([]string{r.root}, elem...)...) }

// act does orders on files of the root.
func (r *rig) act(orders ...order) {
	r.t.Helper()
	for _, o := range orders {
		if o.Path != "" && !filepath.IsAbs(o.Path) {
			o.Path = r.path(o.Path)
		}
		if o.To != "" && !filepath.IsAbs(o.To) {
			o.To = r.path(o.To)
		}
		r.actor.do(o)
	}
}

// settled waits until all that was done before has been told, and returns what was told but for the mark itself.
func (r *rig) settled() []tallyman.Evidence {
	r.t.Helper()
	r.marked++
	mark := r.path(fmt.Sprintf("mark%d", r.marked))
	r.act(order{Do: "put", Path: mark, N: 1})
	r.until(r.t, 1, func(e *tallyman.Evidence) bool { return e.Kind == tallyman.KindClosed && e.Path == mark })
	return r.have(func(e *tallyman.Evidence) bool { return !strings.HasPrefix(filepath.Base(e.Path), "mark") })
}

// tells compares what was told with lines of "kind op name [from name] size".
func (r *rig) tells(want ...string) []tallyman.Evidence {
	r.t.Helper()
	got := r.settled()
	var lines []string
	for i := range got {
		e := &got[i]
		line := fmt.Sprintf("%s %s %s", e.Kind, e.Op, strings.TrimPrefix(e.Path, r.root+"/"))
		if e.From != "" {
			line += " from " + strings.TrimPrefix(e.From, r.root+"/")
		}
		if e.Kind != tallyman.KindDeleted && (e.Kind != tallyman.KindOpened || e.Op == tallyman.OpGet) { // of an upload, the writer may have been faster than we
			line += fmt.Sprintf(" %d", e.Size)
		}
		lines = append(lines, line)
	}
	if !slices.Equal(lines, want) {
		r.t.Errorf("told %q,\nnot  %q:%s", lines, want, tale(got))
	}
	return got
}

// details reads the details of evidence.
func details(t testing.TB, e tallyman.Evidence) map[string]any {
	t.Helper()
	m := map[string]any{}
	if err := json.Unmarshal([]byte(e.Details), &m); err != nil {
		t.Fatalf("%s: %v", e.Details, err)
	}
	return m
}

// having puts a file into the root before it is watched.
func having(name string, size int) func(*rig) {
	return func(r *rig) {
		if err := os.WriteFile(r.path(name), make([]byte, size), 0o644); err != nil {
			r.t.Fatal(err)
		}
	}
}

// waitHeld waits until the watcher wants to tell something and is held up by the shut gate.
func (r *rig) waitHeld() {
	r.t.Helper()
	select {
	case <-r.held:
	case <-time.After(soon):
		r.t.Fatal("the watcher tells nothing")
	}
}

// counted waits for counts.
func (r *rig) counted(match func(files.Counts) bool) {
	r.t.Helper()
	late := time.After(soon)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !match(r.w.Counts()) {
		select {
		case <-tick.C:
		case <-late:
			r.t.Fatalf("counts %+v", r.w.Counts())
		}
	}
}
