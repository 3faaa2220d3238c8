//go:build real

package real

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// soon is how long a test waits for what must come at once, on a machine that does other things too.
const soon = 30 * time.Second

// server is a running program. It is started and stopped by tests, perhaps many times on one state folder.
type server struct {
	t      testing.TB
	root   string
	state  string
	listen string // address of the request port
	tftp   string // further keys of serve.tftp, as YAML in flow style without braces
	flags  []string
	netns  string // network namespace to run in; "" = ours

	addr   netip.AddrPort // where it listens, once started
	ftp    netip.AddrPort // the same of FTP, implicit FTPS and SFTP, where they are on
	ftps   netip.AddrPort
	sftp   netip.AddrPort
	cmd    *exec.Cmd
	stderr safeBuffer
	exited chan struct{}
	err    error
	*watch
}

// newServer prepares a server with a root and a state folder of its own.
func newServer(t testing.TB) *server {
	return &server{t: t, root: mkdir(t, t.TempDir(), "root"), state: filepath.Join(t.TempDir(), "state"), listen: "127.0.0.1:0"}
}

// serve starts a server that lives as long as the test and must end well.
func serve(t testing.TB, tftp string) *server {
	t.Helper()
	s := newServer(t)
	s.tftp = tftp
	s.start()
	t.Cleanup(s.stop)
	return s
}

func mkdir(t testing.TB, elem ...string) string {
	t.Helper()
	dir := filepath.Join(elem...)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// start runs the program until it says that it is ready.
func (s *server) start() {
	s.t.Helper()
	dir := s.t.TempDir()
	ready := filepath.Join(dir, "ready")
	args := []string{"serve", s.root, "--state", s.state, "--tftp", s.listen, "--web", "", "--ready-file", ready}
	if s.tftp != "" {
		config := filepath.Join(dir, "tallyman.yaml")
		if err := os.WriteFile(config, []byte("serve:\n  tftp: {"+s.tftp+"}\n"), 0o644); err != nil {
			s.t.Fatal(err)
		}
		args = append(args, "--config", config)
	}
	if !slices.Contains(s.flags, "--ftp") { // else it would take port 21 as soon as there is an account
		args = append(args, "--ftp", "")
	}
	args = append(args, s.flags...)
	name := os.Getenv(binaryEnv)
	if s.netns != "" {
		args = append([]string{"netns", "exec", s.netns, name}, args...)
		name = "ip"
	}
	s.cmd = exec.Command(name, args...)
	s.cmd.Stderr = &s.stderr
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	appeared := appears(s.t, ready)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		s.err = cmd.Wait()
		close(exited)
	}(s.cmd, s.exited)
	s.t.Cleanup(func() { _ = s.cmd.Process.Kill(); <-s.exited })
	select {
	case <-appeared:
	case <-s.exited:
		s.t.Fatalf("the server ends with %v: %s", s.err, s.stderr.String())
	case <-time.After(soon):
		s.t.Fatalf("the server is not ready: %s", s.stderr.String())
	}
	var where struct {
		TFTP   netip.AddrPort `json:"tftp"`
		FTP    netip.AddrPort `json:"ftp"`
		FTPS   netip.AddrPort `json:"ftps"`
		SFTP   netip.AddrPort `json:"sftp"`
		Socket string         `json:"socket"`
		State  string         `json:"state"`
		PID    int            `json:"pid"`
	}
	b, err := os.ReadFile(ready)
	if err == nil {
		err = json.Unmarshal(b, &where)
	}
	if err != nil {
		s.t.Fatalf("ready file %q: %v", b, err)
	}
	if where.State != s.state || s.netns == "" && where.PID != s.cmd.Process.Pid {
		s.t.Errorf("ready file names state %s, pid %d; it runs with %s, %d", where.State, where.PID, s.state, s.cmd.Process.Pid)
	}
	s.addr, s.ftp, s.ftps, s.sftp = where.TFTP, where.FTP, where.FTPS, where.SFTP
	s.watch = watchSocket(s.t, where.Socket)
}

// stop asks the program to drain, and wants exit code 0.
func (s *server) stop() {
	s.t.Helper()
	select {
	case <-s.exited:
		if s.err != nil {
			s.t.Errorf("the server ended with %v: %s", s.err, s.stderr.String())
		}
		return
	default:
	}
	s.unwatch()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(2 * soon):
		_ = s.cmd.Process.Signal(syscall.SIGQUIT) // a Go program prints its goroutines (package runtime)
		<-s.exited
		s.t.Errorf("the server does not stop: %s", s.stderr.String())
		return
	}
	if s.err != nil {
		s.t.Errorf("the server ends with %v: %s", s.err, s.stderr.String())
	}
}

// kill ends the program as kill -9 does.
func (s *server) kill() {
	s.t.Helper()
	s.unwatch()
	_ = s.cmd.Process.Kill()
	<-s.exited
}

// pid is that of the program itself, also in a namespace: ip netns exec becomes it.
func (s *server) pid() int { return s.cmd.Process.Pid }

// file puts a file into the root, readable by all.
func (s *server) file(name string, content []byte) string {
	s.t.Helper()
	path := filepath.Join(s.root, name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// tallyman runs another command of the program on the server's state.
func (s *server) tallyman(args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), soon)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Getenv(binaryEnv), append(args, "--state", s.state)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("tallyman %s: %v: %s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// listed is what tallyman ls knows, with a running server or without.
func (s *server) listed(query ...string) []record {
	s.t.Helper()
	var all []record
	for line := range strings.Lines(s.tallyman(append([]string{"ls", "--json", "-n", "0"}, query...)...)) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			s.t.Fatalf("line of tallyman ls %q: %v", line, err)
		}
		all = append(all, r)
	}
	return all
}

// leftovers are temporary files in the root.
func (s *server) leftovers() []string {
	s.t.Helper()
	var found []string
	err := filepath.WalkDir(s.root, func(path string, _ os.DirEntry, err error) error {
		if strings.HasPrefix(filepath.Base(path), ".tallyman-") {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

// appears tells when a file gets its name by a rename (inotify(7)).
func appears(t testing.TB, path string) <-chan struct{} {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.InotifyAddWatch(fd, filepath.Dir(path), unix.IN_MOVED_TO); err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "inotify")
	t.Cleanup(func() { _ = f.Close() })
	there := make(chan struct{})
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := f.Read(buf)
			if err != nil {
				return
			}
			if bytes.Contains(buf[:n], []byte(filepath.Base(path)+"\x00")) {
				close(there)
				return
			}
		}
	}()
	return there
}

// safeBuffer is what a process writes while a test reads it.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// command runs a program that must succeed.
func command(t testing.TB, name string, arg ...string) string {
	t.Helper()
	out, err := attempt(name, arg...)
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(arg, " "), err, out)
	}
	return out
}

// attempt runs a program that may fail.
func attempt(name string, arg ...string) (out string, err error) {
	b, err := exec.Command(name, arg...).CombinedOutput()
	return string(b), err
}

// client runs a client program to its end. code is its exit code.
func client(t testing.TB, dir string, stdin []byte, name string, arg ...string) (out string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, arg...)
	cmd.Dir = dir
	if stdin != nil {
		cmd.Stdin = bytes.NewReader(stdin)
	}
	b, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Errorf("%s %s: %v: %s", name, strings.Join(arg, " "), errors.Join(err, ctx.Err()), b)
	}
	return string(b), cmd.ProcessState.ExitCode()
}

// clientIn runs a client program in a network namespace, if one is named.
func clientIn(t testing.TB, netns, dir string, stdin []byte, name string, arg ...string) (out string, code int) {
	t.Helper()
	if netns != "" {
		name, arg = "ip", append([]string{"netns", "exec", netns, name}, arg...)
	}
	return client(t, dir, stdin, name, arg...)
}

func (s *server) url(name string) string { return fmt.Sprintf("tftp://%s/%s", s.addr, name) }

func (s *server) host() string { return s.addr.Addr().String() }

func (s *server) port() string { return fmt.Sprint(s.addr.Port()) }
