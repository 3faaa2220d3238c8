package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tallyman"

	"golang.org/x/crypto/bcrypt"
)

// victim is the program with a counter of the file operations of tree and spool: it dies by SIGKILL before the n-th. It ends like the program
// when there are fewer. Arguments: n, then those of the program.
func victim() {
	n, err := strconv.ParseInt(os.Args[1], 10, 64)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitUsage)
	}
	var done atomic.Int64
	p := &program{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, step: func(string, string) error {
		if done.Add(1) == n {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	code := p.run(ctx, os.Args[2:])
	stop()
	os.Exit(code)
}

// TestKillAtEachOperationLosesNothingAcknowledged kills a server before each file operation of its start, of an upload and of its end.
func TestKillAtEachOperationLosesNothingAcknowledged(t *testing.T) {
	killAtEach(t, "of a new name", nil, byTFTP())
	killAtEach(t, "of a name that stands there", bytes.Repeat([]byte("old "), 1000), byTFTP())
}

// killAtEach kills before the first operation, the second and so on, until an upload and the end after it have no more.
func killAtEach(t *testing.T, name string, old []byte, w way) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		n, acked := 1, 0
		for ; ; n++ {
			s := newSwept(t, n, old, w)
			if s.acked {
				acked++
			}
			s.check()
			_ = os.RemoveAll(filepath.Dir(s.root))
			if !s.died || t.Failed() {
				break
			}
		}
		t.Logf("killed at each of %d operations; %d times after the answer", n-1, acked-1)
		if n < 30 || acked < 2 {
			t.Errorf("only %d operations were reached, %d uploads acknowledged", n-1, acked)
		}
	})
}

// forAnn prepares an account, and a file that keeps so many bytes of the old one.
func forAnn(t *testing.T, keeps int) func(*swept) {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("correct horse"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return func(s *swept) {
		if keeps > 0 {
			s.sent = len(s.fresh)
			s.fresh = append(bytes.Clone(s.old[:keeps]), s.fresh...)
		}
		users := fmt.Sprintf("ann: {password: '%s', permissions: all, root: %s}\n", hash, s.root)
		if err := os.MkdirAll(s.state, 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.state, usersFile), []byte(users), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// swept is one kill and what came of it.
type swept struct {
	*testing.T
	n           int
	root, state string
	old, fresh  []byte // versions of the file; what is sent is the end of fresh
	acked, died bool
	way
}

// way is how an upload comes in.
type way struct {
	flags   []string
	good    string // verdict and reason of what is stored
	weak    string // what it is as long as nobody knows whether the answer came
	sent    int    // bytes of fresh, from its end; 0 = all
	prepare func(s *swept)
	put     func(t *testing.T, to netip.AddrPort, content []byte, dead <-chan struct{}) bool
}

func byTFTP() way {
	return way{
		flags: []string{"--tftp", "127.0.0.1:0"}, good: "complete stored", prepare: func(*swept) {},
		put: func(t *testing.T, to netip.AddrPort, content []byte, dead <-chan struct{}) bool {
			return put(t, to, sweptName, content, dead)
		},
	}
}

const sweptName = "router1-confg"

// newSwept runs a victim, sends it an upload, and asks it to stop if it still lives.
func newSwept(t *testing.T, n int, old []byte, by way) *swept {
	t.Helper()
	dir := inMemory(t)
	s := &swept{T: t, n: n, root: filepath.Join(dir, "root"), state: filepath.Join(dir, "state"), old: old, fresh: bytes.Repeat([]byte("new "), 700), way: by}
	if err := os.Mkdir(s.root, 0o755); err != nil {
		t.Fatal(err)
	}
	if old != nil {
		if err := os.WriteFile(s.file(), old, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.prepare(s)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Args = append([]string{"victim", strconv.Itoa(n)}, s.serve()...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer s.read()()
	if addr, ok := greeted(stdout); ok {
		dead := make(chan struct{})
		go func() {
			_, _ = io.Copy(io.Discard, stdout)
			close(dead)
		}()
		s.acked = s.put(t, addr, s.payload(), dead)
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-dead
	}
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		status, _ := exit.Sys().(syscall.WaitStatus)
		s.died = status.Signaled() && status.Signal() == syscall.SIGKILL
	}
	if err != nil && !s.died {
		t.Fatalf("victim %d: %v: %s", n, err, stderr.String())
	}
	if !s.died && !s.acked {
		t.Errorf("victim %d lived, and acknowledged nothing: %s", n, stderr.String())
	}
	return s
}

// inMemory is a folder where a sync costs nothing: what a kill leaves is the same there.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "tallyman-sweep-") //nolint:usetesting // t.TempDir lies on a disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (s *swept) file() string { return filepath.Join(s.root, sweptName) }

func (s *swept) serve() []string {
	return append([]string{"serve", s.root, "--state", s.state, "--web", ""}, s.flags...)
}

// payload is what the client sends.
func (s *swept) payload() []byte {
	if s.sent > 0 {
		return s.fresh[len(s.fresh)-s.sent:]
	}
	return s.fresh
}

// greeted reads what a server says until it is ready, and returns where it listens.
func greeted(r io.Reader) (addr netip.AddrPort, ok bool) {
	for lines := bufio.NewReader(r); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return addr, false
		}
		if _, text, found := strings.Cut(line, " on 127.0.0.1:"); found {
			port, _, _ := strings.Cut(strings.TrimSpace(text), ",") // FTP goes on to say how many accounts there are
			addr, _ = netip.ParseAddrPort("127.0.0.1:" + port)
		}
		if strings.HasPrefix(line, "Then ") {
			return addr, addr.IsValid()
		}
	}
}

// read reads the name again and again until it is told to stop: where an old version stands, some whole version must stand at any time.
func (s *swept) read() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			b, err := os.ReadFile(s.file())
			switch {
			case errors.Is(err, os.ErrNotExist) && s.old == nil:
			case err != nil:
				s.Errorf("killed at %d: a reader finds no file: %v", s.n, err)
				return
			case !bytes.Equal(b, s.old) && !bytes.Equal(b, s.fresh):
				s.Errorf("killed at %d: a reader finds %d bytes that are no version", s.n, len(b))
				return
			}
		}
	}()
	return func() { cancel(); <-done }
}

// check starts the program again, without the killer, and looks at files and records.
func (s *swept) check() {
	s.Helper()
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	out, in := io.Pipe()
	var stderr strings.Builder
	code := make(chan int, 1)
	go func() {
		p := &program{stdin: strings.NewReader(""), stdout: in, stderr: &stderr}
		code <- p.run(ctx, s.serve())
		_ = in.Close()
	}()
	defer s.read()()
	if _, ok := greeted(out); !ok {
		s.Fatalf("killed at %d: it does not start again: %s", s.n, stderr.String())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	s.checkRecords()
	s.checkFiles()
	cancel()
	if c := <-code; c != exitFine {
		s.Errorf("killed at %d: the next run ends with %d: %s", s.n, c, stderr.String())
	}
}

func (s *swept) checkRecords() {
	s.Helper()
	var out, stderr bytes.Buffer
	p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &stderr}
	if code := p.run(s.Context(), []string{"ls", "--json", "--state", s.state}); code != exitFine {
		s.Fatalf("killed at %d: ls ends with %d: %s", s.n, code, stderr.String())
	}
	var all []tallyman.Transfer
	for lines := json.NewDecoder(&out); lines.More(); {
		var t tallyman.Transfer
		if err := lines.Decode(&t); err != nil {
			s.Fatal(err)
		}
		all = append(all, t)
	}
	there, err := os.ReadFile(s.file())
	stored := err == nil && bytes.Equal(there, s.fresh)
	if s.acked && !stored {
		s.Errorf("killed at %d: the upload was acknowledged, and %d bytes stand there, %v", s.n, len(there), err)
	}
	if len(all) > 1 || s.acked && len(all) != 1 {
		s.Errorf("killed at %d: %d records of one upload, acknowledged %v", s.n, len(all), s.acked)
	}
	sum := sha256.Sum256(s.fresh)
	for i := range all {
		t := &all[i]
		said := fmt.Sprintf("%s %s", t.Judgement.Verdict, t.Judgement.Reason)
		switch {
		case (said == s.good || s.weak != "" && said == s.weak) && stored:
			if t.Digest != tallyman.Digest("sha256:"+hex.EncodeToString(sum[:])) || t.Bytes != int64(len(s.payload())) {
				s.Errorf("killed at %d: the record claims %s and %d bytes", s.n, t.Digest, t.Bytes)
			}
		case said == "unproven gap" && stored && !s.acked, said == "failed server-gone" && !stored:
		default:
			s.Errorf("killed at %d: acknowledged %v, new version there %v, and the record says %s", s.n, s.acked, stored, said)
		}
	}
	if stored && len(all) == 0 {
		s.Errorf("killed at %d: a file stands under its name, and no record tells of it", s.n)
	}
}

func (s *swept) checkFiles() {
	s.Helper()
	old := 0
	err := filepath.WalkDir(s.root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(d.Name(), ".tallyman-"):
			s.Errorf("killed at %d: %s is left", s.n, path)
		case s.old != nil && bytes.Equal(b, s.old):
			old++
		case !bytes.Equal(b, s.fresh):
			s.Errorf("killed at %d: %s holds %d bytes that are no version", s.n, path, len(b))
		}
		return nil
	})
	if err != nil || s.old != nil && old == 0 {
		s.Errorf("killed at %d: the old version is there %d times, %v", s.n, old, err)
	}
}

// put sends an upload in lockstep (RFC 1350) and reports whether its last block was acknowledged. When the server is dead, it looks once more
// at what came before.
func put(t *testing.T, to netip.AddrPort, name string, content []byte, dead <-chan struct{}) (acked bool) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	out := []byte("\x00\x02" + name + "\x00octet\x00")
	buf := make([]byte, 1024)
	for block := 0; ; block++ {
		if _, err := conn.WriteToUDPAddrPort(out, to); err != nil {
			t.Fatal(err)
		}
		for heard := false; !heard; {
			patience := 20 * time.Millisecond
			over := false
			select {
			case <-dead:
				over = true
			default:
			}
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			switch {
			case err != nil && over:
				return false
			case err != nil:
			case n == 4 && buf[1] == 4 && int(binary.BigEndian.Uint16(buf[2:])) == block:
				heard, to = true, from
			case buf[1] == 5:
				t.Errorf("the server answers %q", buf[4:n])
				return false
			}
		}
		at := block * 512
		if at > len(content) {
			return true
		}
		out = append([]byte{0, 3, byte((block + 1) >> 8), byte(block + 1)}, content[at:min(at+512, len(content))]...)
	}
}
