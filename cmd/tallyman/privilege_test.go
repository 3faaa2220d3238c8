package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	client "tallyman/client/tftp"
)

// someone is an ordinary user without an entry in the user data base.
const someone = 54321

// server is the program in a process of its own.
type server struct {
	cmd   *exec.Cmd
	out   bytes.Buffer
	where struct {
		PID    int    `json:"pid"`
		TFTP   string `json:"tftp"`
		Socket string `json:"socket"`
	}
}

// serveApart starts the program and waits until it is ready.
func serveApart(t *testing.T, args ...string) *server {
	t.Helper()
	s := &server{}
	ready := filepath.Join(t.TempDir(), "ready")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command(self, append(slices.Clone(args), "--ready-file", ready, "--web", "")...)
	s.cmd.Args[0] = "tallyman"
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _, _ = s.cmd.Process.Wait(); close(ended) }()
	t.Cleanup(func() { _ = s.cmd.Process.Kill(); <-ended })
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(ready)
		if err == nil {
			if err := json.Unmarshal(text, &s.where); err != nil {
				t.Fatal(err)
			}
			return s
		}
		select {
		case <-ended:
			t.Fatalf("it ended before it was ready: %s", s.out.String())
		case <-tick.C:
		}
	}
}

func (s *server) uids(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(s.where.PID) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Uid:"); ok {
			return strings.Fields(rest)
		}
	}
	return nil
}

func (s *server) put(t *testing.T, name, content string) {
	t.Helper()
	r, err := client.ParseURL("tftp://" + s.where.TFTP + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Put(t.Context(), r, strings.NewReader(content), int64(len(content)), nil); err != nil {
		t.Fatalf("put %s: %v", name, err)
	}
}

func TestServerThatRootStartedServesAsTheOwnerOfTheRoot(t *testing.T) {
	root, state := ordinaryFolder(t), filepath.Join(ordinaryFolder(t), "state")
	lines := filepath.Join(filepath.Dir(state), "records.jsonl")
	for run := range 2 { // the second start finds a state folder that is not root's
		s := serveApart(t, "serve", root, "--tftp", "127.0.0.1:0", "--state", state, "--jsonl", lines)
		want := []string{strconv.Itoa(someone), strconv.Itoa(someone), strconv.Itoa(someone), strconv.Itoa(someone)}
		deadline := time.Now().Add(10 * time.Second)
		for !slices.Equal(s.uids(t), want) {
			if time.Now().After(deadline) {
				t.Fatalf("it runs as %v: %s", s.uids(t), s.out.String())
			}
		}
		s.put(t, "router-confg", "hostname r"+strconv.Itoa(run))
		a := askSocket(s.where.Socket)
		if _, err := awaitRecords(t.Context(), a, run+1); err != nil {
			t.Fatalf("its record: %v", err)
		}
		if err := a.Post(t.Context(), "reload", nil); err != nil {
			t.Errorf("reload: %v: %s", err, s.out.String())
		}
		if err := a.Post(t.Context(), "stop", nil); err != nil {
			t.Errorf("stop: %v", err)
		}
		a.close()
		gone(t, s.where.Socket)
	}
	if got, err := os.ReadFile(filepath.Join(root, "router-confg")); err != nil || string(got) != "hostname r1" {
		t.Errorf("stored %q, %v", got, err)
	}
	for _, top := range []string{root, state} {
		err := filepath.WalkDir(top, func(path string, _ fs.DirEntry, err error) error {
			var st unix.Stat_t
			if err == nil {
				err = unix.Lstat(path, &st)
			}
			if err == nil && st.Uid != someone {
				t.Errorf("%s belongs to user %d", path, st.Uid)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// ordinaryFolder is a folder of an ordinary user that this user can reach.
func ordinaryFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tallyman-someone-") //nolint:usetesting // t.TempDir lies in a folder that root alone may enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chown(dir, someone, someone); err != nil {
		t.Fatalf("this test makes files of another user: run it as root: %v", err)
	}
	return dir
}

// gone waits until the program has removed its socket: the last thing but the ledger that it lets go.
func gone(t *testing.T, path string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	lock := filepath.Join(filepath.Dir(path), lockFile)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-tick.C {
		f, err := os.Open(lock)
		if err != nil {
			t.Fatal(err)
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		_ = f.Close()
		if err == nil {
			return
		}
	}
	t.Fatal("the server does not end")
}

func TestFolderThatTheServingUserCannotReachIsSaidAtTheStart(t *testing.T) {
	root := ordinaryFolder(t)
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ready := filepath.Join(closed, "ready")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "serve", root, "--tftp", "127.0.0.1:0", "--web", "", "--state", filepath.Join(closed, "state"), "--ready-file", ready)
	cmd.Args[0] = "tallyman"
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "cannot use the state folder") || !strings.Contains(string(out), "--state DIR") {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := os.Stat(ready); err == nil {
		t.Error("the ready file says that it runs")
	}
}

func TestRootOpensNoLinkInTheStateFolderOfAnother(t *testing.T) {
	state := ordinaryFolder(t)
	precious := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(precious, []byte("keep me"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, put := range []func(old, name string) error{os.Symlink, os.Link} {
		for _, name := range []string{lockFile, ledgerFile, "tallyman.sock"} {
			at := filepath.Join(state, name)
			if err := put(precious, at); err != nil {
				t.Fatal(err)
			}
			if f, err := hold(state); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s is a link: %v, %v", name, f, err)
			}
			if err := giveOne(owner{someone, someone}, at); err == nil {
				t.Errorf("%s is a link, and was given away", name)
			}
			if err := os.Remove(at); err != nil {
				t.Fatal(err)
			}
		}
	}
	var st unix.Stat_t
	if err := unix.Stat(precious, &st); err != nil || st.Uid != 0 || st.Size != 7 {
		t.Errorf("the file of root: user %d, %d bytes, %v", st.Uid, st.Size, err)
	}
}
