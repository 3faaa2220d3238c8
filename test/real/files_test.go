//go:build real

package real

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
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

	"tallyman"
	"tallyman/source/files"
)

// foreign is a TFTP server of somebody else, and what the witness "files" tells of it.
type foreign struct {
	t    testing.TB
	root string
	addr netip.AddrPort
	cmd  *exec.Cmd

	mu   sync.Mutex
	all  []tallyman.Evidence
	came chan struct{}
}

func (f *foreign) Record(batch ...tallyman.Evidence) {
	f.mu.Lock()
	f.all = append(f.all, batch...)
	f.mu.Unlock()
	select {
	case f.came <- struct{}{}:
	default:
	}
}

func (f *foreign) Commit(_ context.Context, batch ...tallyman.Evidence) error {
	f.Record(batch...)
	return nil
}

// peers reads what script/peers says: program and folders of libraries by name.
func peers(t testing.TB) map[string][2]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "script/peers")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("script/peers: %v", err)
	}
	found := map[string][2]string{}
	for line := range strings.Lines(string(out)) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 4 {
			found[f[0]] = [2]string{f[2], f[3]}
		}
	}
	return found
}

// watched starts a server and watches its root, files owned by nobody.
func watched(t testing.TB, name string) *foreign {
	t.Helper()
	f := &foreign{t: t, root: mkdir(t, t.TempDir(), "root"), came: make(chan struct{}, 1)}
	if err := os.Chmod(f.root, 0o777); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(f.root); dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	f.addr = c.LocalAddr().(*net.UDPAddr).AddrPort()
	c.Close()
	p := peers(t)[name]
	args := map[string][]string{
		"tftpd-hpa": {"-L", "-a", f.addr.String(), "-s", "-c", "-u", "nobody", f.root},
		"atftpd": {
			"--daemon", "--no-fork", "--bind-address", "127.0.0.1", "--port", fmt.Sprint(f.addr.Port()), "--user", "nobody", "--group", "nogroup",
			"--verbose=0", "--logfile", "/dev/null", f.root,
		},
	}[name]
	f.cmd = exec.Command(p[0], args...)
	f.cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+p[1])
	f.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-f.cmd.Process.Pid, syscall.SIGKILL)
		_ = f.cmd.Wait()
	})
	cfg := files.Defaults("host", files.Root{Path: f.root, Proto: "tftp", Programs: []string{filepath.Base(p[0])}})
	w, err := files.Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx, f) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		w.Close()
	})
	f.answers()
	return f
}

// answers waits until the server answers.
func (f *foreign) answers() {
	f.t.Helper()
	late := time.Now().Add(soon)
	for time.Now().Before(late) {
		c := f.ask(1, "no-such-file")
		if reply := c.receive(50 * time.Millisecond); reply != nil {
			c.Close()
			return
		}
		c.Close()
	}
	f.t.Fatal("the server does not answer")
}

func (f *foreign) put(name string, size int, mode os.FileMode) {
	f.t.Helper()
	path := filepath.Join(f.root, name)
	if err := os.WriteFile(path, noise(uint64(size), size), mode); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Chown(path, 65534, 65534); err != nil {
		f.t.Fatal(err)
	}
}

// tells waits for so many pieces of evidence of a file and compares them with lines of "kind op size".
func (f *foreign) tells(name string, want ...string) []tallyman.Evidence {
	f.t.Helper()
	late := time.After(soon)
	for {
		var got []tallyman.Evidence
		var lines []string
		f.mu.Lock()
		for _, e := range f.all {
			if e.Path == filepath.Join(f.root, name) {
				if e.Kind == tallyman.KindOpened && e.Op == tallyman.OpPut {
					e.Size = 0 // what it had when it was looked at: the client may have been faster
				}
				got = append(got, e)
				lines = append(lines, fmt.Sprintf("%s %s %d", e.Kind, e.Op, e.Size))
			}
		}
		f.mu.Unlock()
		if len(got) >= len(want) {
			if !slices.Equal(lines, want) {
				f.t.Errorf("%s: told %q, not %q: %+v", name, lines, want, got)
			}
			return got
		}
		select {
		case <-f.came:
		case <-late:
			f.t.Fatalf("%s: told %q, not %q", name, lines, want)
		}
	}
}

// raw is a client that sends what it is told to.
type raw struct {
	*net.UDPConn
	t  testing.TB
	to netip.AddrPort
}

func (f *foreign) ask(opcode byte, name string) *raw {
	f.t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		f.t.Fatal(err)
	}
	r := &raw{c, f.t, f.addr}
	r.send(append([]byte{0, opcode}, (name + "\x00octet\x00")...))
	return r
}

func (r *raw) send(b []byte) {
	r.t.Helper()
	if _, err := r.WriteToUDPAddrPort(b, r.to); err != nil {
		r.t.Fatal(err)
	}
}

// receive waits for a packet; the answers after the first go to where it came from.
func (r *raw) receive(within time.Duration) []byte {
	_ = r.SetReadDeadline(time.Now().Add(within))
	b := make([]byte, 2048)
	n, from, err := r.ReadFromUDPAddrPort(b)
	if err != nil {
		return nil
	}
	r.to = from
	return b[:n]
}

func (r *raw) expect(opcode byte) []byte {
	r.t.Helper()
	b := r.receive(soon)
	if len(b) < 4 || b[1] != opcode {
		r.t.Fatalf("answered % x, not opcode %d", b, opcode)
	}
	return b
}

func (r *raw) data(block uint16, size int) {
	r.t.Helper()
	r.send(append(binary.BigEndian.AppendUint16([]byte{0, 3}, block), make([]byte, size)...))
}

func says(t testing.TB, e tallyman.Evidence, want map[string]any) {
	t.Helper()
	got := map[string]any{}
	if err := json.Unmarshal([]byte(e.Details), &got); err != nil {
		t.Fatal(err)
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s says %s: %v, not %v: %s", e.Kind, k, got[k], v, e.Details)
		}
	}
}

func TestFilesTellsAGetFromTftpdHpa(t *testing.T) {
	f := watched(t, "tftpd-hpa")
	f.put("image", 3000, 0o644)
	out, code := client(t, t.TempDir(), nil, "tftp", f.addr.Addr().String(), fmt.Sprint(f.addr.Port()), "-m", "binary", "-c", "get", "image")
	if code != 0 {
		t.Fatal(out)
	}
	got := f.tells("image", "opened get 3000", "closed get 3000")
	says(t, got[1], map[string]any{"close": "nowrite", "accessed": true, "modified": false, "created": false})
	if p := got[1].Proc; p != got[0].Proc || p.PID == 0 || p.PID == int32(f.cmd.Process.Pid) {
		t.Errorf("process %+v then %+v; the server's own is %d, and it has a child for each request", got[0].Proc, p, f.cmd.Process.Pid)
	}
}

func TestFilesTellsAPutToTftpdHpa(t *testing.T) {
	f := watched(t, "tftpd-hpa")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "up"), noise(1, 100_000), 0o644); err != nil {
		t.Fatal(err)
	}
	out, code := client(t, dir, nil, "tftp", f.addr.Addr().String(), fmt.Sprint(f.addr.Port()), "-m", "binary", "-c", "put", "up")
	if code != 0 {
		t.Fatal(out)
	}
	got := f.tells("up", "opened put 0", "closed put 100000")
	says(t, got[1], map[string]any{"close": "write", "modified": true, "created": true})
	if got[0].Proc != got[1].Proc || got[0].File != got[1].File || !got[1].Began.Equal(got[0].Time) {
		t.Errorf("they do not belong together: %+v", got)
	}
}

// R7: a file that may not be read is opened and closed all the same, and nothing is read.
func TestFilesTellsThatARefusedFileWasNotRead(t *testing.T) {
	f := watched(t, "tftpd-hpa")
	f.put("secret", 500, 0o600)
	c := f.ask(1, "secret")
	defer c.Close()
	c.expect(5)
	got := f.tells("secret", "opened get 500", "closed get 500")
	says(t, got[1], map[string]any{"close": "nowrite", "accessed": false})
}

// R9: two readers of one file are told apart by their processes.
func TestFilesTellsTwoReadersOfOneFileApart(t *testing.T) {
	f := watched(t, "tftpd-hpa")
	f.put("image", 1000, 0o644)
	a, b := f.ask(1, "image"), f.ask(1, "image")
	defer a.Close()
	defer b.Close()
	a.expect(3)
	b.expect(3)
	f.tells("image", "opened get 1000", "opened get 1000")
	a.send([]byte{0, 5, 0, 0, 'n', 'o', 0})
	first := f.tells("image", "opened get 1000", "opened get 1000", "closed get 1000")
	b.send([]byte{0, 4, 0, 1})
	b.expect(3)
	b.send([]byte{0, 4, 0, 2})
	got := f.tells("image", "opened get 1000", "opened get 1000", "closed get 1000", "closed get 1000")
	if got[0].Proc == got[1].Proc || first[2].Proc == got[3].Proc || got[2].File != got[3].File {
		t.Errorf("%+v", got)
	}
}

// W2: the uploader vanishes. The server closes what it has; the witness tells how much that is.
func TestFilesTellsHowMuchACutUploadStored(t *testing.T) {
	f := watched(t, "tftpd-hpa")
	c := f.ask(2, "up")
	c.expect(4)
	c.data(1, 512)
	c.expect(4)
	c.data(2, 512)
	c.expect(4)
	opened := f.tells("up", "opened put 0")
	says(t, opened[0], map[string]any{"exe": peers(t)["tftpd-hpa"][0], "comm": "in.tftpd", "user": "nobody"})
	if opened[0].Proc.Start == 0 {
		t.Error("nobody knows when the process began that is waiting for us")
	}
	c.send([]byte{0, 5, 0, 0, 0})
	c.Close()
	got := f.tells("up", "opened put 0", "closed put 1024")
	says(t, got[1], map[string]any{"close": "write", "modified": true})
}

// W5: the second of two uploads to one name is dropped by the server's lock, without a word. The witness tells its empty use.
func TestFilesTellsALockedOutUpload(t *testing.T) {
	f := watched(t, "tftpd-hpa")
	a := f.ask(2, "up")
	defer a.Close()
	a.expect(4)
	b := f.ask(2, "up")
	defer b.Close()
	got := f.tells("up", "opened put 0", "opened put 0", "closed put 0")
	says(t, got[2], map[string]any{"close": "write", "modified": false})
	if got[1].Proc != got[2].Proc || got[0].Proc == got[1].Proc {
		t.Errorf("%+v", got)
	}
	a.data(1, 100)
	a.expect(4)
	f.tells("up", "opened put 0", "opened put 0", "closed put 0", "closed put 100")
}

// atftpd serves all requests in threads of one process.
func TestFilesTellsEachTransferOfAtftpd(t *testing.T) {
	f := watched(t, "atftpd")
	f.put("image", 1000, 0o644)
	a, b := f.ask(1, "image"), f.ask(1, "image")
	defer a.Close()
	defer b.Close()
	a.expect(3)
	b.expect(3)
	f.tells("image", "opened get 1000", "opened get 1000")
	for _, c := range []*raw{a, b} {
		c.send([]byte{0, 4, 0, 1})
		c.expect(3)
		c.send([]byte{0, 4, 0, 2})
	}
	got := f.tells("image", "opened get 1000", "opened get 1000", "closed get 1000", "closed get 1000")
	if got[3].Proc.PID != int32(f.cmd.Process.Pid) || got[0].Proc != got[3].Proc {
		t.Errorf("%+v", got)
	}
	says(t, got[2], map[string]any{"others": 1.0})
}
