//go:build real

package real

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// watching is tallyman watch as a process, in an island with a server of somebody else.
type watching struct {
	*island
	root, state string
	without     string // a capability that it has not got
	stderr      safeBuffer
	cmd         *exec.Cmd
	said        safeBuffer
	socket      string
}

// start runs it until it says that its witnesses see.
func (w *watching) start() {
	w.t.Helper()
	ready := filepath.Join(w.t.TempDir(), "ready")
	appeared := appears(w.t, ready)
	run := []string{os.Getenv(binaryEnv), "watch", w.root, "--state", w.state, "--web", "", "--ready-file", ready}
	if w.without != "" {
		run = append([]string{"setpriv", "--bounding-set", "-" + w.without, "--inh-caps", "-" + w.without}, run...)
	}
	w.cmd = w.enter(run...)
	w.cmd.Stdout, w.cmd.Stderr = &w.said, &w.stderr
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := w.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = w.cmd.Process.Kill(); _ = w.cmd.Wait() })
	select {
	case <-appeared:
	case <-time.After(soon):
		w.t.Fatalf("watch is not ready: %s%s", w.said.String(), w.stderr.String())
	}
	w.until("it has said its first words", func() bool { return strings.Contains(w.said.String(), "says this again, as it is then") })
	var where struct{ Socket string }
	b, err := os.ReadFile(ready)
	if err == nil {
		err = json.Unmarshal(b, &where)
	}
	if err != nil {
		w.t.Fatalf("ready file %q: %v", b, err)
	}
	w.socket = where.Socket
}

// get asks it by its socket.
func (w *watching) get(path string) string {
	w.t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", w.socket)
	}}}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://localhost"+path, http.NoBody)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		w.t.Fatalf("%s: %s, %v: %s", path, resp.Status, err, b)
	}
	return string(b)
}

// stop has it drained by the command, and wants exit code 0.
func (w *watching) stop() {
	w.t.Helper()
	command(w.t, os.Getenv(binaryEnv), "stop", "--state", w.state)
	if err := w.cmd.Wait(); err != nil {
		w.t.Errorf("watch ends with %v: %s", err, w.stderr.String())
	}
}

// told is what is read of a record.
type told struct {
	File, Op, Verdict, Reason string
	Bytes                     int64
	Witnesses                 []string
}

// ls returns the records of a file.
func (w *watching) ls(name string) (all []told) {
	w.t.Helper()
	for line := range strings.Lines(command(w.t, os.Getenv(binaryEnv), "ls", "file:"+name, "--json", "--state", w.state)) {
		var r told
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			w.t.Fatalf("%v: %s", err, line)
		}
		all = append(all, r)
	}
	return all
}

// becomes waits until there is one record of a file, and it is as wanted.
func (w *watching) becomes(name, verdict, reason string, bytes int64, witnesses ...string) {
	w.t.Helper()
	var all []told
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for late := time.Now().Add(soon); time.Now().Before(late); <-tick.C {
		all = w.ls(name)
		if len(all) == 1 && all[0].Verdict == verdict && all[0].Reason == reason && all[0].Bytes == bytes && slices.Equal(all[0].Witnesses, witnesses) {
			return
		}
	}
	w.t.Errorf("%s is %+v, not %s %s, %d bytes, by %v\n%s", name, all, verdict, reason, bytes, witnesses, w.stderr.String())
}

func TestWatchProvesWhatTftpdHpaDid(t *testing.T) {
	i := newIsland(t)
	w := &watching{island: i, root: mkdir(t, i.dir, "tftp"), state: filepath.Join(t.TempDir(), "state")}
	if err := os.Chmod(w.root, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"image", "big"} {
		if err := os.WriteFile(filepath.Join(w.root, name), noise(1, 3000), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	at := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	i.run("tftpd-hpa", "-L", "-vv", "-a", at, "-c", "-p", "--secure", w.root)
	up(t, at)
	w.start()
	i.until("all is said", func() bool { return strings.Contains(w.said.String(), "says this again") })
	said := w.said.String()
	for _, part := range []string{"Watching 1 server", "tftpd-hpa", at, w.root, "complete, failed, aborted and refused are proven", "kept 400d"} {
		if !strings.Contains(said, part) {
			t.Errorf("the first words do not say %q:\n%s", part, said)
		}
	}
	// journalctl may not follow yet: ask until a refusal comes with the line of the log.
	for n := 0; ; n++ {
		name := fmt.Sprintf("nope-%d", n)
		ask(t, at, rrq(name))
		i.until("a record of the refusal", func() bool { return len(w.ls(name)) == 1 })
		if r := w.ls(name)[0]; slices.Contains(r.Witnesses, "log") {
			w.becomes(name, "refused", "not-found", 0, "log", "wire")
			break
		}
		if n > 100 {
			t.Fatal("the log says nothing")
		}
	}

	dir := t.TempDir()
	if out, code := client(t, dir, nil, "curl", "-sS", "-o", "got", "tftp://"+at+"/image"); code != 0 {
		t.Fatal(out)
	}
	if err := os.WriteFile(filepath.Join(dir, "up"), noise(2, 5000), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, code := client(t, dir, nil, "curl", "-sS", "-T", "up", "tftp://"+at+"/"); code != 0 {
		t.Fatal(out)
	}
	w.becomes("image", "complete", "final-ack", 3000, "files", "log", "wire")
	w.becomes("up", "complete", "stored", 5000, "files", "log", "wire")
	why := command(t, os.Getenv(binaryEnv), "why", "up", "--state", w.state)
	for _, lane := range []string{"WIRE", "FILES", "LOG"} {
		if !strings.Contains(why, lane) {
			t.Errorf("why shows no lane of %s:\n%s", lane, why)
		}
	}
	doctor := command(t, os.Getenv(binaryEnv), "doctor", "--state", w.state)
	for _, part := range []string{"witness wire", "witness files", "witness log", "tftpd-hpa[", "claims: requests, refusals"} {
		if !strings.Contains(doctor, part) {
			t.Errorf("doctor does not say %q:\n%s", part, doctor)
		}
	}

	// What runs while nobody looks did not end with us: it is unproven, and its server is not said to be gone.
	c, _, _ := ask(t, at, rrq("big"))
	defer c.Close()
	i.until("the transfer runs", func() bool { all := w.ls("big"); return len(all) == 1 && all[0].Verdict == "active" })
	w.stop()
	w.start()
	i.until("it is settled", func() bool { all := w.ls("big"); return len(all) > 0 && all[0].Verdict != "active" })
	if all := w.ls("big"); all[0].Verdict != "unproven" || all[0].Reason != "gap" {
		t.Errorf("it is %+v", all)
	}
	w.stop()
}
