//go:build real

package real

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// fall ends watch as a crash does.
func (w *watching) fall() {
	w.t.Helper()
	_ = w.cmd.Process.Signal(syscall.SIGKILL)
	_ = w.cmd.Wait()
}

// gaps are the whys of all gaps, one a line.
func (w *watching) gaps() string {
	w.t.Helper()
	var all struct {
		Gaps []struct{ Witness, Why string }
	}
	if err := json.Unmarshal([]byte(w.get("/api/v1/gaps?limit=1000")), &all); err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, g := range all.Gaps {
		out = append(out, g.Witness+": "+g.Why)
	}
	return strings.Join(out, "\n")
}

// hpaWatched is tftpd-hpa with one file, image, and a watch that follows its journal.
func hpaWatched(t testing.TB, i *island, state string) (w *watching, at string, content []byte) {
	t.Helper()
	w = &watching{island: i, root: filepath.Join(i.dir, "home"), state: state}
	if err := os.Chmod(w.root, 0o777); err != nil {
		t.Fatal(err)
	}
	at, content = fmt.Sprintf("127.0.0.1:%d", freePort(t)), noise(1, 3000)
	i.run("tftpd-hpa", "-L", "-vv", "-a", at, "-c", "-p", "--secure", w.root)
	up(t, at)
	return w, at, content
}

// fetch makes a file of a name that was not there before, and fetches it.
func (w *watching) fetch(at, name string, content []byte) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.root, name), content, 0o644); err != nil {
		w.t.Fatal(err)
	}
	if out, code := client(w.t, w.t.TempDir(), nil, "curl", "-sS", "-o", "got", "tftp://"+at+"/"+name); code != 0 {
		w.t.Fatal(out)
	}
}

// followed waits until the journal is followed.
func (w *watching) followed(at string) {
	w.t.Helper()
	n := 0
	w.until("the journal is followed", func() bool {
		n++
		name := fmt.Sprintf("nobody-%d-%d", w.cmd.Process.Pid, n)
		ask(w.t, at, rrq(name))
		w.until("a record of the refusal", func() bool { return len(w.ls(name)) == 1 })
		return slices.Contains(w.ls(name)[0].Witnesses, "log")
	})
}

func TestKilledWatchTellsNothingTwiceAndLosesNothingSilently(t *testing.T) {
	i := newIsland(t)
	w, at, content := hpaWatched(t, i, filepath.Join(t.TempDir(), "state"))
	port, own := freeTCP(t), i.file("vsftpd.log")
	i.vsftpd(port, own, i.file("xferlog"), false)
	_ = i.dial(port).Close()
	w.start()
	w.followed(at)
	const rounds = 3
	for round := range rounds {
		w.fetch(at, fmt.Sprintf("before-%d", round), content)
		i.ftp(port, "pw").put(fmt.Sprintf("ftp-before-%d", round), []byte("before"), false)
		w.becomes(fmt.Sprintf("before-%d", round), "complete", "final-ack", 3000, "files", "log", "wire")
		if err := os.WriteFile(filepath.Join(w.root, fmt.Sprintf("half-%d", round)), content, 0o644); err != nil {
			t.Fatal(err)
		}
		c, _, _ := ask(t, at, rrq(fmt.Sprintf("half-%d", round)))
		i.until("a transfer runs", func() bool { return len(w.ls(fmt.Sprintf("half-%d", round))) == 1 })
		w.fall()
		_ = c.Close()

		// Nobody looks now. The log is turned over, and its server begins again.
		w.fetch(at, fmt.Sprintf("asleep-%d", round), content)
		i.ftp(port, "pw").put(fmt.Sprintf("ftp-blind-%d", round), []byte("blind"), false)
		if err := os.Rename(own, fmt.Sprintf("%s.%d", own, rounds-round)); err != nil {
			t.Fatal(err)
		}
		i.file("vsftpd.log")
		port = freeTCP(t)
		i.vsftpd(port, own, filepath.Join(i.dir, "xferlog"), false)
		i.ftp(port, "pw").put(fmt.Sprintf("ftp-turned-%d", round), []byte("turned"), false)
		w.start()
		w.followed(at)
	}
	w.fetch(at, "behind", content)
	w.becomes("behind", "complete", "final-ack", 3000, "files", "log", "wire")
	for round := range rounds {
		w.becomes(fmt.Sprintf("before-%d", round), "complete", "final-ack", 3000, "files", "log", "wire")
		for _, name := range []string{"ftp-before", "half", "asleep", "ftp-blind", "ftp-turned"} {
			name = fmt.Sprintf("%s-%d", name, round)
			var all []told
			i.until(name+" is judged", func() bool {
				all = w.ls("*" + name)
				return len(all) > 0 && all[0].Verdict != "active"
			})
			if len(all) != 1 {
				t.Errorf("%s: %d records, %+v", name, len(all), all)
			}
			if r := all[0]; r.Verdict == "contradicted" || r.Verdict == "complete" && name[:4] != "ftp-" {
				t.Errorf("%s: %+v", name, r)
			}
		}
	}
	gaps := w.gaps()
	if n := strings.Count(gaps, "wire: the program did not run"); n < rounds {
		t.Errorf("%d gaps of the wire for %d falls:\n%s", n, rounds, gaps)
	}
	w.stop()
}

// The spool has its room before it needs it: what is seen while the disk is full waits there for the ledger. What does not fit is a gap.
func TestFullDiskUnderWatchLosesNothingSilently(t *testing.T) {
	state := filepath.Join(mkdir(t, t.TempDir(), "disk"), "state")
	disk := filepath.Dir(state)
	command(t, "mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", disk)
	t.Cleanup(func() { command(t, "umount", "-l", disk) })
	i := newIsland(t)
	w, at, content := hpaWatched(t, i, state)
	w.start()
	w.followed(at)
	w.fetch(at, "before", content)
	w.becomes("before", "complete", "final-ack", 3000, "files", "log", "wire")
	ballast := filepath.Join(disk, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 64<<10))
	}
	_ = f.Close()
	const many = 2500 // more than fits into what is open
	for n := range many {
		ask(t, at, rrq(fmt.Sprintf("in-between-%d-%s", n, strings.Repeat("x", 400))))
	}
	i.until("the ledger finds no room", func() bool { return strings.Contains(w.stderr.String(), "records wait") })
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	w.fetch(at, "behind", content)
	w.becomes("behind", "complete", "final-ack", 3000, "files", "log", "wire")
	seen := map[string]int{}
	for line := range strings.Lines(command(t, os.Getenv(binaryEnv), "ls", "file:in-between-*", "-n", "0", "--json", "--state", w.state)) {
		var r struct{ File, Verdict string }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if seen[r.File]++; seen[r.File] > 1 || r.Verdict != "refused" && r.Verdict != "unproven" {
			t.Errorf("%s", line)
		}
	}
	t.Logf("%d of %d are missing; gaps: %s", many-len(seen), many, w.gaps())
	if len(seen) < many && w.gaps() == "" {
		t.Errorf("%d records are missing, and no gap says so", many-len(seen))
	}
	w.stop()
}
