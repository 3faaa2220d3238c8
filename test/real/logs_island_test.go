//go:build real

package real

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/logs"
)

// island is a mount namespace with a systemd-journald of its own, a /dev/log that leads to it, and users of its own.
type island struct {
	t       testing.TB
	dir     string
	journal string
	pid     int    // of journald
	netns   string // network namespace of what runs there; "" = ours
	address string // where servers of FTP listen
}

// enter is the command that runs another one in the island.
func (i *island) enter(command ...string) *exec.Cmd {
	args := []string{"--mount", "--target", fmt.Sprint(i.pid)}
	if i.netns != "" {
		args = append(args, "--net=/var/run/netns/"+i.netns)
	}
	return exec.Command("nsenter", append(args, command...)...)
}

// peopled is what runs before journald: a /run and a /dev of its own, and a user lu with the password pw.
const peopled = `set -e
for m in $(sed -n 's#^/dev/loop[^ ]* \([^ ]*\) .*#\1#p' /proc/self/mounts); do # disks of other tests, which they unmount meanwhile
	case $m in "$(dirname "$1")"/*) ;; *) umount -l "$m" || true ;; esac
done
mount -t tmpfs tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /dev
mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/zero c 1 5; mknod -m 666 /dev/random c 1 8; mknod -m 666 /dev/urandom c 1 9; mknod -m 666 /dev/tty c 5 0
mkdir /dev/pts /dev/shm; mount -t devpts -o ptmxmode=666,newinstance devpts /dev/pts; ln -s pts/ptmx /dev/ptmx
mkdir -p /run/systemd/journal /run/log/journal /run/sshd /run/vsftpd/empty
mount --bind "$1/journal" /run/log/journal
ln -s /run/systemd/journal/dev-log /dev/log
for f in passwd shadow group; do cp /etc/$f "$1/$f"; done
chmod 600 "$1/shadow"
echo "lu:x:4242:4242::$1/home:/bin/sh" >>"$1/passwd"
echo "lu:$(openssl passwd -6 pw):19000:0:99999:7:::" >>"$1/shadow"
echo "lu:x:4242:" >>"$1/group"
grep -q ^sshd: "$1/passwd" || echo "sshd:x:4243:65534::/run/sshd:/usr/sbin/nologin" >>"$1/passwd"
for f in passwd shadow group; do mount --bind "$1/$f" /etc/$f; done
exec /lib/systemd/systemd-journald`

func newIsland(t testing.TB) *island {
	t.Helper()
	dir := t.TempDir()
	for up := dir; up != "/"; up = filepath.Dir(up) { // a user of the island goes through
		if info, err := os.Stat(up); err == nil && strings.HasPrefix(up, os.TempDir()+"/") {
			_ = os.Chmod(up, info.Mode()|0o055)
		}
	}
	i := &island{t: t, dir: dir, journal: mkdir(t, dir, "journal"), address: "127.0.0.1"}
	home := mkdir(t, dir, "home")
	if err := os.Chown(home, 4242, 4242); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--mount", "sh", "-c", peopled, "sh", dir)
	var said safeBuffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	i.pid = cmd.Process.Pid
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	i.until("journald listens", func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/%d/root/run/systemd/journal/dev-log", i.pid))
		return err == nil
	})
	return i
}

// until asks again and again, and fails with what was asked.
func (i *island) until(what string, f func() bool) {
	i.t.Helper()
	deadline := time.After(soon)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-deadline:
			i.t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// peer is a server of another maker that script/peers has unpacked.
func peer(t testing.TB, name string) (program, libraries string) {
	t.Helper()
	for line := range strings.Lines(command(t, "../../script/peers")) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 4 && f[0] == name {
			return f[2], f[3]
		}
	}
	t.Fatalf("script/peers does not know %s", name)
	return "", ""
}

// run starts a program in the island that lives as long as the test.
func (i *island) run(name string, arg ...string) {
	i.t.Helper()
	program, libraries := peer(i.t, name)
	cmd := i.enter(append([]string{program}, arg...)...)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+libraries)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var said safeBuffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		_ = cmd.Wait()
		if i.t.Failed() {
			i.t.Logf("%s said: %s", name, said.String())
		}
	})
}

// witness is a running source of logs and what it has recorded.
type witness struct {
	t    testing.TB
	cfg  logs.Config
	mu   sync.Mutex
	got  []tallyman.Evidence
	src  *logs.Source
	stop context.CancelFunc
	done chan error
}

func newWitness(t testing.TB, cfg logs.Config) *witness {
	t.Helper()
	cfg.State, cfg.Host = t.TempDir(), "vm"
	return &witness{t: t, cfg: cfg}
}

func (w *witness) Record(batch ...tallyman.Evidence) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got = append(w.got, batch...)
}

func (w *witness) Commit(_ context.Context, batch ...tallyman.Evidence) error {
	w.Record(batch...)
	return nil
}

func (w *witness) start() {
	w.t.Helper()
	var err error
	if w.src, err = logs.New(w.cfg); err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	w.stop, w.done = stop, make(chan error, 1)
	go func() { w.done <- w.src.Run(ctx, w) }()
}

func (w *witness) end() {
	w.t.Helper()
	w.stop()
	if err := <-w.done; err != nil {
		w.t.Fatal(err)
	}
}

func (w *witness) all() []tallyman.Evidence {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]tallyman.Evidence(nil), w.got...)
}

// find waits for evidence that fits.
func (w *witness) find(what string, fits func(e *tallyman.Evidence) bool) (found tallyman.Evidence) {
	w.t.Helper()
	deadline := time.Now().Add(soon)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(deadline) {
		for _, e := range w.all() {
			if fits(&e) {
				return e
			}
		}
		<-tick.C
	}
	for _, e := range w.all() {
		w.t.Logf("%s %s %s name %q path %q reason %s moved %d details %s raw %q", e.Kind, e.Op, e.Proto, e.Name, e.Path, e.Reason, e.Moved, e.Details, e.Raw)
	}
	for _, l := range w.src.Refused() {
		w.t.Logf("refused: %+v", l)
	}
	w.t.Fatalf("no evidence: %s", what)
	return found
}
