package who_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tallyman/source/files/who"
)

func stat(pid int, comm string, parent int, start int64) string {
	return fmt.Sprintf("%d (%s) S %d 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 %d 0 0 0", pid, comm, parent, start)
}

func TestStatOfAnyNameIsRead(t *testing.T) {
	f := func(text string, want who.Process, ok bool) {
		t.Helper()
		if got, taken := who.ParseStat([]byte(text)); got != want || taken != ok {
			t.Errorf("%q is %+v, %v", text, got, taken)
		}
	}
	f(stat(812, "in.tftpd", 1, 1234), who.Process{PID: 812, Parent: 1, Comm: "in.tftpd", Start: 1234}, true)
	f(stat(812, "a) S 9 (b", 1, 1234), who.Process{PID: 812, Parent: 1, Comm: "a) S 9 (b", Start: 1234}, true)
	f(stat(812, "", 1, 1234), who.Process{PID: 812, Parent: 1, Start: 1234}, true)
	f("812 (cut) S 1 1", who.Process{}, false)
	f("", who.Process{}, false)
	f("(x) S", who.Process{}, false)
	f(") 1 (", who.Process{}, false)
}

func TestEffectiveUserIsRead(t *testing.T) {
	f := func(text string, want uint32, ok bool) {
		t.Helper()
		if got, taken := who.ParseUID([]byte(text)); got != want || taken != ok {
			t.Errorf("%q is %d, %v", text, got, taken)
		}
	}
	f("Name:\tx\nUid:\t0\t65534\t0\t0\nGid:\t1\t1\t1\t1\n", 65534, true)
	f("Uid:\t0\t4294967295\t0\t0\n", 4294967295, true)
	f("Uid:\t0\t4294967296\t0\t0\n", 0, false)
	f("Uid:\t0\n", 0, false)
	f("Name:\tUid:\n", 0, false)
}

func TestDescriptorSaysWhetherItWrites(t *testing.T) {
	f := func(text string, writes, ok bool) {
		t.Helper()
		if got, taken := who.ParseFlags([]byte(text)); got != writes || taken != ok {
			t.Errorf("%q: %v, %v", text, got, taken)
		}
	}
	f("pos:\t0\nflags:\t0100000\nmnt_id:\t29\n", false, true)
	f("pos:\t0\nflags:\t0100001\n", true, true)
	f("pos:\t0\nflags:\t02\n", true, true)
	f("pos:\t0\nflags:\t9\n", false, false)
	f("", false, false)
}

func TestFirstNameOfAUserCounts(t *testing.T) {
	got := who.ParsePasswd("root:x:0:0::/:/bin/sh\ntoor:x:0:0::/:/bin/sh\n# none\ntftp:x:112:1::/srv:/bin/false\nbad:x:-1:0:::\nshort:x:5\n:x:6:0:::\n")
	if !maps.Equal(got, map[uint32]string{0: "root", 112: "tftp"}) {
		t.Errorf("%v", got)
	}
}

// fakeProc makes a /proc with one process.
func fakeProc(t *testing.T, pid int, text string) string {
	t.Helper()
	dir := t.TempDir()
	p := filepath.Join(dir, strconv.Itoa(pid))
	if err := os.Mkdir(p, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"stat": text, "status": "Uid:\t7\t7\t7\t7\n"} {
		if err := os.WriteFile(filepath.Join(p, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/usr/sbin/in.tftpd", filepath.Join(p, "exe")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func table(t *testing.T, proc string, max int) *who.Table {
	t.Helper()
	passwd := filepath.Join(t.TempDir(), "passwd")
	if err := os.WriteFile(passwd, []byte("tftp:x:7:7:::\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	w, err := who.New(proc, passwd, max)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func TestProcessThatHasGoneIsRemembered(t *testing.T) {
	proc := fakeProc(t, 42, stat(42, "in.tftpd", 1, 99))
	w, at := table(t, proc, 10), time.Unix(1000, 0)
	want := who.Process{PID: 42, Parent: 1, Start: 99, Exe: "/usr/sbin/in.tftpd", Comm: "in.tftpd", User: "tftp"}
	if got := w.Of(42, at); got != want {
		t.Errorf("%+v", got)
	}
	if err := os.RemoveAll(filepath.Join(proc, "42")); err != nil {
		t.Fatal(err)
	}
	if got := w.Of(42, at.Add(time.Hour)); got != want {
		t.Errorf("once gone it is %+v", got)
	}
	if got := w.Of(43, at); got != (who.Process{PID: 43, Gone: true}) {
		t.Errorf("one that nobody knew is %+v", got)
	}
}

// A process may run another program by the time it matters: of one that was only met, the start is true for good, and nothing else is said.
func TestProcessThatWasOnlyMetIsKnownByItsStart(t *testing.T) {
	proc := fakeProc(t, 42, stat(42, "inetd", 1, 99))
	w, at := table(t, proc, 10), time.Unix(1000, 0)
	w.Meet(42)
	if err := os.WriteFile(filepath.Join(proc, "42", "stat"), []byte(stat(42, "in.tftpd", 1, 99)), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := w.Of(42, at); got.Comm != "in.tftpd" || got.Start != 99 || got.Gone {
		t.Errorf("while it runs it is %+v", got)
	}
	w = table(t, proc, 10)
	w.Meet(42)
	if err := os.RemoveAll(filepath.Join(proc, "42")); err != nil {
		t.Fatal(err)
	}
	if got := w.Of(42, at); got != (who.Process{PID: 42, Parent: 1, Start: 99, Gone: true}) {
		t.Errorf("once gone it is %+v", got)
	}
}

func TestPidThatComesAgainIsAnotherProcess(t *testing.T) {
	proc := fakeProc(t, 42, stat(42, "in.tftpd", 1, 99))
	w, at := table(t, proc, 10), time.Unix(1000, 0)
	w.Of(42, at)
	if err := os.WriteFile(filepath.Join(proc, "42", "stat"), []byte(stat(42, "cat", 7, 500)), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := w.Of(42, at.Add(time.Second)); got.Start != 500 || got.Comm != "cat" {
		t.Errorf("%+v", got)
	}
}

func TestTableIsBounded(t *testing.T) {
	w := table(t, t.TempDir(), 10)
	for pid := range int32(1000) {
		w.Of(pid, time.Unix(1000, 0))
	}
	if n := w.Len(); n > 10 {
		t.Errorf("it remembers %d", n)
	}
}

func TestHeldFileOfARealProcess(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", "exec 3<f 4<f; echo; read x; exec 5>f; echo; read x")
	cmd.Dir = dir
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := int32(cmd.Process.Pid)
	w := table(t, "/proc", 10)
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	step := func() {
		t.Helper()
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	step()
	if h := w.Holds(pid, st.Dev, st.Ino); h != (who.Held{Open: 2, Reads: true}) {
		t.Errorf("%+v", h)
	}
	if _, err := in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	step()
	if h := w.Holds(pid, st.Dev, st.Ino); h != (who.Held{Open: 3, Reads: true, Writes: true}) {
		t.Errorf("%+v", h)
	}
	var files []string
	if err := w.Files(pid, func(path string) { files = append(files, filepath.Base(path)) }); err != nil || !slices.Contains(files, "f") {
		t.Errorf("%v, %v", files, err)
	}
	pids, err := w.Pids()
	if err != nil || !slices.Contains(pids, pid) {
		t.Errorf("%v", err)
	}
	_ = in.Close()
	_ = cmd.Wait()
	if h := w.Holds(pid, st.Dev, st.Ino); h.Open != 0 {
		t.Errorf("once gone it holds %+v", h)
	}
}

// What is taken is a process that, written again, reads the same.
func FuzzParseStat(f *testing.F) {
	f.Add([]byte(stat(812, "in.tftpd", 1, 1234)))
	f.Add([]byte(stat(1, ") (", 0, 0)))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, ok := who.ParseStat(b)
		if !ok {
			return
		}
		if !strings.Contains(string(b), "("+p.Comm+")") {
			t.Fatalf("the name %q does not stand in %q", p.Comm, b)
		}
		if again, ok := who.ParseStat([]byte(stat(int(p.PID), p.Comm, int(p.Parent), p.Start))); !ok || again != p {
			t.Fatalf("%+v became %+v, %v", p, again, ok)
		}
	})
}
