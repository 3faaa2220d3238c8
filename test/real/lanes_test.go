//go:build real

package real

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// laned is what is read of the why of a record.
type laned struct {
	Transfer struct {
		Verdict, Reason string
		Against         []string
		Details         struct{ Probably string }
	}
	Sentence string
	Missing  []string
	Lanes    []struct {
		Witness, Side, Verdict, Reason, Alone string
		Facts                                 []struct{ Name, Text string }
		Lacks                                 []struct{ What, More string }
	}
}

// why asks for the why of the newest record of a file.
func (w *watching) why(name string) (a laned) {
	w.t.Helper()
	out := command(w.t, os.Getenv(binaryEnv), "why", name, "--json", "--state", w.state)
	if err := json.Unmarshal([]byte(out[max(strings.IndexByte(out, '{'), 0):]), &a); err != nil { // that no server runs is said before
		w.t.Fatal(err)
	}
	return a
}

// says wants that the lane of a witness says each of the parts, among its verdict, side, words, facts and lacks.
func (a *laned) says(t *testing.T, witness string, parts ...string) {
	t.Helper()
	for _, l := range a.Lanes {
		if l.Witness != witness {
			continue
		}
		text := fmt.Sprintf("%+v", l)
		for _, p := range parts {
			if !strings.Contains(text, p) {
				t.Errorf("the lane of %s does not say %q: %s", witness, p, text)
			}
		}
		return
	}
	t.Errorf("%s has no lane: %+v", witness, a.Lanes)
}

// newLanes starts a tftpd-hpa that logs requests, and one with a small disk that logs nothing; watch is to begin.
func newLanes(t *testing.T) (w *watching, talks, mute string) {
	t.Helper()
	i := newIsland(t)
	w = &watching{island: i, root: mkdir(t, i.dir, "srv"), state: filepath.Join(t.TempDir(), "state")}
	big, small := mkdir(t, w.root, "tftp"), mkdir(t, w.root, "small")
	if err := os.Chmod(big, 0o777); err != nil {
		t.Fatal(err)
	}
	command(t, "nsenter", "--mount", "--target", fmt.Sprint(i.pid), "mount", "-t", "tmpfs", "-o", "size=1m,mode=777", "tmpfs", small) // it goes with the island
	if err := os.WriteFile(filepath.Join(big, "image"), noise(1, 3000), 0o644); err != nil {
		t.Fatal(err)
	}
	talks, mute = fmt.Sprintf("127.0.0.1:%d", freePort(t)), fmt.Sprintf("127.0.0.1:%d", freePort(t))
	i.run("tftpd-hpa", "-L", "-a", mute, "-c", "-p", "--secure", small)
	i.run("tftpd-hpa", "-L", "-vv", "-a", talks, "-c", "-p", "--secure", big)
	up(t, talks)
	up(t, mute)
	return w, talks, mute
}

// logged asks for what is not there until a refusal comes with the line of the log: journalctl may not follow yet.
func (w *watching) logged(at string) {
	w.t.Helper()
	n := 0
	w.until("the log is followed", func() bool {
		ask(w.t, at, rrq(fmt.Sprintf("nope-%d", n)))
		n++
		return slices.ContainsFunc(w.ls("nope-*"), func(r told) bool { return slices.Contains(r.Witnesses, "log") })
	})
}

func TestEachWitnessOfAWatchedServerHasALane(t *testing.T) {
	w, talks, mute := newLanes(t)
	w.start()
	w.logged(talks)
	dir := t.TempDir()
	if out, code := client(t, dir, nil, "curl", "-sS", "-o", "got", "tftp://"+talks+"/image"); code != 0 {
		t.Fatal(out)
	}
	if err := os.WriteFile(filepath.Join(dir, "toobig"), noise(2, 1500000), 0o644); err != nil {
		t.Fatal(err)
	}
	_, _ = client(t, dir, nil, "curl", "-sS", "--tftp-blksize", "1428", "-T", "toobig", "tftp://"+mute+"/") // tftpd-hpa says that all is well
	w.becomes("image", "complete", "final-ack", 3000, "files", "log", "wire")
	w.becomes("toobig", "contradicted", "stored-short", 1500000, "wire")

	a := w.why("image")
	a.says(t, "wire", "final-ack", "packets", "6 of 512 bytes sent, 6 acknowledged", "3,000 confirmed", "sha256:", "Side:for")
	a.says(t, "files", "in.tftpd[", "3,000 bytes", "read", "image")
	a.says(t, "log", "1 line, written by tftpd-hpa", "tftpd-hpa writes none")
	if len(a.Missing) != 0 || len(a.Lanes) != 3 {
		t.Errorf("missing %q of %+v", a.Missing, a)
	}
	a = w.why("toobig")
	a.says(t, "wire", "complete", "1,500,000 confirmed", "asked blksize=1428")
	a.says(t, "files", "Side:against", "and 1,500,000 came", "in.tftpd[")
	a.says(t, "log", "Side:silent", "tftpd-hpa runs without -vv", "add -vv to TFTP_OPTIONS")
	if len(a.Transfer.Against) != 1 || a.Transfer.Against[0] != "files" {
		t.Errorf("against: %v", a.Transfer.Against)
	}
	ask(t, talks, rrq("nothing-here"))
	w.becomes("nothing-here", "refused", "not-found", 0, "log", "wire")
	refused := w.why("nothing-here")
	refused.says(t, "files", "Side:silent", "as it should be")
	refused.says(t, "wire", "refused")
	w.stop()

	// Nobody runs, and the why knows all the same who watched then.
	a = w.why("toobig")
	a.says(t, "log", "tftpd-hpa runs without -vv")
}

func TestWithoutPacketsWhatLogAndFilesAgreeOnIsProbablyWhole(t *testing.T) {
	w, talks, _ := newLanes(t)
	w.without = "net_raw"
	w.start()
	w.until("the first line is said", func() bool { return strings.Contains(w.said.String(), "\n") })
	if first, _, _ := strings.Cut(w.said.String(), "\n"); !strings.Contains(first, "No packets are seen: the capture was not allowed (needs CAP_NET_RAW)") || !strings.Contains(first, "stays unproven") {
		t.Errorf("the first line is %q", first)
	}
	w.logged(talks)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "confg"), noise(2, 5000), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, code := client(t, dir, nil, "curl", "-sS", "-T", "confg", "tftp://"+talks+"/"); code != 0 {
		t.Fatal(out)
	}
	w.until("log and files agree", func() bool {
		all := w.ls("confg")
		return len(all) == 1 && len(all[0].Witnesses) == 2 && all[0].Verdict == "unproven"
	})
	a := w.why("confg")
	if a.Transfer.Reason != "closed-unproven" || a.Transfer.Details.Probably != "whole" || !strings.Contains(a.Sentence, "probably whole") {
		t.Errorf("%+v", a)
	}
	a.says(t, "wire", "Side:absent", "the capture was not allowed (needs CAP_NET_RAW)", "setcap cap_net_raw")
	if !strings.Contains(strings.Join(a.Missing, "\n"), "no packets: the capture was not allowed (needs CAP_NET_RAW) -> run it as root") {
		t.Errorf("missing: %q", a.Missing)
	}
	if list := command(t, os.Getenv(binaryEnv), "ls", "file:confg", "--state", w.state); !strings.Contains(list, "unproven  probably whole") {
		t.Errorf("the list says %s", list)
	}
	doctor := command(t, os.Getenv(binaryEnv), "doctor", "--state", w.state)
	if !strings.Contains(doctor, "SERVER") || !strings.Contains(doctor, "without packets nothing is proven complete") {
		t.Errorf("doctor: %s", doctor)
	}
	w.stop()
}
