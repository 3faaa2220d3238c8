//go:build root

package files_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/source/files"
)

func TestReadIsToldWithItsProcess(t *testing.T) {
	r := newRig(t, ofItsOwn, having("a", 3000))
	r.act(order{Do: "open", Path: "a"}, order{Do: "read", N: 512}, order{Do: "close"})
	got := r.tells("opened get a 3000", "closed get a 3000")
	if got[0].Proc.PID != r.actor.pid() || got[0].Proc.Start == 0 || got[0].Proc != got[1].Proc {
		t.Errorf("process %+v, the actor is %d", got[0].Proc, r.actor.pid())
	}
	if got[0].File == "" || got[0].File != got[1].File || !got[1].Began.Equal(got[0].Time) || got[1].Began.IsZero() {
		t.Errorf("they do not belong together: %+v", got)
	}
	d := details(t, got[1])
	if d["close"] != "nowrite" || d["accessed"] != true || d["modified"] != false || d["created"] != false || d["comm"] != "files.test" || d["user"] != "root" {
		t.Errorf("details %v", d)
	}
}

// A file that was opened and never read was opened for reading all the same.
func TestOpenWithoutAReadIsTold(t *testing.T) {
	r := newRig(t, ofItsOwn, having("a", 3000))
	r.act(order{Do: "open", Path: "a"}, order{Do: "close"})
	got := r.tells("opened get a 3000", "closed get a 3000")
	if d := details(t, got[1]); d["accessed"] != false {
		t.Errorf("details %v", d)
	}
}

func TestOverwritingIsAnUploadFromTheOpenOn(t *testing.T) {
	r := newRig(t, ofItsOwn, having("a", 3000))
	r.act(order{Do: "create", Path: "a"})
	r.tells("opened put a")
	r.act(order{Do: "write", N: 10}, order{Do: "close"})
	got := r.tells("opened put a", "closed put a 10")
	if d := details(t, got[1]); d["created"] != false || d["truncated"] != true {
		t.Errorf("details %v", d)
	}
}

func TestTwoProcessesOnOneFileAreToldApart(t *testing.T) {
	r := newRig(t, ofItsOwn, having("a", 100))
	other := newActor(t)
	r.act(order{Do: "open", Path: "a"})
	other.do(order{Do: "open", Path: r.path("a")})
	other.do(order{Do: "read", N: 10})
	r.act(order{Do: "close"})
	other.do(order{Do: "close"})
	got := r.until(t, 4, func(e *tallyman.Evidence) bool { return e.Path == r.path("a") })
	read := map[int32]any{}
	for _, e := range got {
		if e.Kind == tallyman.KindClosed { // their order may be lost when events are merged
			read[e.Proc.PID] = details(t, e)["accessed"]
		}
	}
	if len(read) != 2 || read[r.actor.pid()] != false || read[other.pid()] != true {
		t.Errorf("who read? %s", tale(got))
	}
}

// The watcher is held up, so that all events of the file are merged into one. Nothing is told that the bits do not prove.
func TestMergedEventsAreToldOnce(t *testing.T) {
	r := newRig(t, ofItsOwn, having("a", 100))
	r.gate.Lock()
	r.act(order{Do: "put", Path: "mark0", N: 1}) // the watcher takes this and is held up at telling it
	r.waitHeld()
	r.act(
		order{Do: "create", Path: "b"}, order{Do: "write", N: 700}, order{Do: "close"},
		order{Do: "open", Path: "a"}, order{Do: "read", N: 10}, order{Do: "close"},
	)
	r.gate.Unlock()
	got := r.tells("opened put b", "closed put b 700", "opened get a 100", "closed get a 100")
	if d := details(t, got[1]); d["created"] != true || d["modified"] != true {
		t.Errorf("details %v", d)
	}
	if d := details(t, got[3]); d["accessed"] != true || d["modified"] != false {
		t.Errorf("details %v", d)
	}
}

func TestWhatProgramsDoThatAreNotWantedIsCounted(t *testing.T) {
	r := newRig(t, ofItsOwn, having("a", 100), func(r *rig) { r.cfg.Roots[0].Programs = []string{"in.tftpd"} })
	r.act(order{Do: "open", Path: "a"}, order{Do: "close"}, order{Do: "rename", Path: "a", To: "b"})
	r.counted(func(c files.Counts) bool { return c.Unwanted >= 2 })
	if got := r.have(all); len(got) != 0 {
		t.Errorf("told %s", tale(got))
	}
}

func TestOwnDoingsAreNeverTold(t *testing.T) {
	r := newRig(t, ofItsOwn, having("a", 100))
	if _, err := os.ReadFile(r.path("a")); err != nil {
		t.Fatal(err)
	}
	r.tells()
	if c := r.w.Counts(); c.Own == 0 {
		t.Errorf("counts %+v", c)
	}
}

func TestFileThatIsOpenAtTheStartIsTold(t *testing.T) {
	actor := newActor(t)
	r := newRig(t, ofItsOwn, having("a", 100), func(r *rig) { actor.do(order{Do: "append", Path: r.path("a")}) })
	got := r.tells("gap   -1", "opened put a")
	if d := details(t, got[1]); d["present"] != true || got[1].Proc.PID != actor.pid() {
		t.Errorf("told %s", tale(got))
	}
	if !got[0].Began.Before(got[0].Time) {
		t.Errorf("the gap goes from %v to %v", got[0].Began, got[0].Time)
	}
	actor.do(order{Do: "write", N: 20})
	actor.do(order{Do: "close"})
	got = r.tells("gap   -1", "opened put a", "closed put a 120")
	if d := details(t, got[2]); d["close"] != "write" || d["modified"] != true || d["accessed"] != nil {
		t.Errorf("it says more than was seen: %v", d)
	}
}

// The kernel's queue holds 16 events and nobody reads: what is lost is told, and what is told is true.
func TestOverflowIsAGapAndThenAllIsLookedAt(t *testing.T) {
	shrinkQueue(t, 16)
	r := newRig(t, ofItsOwn, having("open", 100), func(r *rig) { r.cfg.Bounded = true })
	other := newActor(t)
	r.gate.Lock()
	r.act(order{Do: "put", Path: "mark0", N: 1})
	r.waitHeld()
	r.act(order{Do: "storm", Path: r.root, N: 500})
	other.do(order{Do: "open", Path: r.path("open")}) // in the gap
	r.gate.Unlock()
	gaps := r.until(t, 1, func(e *tallyman.Evidence) bool { return e.Kind == tallyman.KindGap })
	if g := gaps[0]; g.Moved != -1 || g.Began.IsZero() || !strings.Contains(g.Err, "queue") || details(t, g)["rescan"] != true {
		t.Errorf("gap %+v", g)
	}
	got := r.until(t, 1, func(e *tallyman.Evidence) bool { return e.Path == r.path("open") })
	if got[0].Kind != tallyman.KindOpened || details(t, got[0])["present"] != true {
		t.Errorf("told %s", tale(got))
	}
	told := r.have(func(e *tallyman.Evidence) bool {
		return e.Kind == tallyman.KindClosed && strings.HasSuffix(e.Path, ".part")
	})
	if len(told) >= 500 {
		t.Errorf("%d files were told: nothing was lost", len(told))
	}
	other.do(order{Do: "close"})
	r.until(t, 2, func(e *tallyman.Evidence) bool { return e.Path == r.path("open") })
}

func TestCloseThatWasLostIsFoundByLooking(t *testing.T) {
	shrinkQueue(t, 16)
	r := newRig(t, ofItsOwn, having("a", 100), func(r *rig) { r.cfg.Bounded = true })
	r.act(order{Do: "append", Path: "a"})
	r.until(t, 1, func(e *tallyman.Evidence) bool { return e.Path == r.path("a") })
	r.gate.Lock()
	r.act(order{Do: "put", Path: "mark0", N: 1})
	r.waitHeld()
	r.act(order{Do: "storm", Path: r.root, N: 100}, order{Do: "write", N: 50}, order{Do: "close"})
	r.gate.Unlock()
	got := r.until(t, 2, func(e *tallyman.Evidence) bool { return e.Path == r.path("a") })
	d := details(t, got[1])
	if got[1].Kind != tallyman.KindClosed || d["close"] != "unseen" || got[1].Size != 150 || d["accessed"] != nil {
		t.Errorf("told %s", tale(got))
	}
}

// Folders that are removed with what was in them are known from the events of their making.
func TestFoldersThatAreGoneAtOnceAreKnown(t *testing.T) {
	r := newRig(t, ofItsOwn)
	r.gate.Lock()
	r.act(order{Do: "put", Path: "mark0", N: 1})
	r.waitHeld()
	r.act(order{Do: "mkdir", Path: "x/y/z"}, order{Do: "put", Path: "x/y/z/f", N: 5}, order{Do: "remove", Path: "x"})
	r.gate.Unlock()
	r.settled()
	var kinds []tallyman.Kind
	for _, e := range r.have(func(e *tallyman.Evidence) bool { return e.Path == r.path("x/y/z/f") }) {
		kinds = append(kinds, e.Kind)
	}
	if !slices.Equal(kinds, []tallyman.Kind{tallyman.KindOpened, tallyman.KindClosed, tallyman.KindDeleted}) {
		t.Errorf("told %s", tale(r.have(all)))
	}
	if c := r.w.Counts(); c.Unresolved != 0 {
		t.Errorf("counts %+v", c)
	}
}

// A folder that was there before the watch, and is gone before the first event in it is read: if it was ours, that is a gap; if not, it is nothing.
func TestFolderThatNobodyCanFindAnyMoreIsAGapOnlyIfItWasOurs(t *testing.T) {
	away := folder(t)
	r := newRig(t, func(r *rig) {
		for _, dir := range []string{r.path("x"), filepath.Join(away, "y")} {
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	})
	quickly := func(dir string) {
		r.gate.Lock()
		r.act(order{Do: "put", Path: "mark0", N: 1})
		r.waitHeld()
		r.act(order{Do: "put", Path: filepath.Join(dir, "f"), N: 5}, order{Do: "remove", Path: dir})
		r.gate.Unlock()
		r.settled()
	}
	isGap := func(e *tallyman.Evidence) bool { return e.Kind == tallyman.KindGap }
	quickly(filepath.Join(away, "y"))
	if gaps := r.have(isGap); len(gaps) != 0 {
		t.Errorf("a folder of others: %s", tale(gaps))
	}
	quickly(r.path("x"))
	if gaps := r.until(t, 1, isGap); len(gaps) != 1 || gaps[0].Moved < 1 {
		t.Errorf("one of ours: %s", tale(gaps))
	}
}

func TestBindMountBelowTheRootIsWatched(t *testing.T) {
	hidden := folder(t)
	if err := os.WriteFile(filepath.Join(hidden, "f"), make([]byte, 42), 0o644); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(r *rig) {
		if err := os.Mkdir(r.path("pub"), 0o755); err != nil {
			t.Fatal(err)
		}
		mountAt(t, hidden, r.path("pub"), "", unix.MS_BIND)
	})
	r.act(order{Do: "open", Path: "pub/f"}, order{Do: "read", N: 5}, order{Do: "close"})
	r.tells("opened get pub/f 42", "closed get pub/f 42")
}

func TestRootThatIsABindMountIsToldByItsOwnName(t *testing.T) {
	hidden := folder(t)
	r := newRig(t, func(r *rig) { mountAt(t, hidden, r.root, "", unix.MS_BIND) })
	r.act(order{Do: "put", Path: "f", N: 5})
	r.actor.do(order{Do: "put", Path: filepath.Join(hidden, "g"), N: 6}) // through the other name
	r.settled()
	for name, size := range map[string]int64{"f": 5, "g": 6} {
		got := r.have(func(e *tallyman.Evidence) bool { return e.Kind == tallyman.KindClosed && e.Path == r.path(name) })
		if len(got) != 1 || got[0].Size != size {
			t.Errorf("%s: %s", name, tale(r.have(all)))
		}
	}
}

func TestFileSystemThatIsMountedLaterIsWatchedAfterAGap(t *testing.T) {
	r := newRig(t, func(r *rig) { _ = os.Mkdir(r.path("stick"), 0o755) })
	mountAt(t, "none", r.path("stick"), "tmpfs", 0)
	gaps := r.until(t, 1, func(e *tallyman.Evidence) bool { return e.Kind == tallyman.KindGap })
	if !strings.Contains(gaps[0].Err, r.path("stick")) {
		t.Errorf("gap %+v", gaps[0])
	}
	r.act(order{Do: "put", Path: "stick/f", N: 7})
	r.until(t, 1, func(e *tallyman.Evidence) bool {
		return e.Kind == tallyman.KindClosed && e.Path == r.path("stick/f") && e.Size == 7 && e.File != ""
	})
	if err := unix.Unmount(r.path("stick"), 0); err != nil {
		t.Errorf("a watched file system cannot be unmounted: %v", err)
	}
}

func TestWatchedFileSystemCanBeUnmounted(t *testing.T) {
	for _, mode := range []files.Mode{files.FileSystem, files.Folders} {
		r := newRig(t, in(mode), func(r *rig) {
			_ = os.Mkdir(r.path("stick"), 0o755)
			mountAt(t, "none", r.path("stick"), "tmpfs", 0)
		})
		r.act(order{Do: "put", Path: "stick/f", N: 7})
		r.settled()
		if err := unix.Unmount(r.path("stick"), 0); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
		r.stop()
	}
}

// watching starts another process that watches, and returns what it can do.
func watching(t *testing.T, root string, uid uint32) (cmd *exec.Cmd, says string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(self)
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		for dir := filepath.Dir(self); len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd.Env = append(os.Environ(), actorEnv+"="+root)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	says, err = bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(says, "watching: ") {
		t.Fatalf("%q, %v", says, err)
	}
	return cmd, says
}

func TestKilledWatcherLeavesNothingBehind(t *testing.T) {
	root := folder(t)
	mountAt(t, "none", root, "tmpfs", 0)
	cmd, says := watching(t, root, 0)
	if !strings.Contains(says, "with its process") {
		t.Errorf("as root it says %q", says)
	}
	if err := os.WriteFile(filepath.Join(root, "f"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err := unix.Unmount(root, 0); err != nil {
		t.Errorf("unmount: %v", err)
	}
	if left, err := os.ReadDir(root); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestWithoutRootItSaysWhatIsMissingAndWhatToDo(t *testing.T) {
	root, err := os.MkdirTemp("", "files") //nolint:usetesting // t.TempDir lies in a folder that root alone may enter
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(root)
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	_, says := watching(t, root, 65534)
	for _, want := range []string{"not by which process", "CAP_SYS_ADMIN", "as root", root} {
		if !strings.Contains(says, want) {
			t.Errorf("it says %q, nothing of %q", says, want)
		}
	}
}

// On a file system that cannot be marked as a whole, folders are marked one by one.
func TestOverlayIsWatchedFolderByFolder(t *testing.T) {
	dir := folder(t)
	for _, d := range []string{"lower", "over"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mountAt(t, "none", filepath.Join(dir, "over"), "tmpfs", 0) // an upper folder cannot lie on every file system
	for _, d := range []string{"upper", "work"} {
		if err := os.Mkdir(filepath.Join(dir, "over", d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r := newRig(t, func(r *rig) {
		data := fmt.Sprintf("lowerdir=%s/lower,upperdir=%s/over/upper,workdir=%s/over/work", dir, dir, dir)
		mountWith(t, "overlay", r.root, "overlay", 0, data)
	})
	if r.w.Ability().Mode != files.Folders {
		t.Errorf("mode %q", r.w.Ability().Mode)
	}
	r.act(order{Do: "put", Path: "a", N: 10}, order{Do: "mkdir", Path: "d"})
	r.settled()
	r.act(order{Do: "put", Path: "d/b", N: 20})
	r.tells("opened put a", "closed put a 10", "opened put d/b", "closed put d/b 20")
}

func shrinkQueue(t *testing.T, n int) {
	t.Helper()
	const name = "/proc/sys/fs/fanotify/max_queued_events"
	old, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(fmt.Sprint(n)), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.WriteFile(name, old, 0) })
}

// ofItsOwn gives the rig a file system of its own: the kernel's queue then holds what the test does, and nothing of what else the machine does.
func ofItsOwn(r *rig) { mountAt(r.t, "none", r.root, "tmpfs", 0) }

func mountAt(t testing.TB, from, to, kind string, flags uintptr) {
	t.Helper()
	mountWith(t, from, to, kind, flags, "")
}

func mountWith(t testing.TB, from, to, kind string, flags uintptr, data string) {
	t.Helper()
	if err := unix.Mount(from, to, kind, flags, data); err != nil {
		t.Fatalf("mount %s: %v", to, err)
	}
	t.Cleanup(func() { _ = unix.Unmount(to, unix.MNT_DETACH) })
}
