//go:build real

package real

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tallyman"
	"tallyman/join"
)

// sshRow is what a client does to a file of sshd, and what has to be said of it.
type sshRow struct {
	name, what string
	on         []string // kinds of server; all if it is empty
	size       int      // of the file that is asked for; 0: there is none
	play       func(p *sshPlay)
	log        int  // ends that the log tells
	closes     int  // by the files
	mute       bool // the server may die of the broken pipe before it has written an end
	want       []string
	also       []string // what is said if a witness comes late
}

// atOnce is how many clients there are at one time: each costs a key exchange and a process or two.
const atOnce = 8

// Slow enough to be broken off in the middle of big.
const big = 24 << 20

// So much that nobody gets to its end at full speed before it is killed.
const huge = 1 << 30

var slow = []string{"-l", "20000"}

func sshRows() []sshRow {
	good := []string{"complete closed"}
	gone := []string{"failed client-gone"}
	silent := []string{"failed client-silent"}
	open := []string{"info", "verbose", "jail"}
	up := func(size int, f func(p *sshPlay)) func(p *sshPlay) {
		return func(p *sshPlay) {
			must(os.WriteFile(p.near, noise(7, size), 0o600))
			f(p)
		}
	}
	put := func(p *sshPlay) string { return fmt.Sprintf("put %s %s", p.near, p.path(p.name)) }
	get := func(p *sshPlay) string { return fmt.Sprintf("get %s %s", p.path(p.name), p.near) }
	return []sshRow{
		{name: "up", what: "upload by sftp", on: open, log: 1, closes: 1, want: good, play: up(3000, func(p *sshPlay) { p.done(p.sftp(put(p))) })},
		{name: "up0", what: "empty upload", on: open, log: 1, closes: 1, want: good, play: up(0, func(p *sshPlay) { p.done(p.sftp(put(p))) })},
		{name: "upscp", what: "upload by scp", on: open, log: 1, closes: 1, want: good, play: up(300000, func(p *sshPlay) { p.done(p.scp(p.near, ":"+p.path(p.name))) })},
		{name: "upcurl", what: "upload by curl", on: open, log: 1, closes: 1, want: good, play: up(300000, func(p *sshPlay) { p.done(p.curl(p.name, "-T", p.near)) })},
		{name: "again", what: "one name twice in one session", on: open, log: 2, closes: 2, want: []string{"complete closed", "complete closed"}, play: up(500_000, func(p *sshPlay) {
			p.done(p.sftp(put(p)+"\n"+put(p)+"-other\n"+put(p), "-l", "8000")) // not at once: then the size at the first close is that of the second open
		})},
		{name: "rest", what: "upload that goes on behind what is there", on: open, size: 100_000, log: 1, closes: 1, want: good, also: []string{"unproven closed-unproven"}, play: up(1_000_000, func(p *sshPlay) {
			p.done(p.sftp("re"+put(p), "-l", "8000")) // the file system tells how long the file was before, if it is not late
		})},
		{name: "down", what: "download by sftp", on: open, size: 3000, log: 1, closes: 1, want: good, play: func(p *sshPlay) { p.done(p.sftp(get(p))) }},
		{name: "downscp", what: "download by scp", on: open, size: 300000, log: 1, closes: 1, want: good, play: func(p *sshPlay) { p.done(p.scp(":"+p.path(p.name), p.near)) }},
		{name: "downcurl", what: "download by curl", on: open, size: 300000, log: 1, closes: 1, want: good, play: func(p *sshPlay) { p.done(p.curl(p.name, "-o", p.near)) }},
		{name: "upkill", what: "uploading sftp and its ssh killed", on: open, mute: true, closes: 1, want: gone, play: up(big, func(p *sshPlay) {
			p.broken(p.sftp(put(p), slow...), p.real(p.name), killed)
		})},
		{name: "uphalf", what: "uploading sftp killed, its ssh lives on", on: open, mute: true, closes: 1, want: gone, play: up(big, func(p *sshPlay) {
			p.broken(p.sftp(put(p), slow...), p.real(p.name), halfKilled)
		})},
		{name: "upscpkill", what: "uploading scp killed", on: open, mute: true, closes: 1, want: gone, play: up(big, func(p *sshPlay) {
			p.broken(p.scp(p.near, ":"+p.path(p.name), slow...), p.real(p.name), killed)
		})},
		{name: "upcurlkill", what: "uploading curl killed", on: open, mute: true, closes: 1, want: gone, play: up(big, func(p *sshPlay) {
			p.broken(p.curl(p.name, "-T", p.near, "--limit-rate", "2M"), p.real(p.name), killed)
		})},
		{name: "downkill", what: "downloading sftp and its ssh killed", on: open, size: big, mute: true, closes: 1, want: gone, play: func(p *sshPlay) {
			p.broken(p.sftp(get(p), slow...), p.near, killed)
		}},
		{name: "downcurlkill", what: "downloading curl killed", on: open, size: big, mute: true, closes: 1, want: gone, play: func(p *sshPlay) {
			p.broken(p.curl(p.name, "-o", p.near, "--limit-rate", "2M"), p.near, killed)
		}},
		{name: "upfast", what: "uploading sftp killed at full speed", on: open, mute: true, closes: 1, want: gone, play: up(0, func(p *sshPlay) {
			must(os.Truncate(p.near, huge))
			p.broken(p.sftp(put(p)), p.real(p.name), killed)
		})},
		{name: "downfast", what: "downloading sftp killed at full speed", on: open, mute: true, closes: 1, size: 1, want: gone, play: func(p *sshPlay) {
			must(os.Truncate(p.real(p.name), huge))
			p.broken(p.sftp(get(p)), p.near, killed)
		}},
		{name: "downstop", what: "downloading sftp stopped by Ctrl-C", on: open, size: big, log: 1, closes: 1, want: []string{"unproven partial-read"}, play: func(p *sshPlay) {
			p.broken(p.sftp(get(p), slow...), p.near, stopped)
		}},
		{name: "upstop", what: "uploading sftp stopped by Ctrl-C, which closes the file in order", on: open, log: 1, closes: 1, want: good, play: up(big, func(p *sshPlay) {
			p.broken(p.sftp(put(p), slow...), p.real(p.name), stopped)
		})},
		{name: "upscpstop", what: "uploading scp stopped by Ctrl-C", on: open, mute: true, closes: 1, want: gone, play: up(big, func(p *sshPlay) {
			p.broken(p.scp(p.near, ":"+p.path(p.name), slow...), p.real(p.name), stopped)
		})},
		{name: "denied", what: "file that may not be read", on: open, size: 3000, log: 1, want: []string{"refused not-readable"}, play: func(p *sshPlay) {
			must(os.Chmod(p.real(p.name), 0o600))
			p.fails(p.curl(p.name, "-o", p.near))
		}},
		{name: "locked", what: "file that may not be written", on: open, size: 3000, log: 1, want: []string{"refused not-writable"}, play: up(3000, func(p *sshPlay) {
			must(os.Chmod(p.real(p.name), 0o644))
			p.fails(p.sftp(put(p)))
		})},
		{name: "none", what: "missing file", on: open, log: 1, want: []string{"refused not-found"}, play: func(p *sshPlay) { p.fails(p.curl(p.name, "-o", p.near)) }},
		{name: "full", what: "disk full", on: []string{"full"}, log: 1, closes: 1, want: []string{"failed disk-full"}, play: up(3_000_000, func(p *sshPlay) { p.fails(p.sftp(put(p))) })},
		{name: "cutup", what: "link cut in an upload", on: []string{"cutup"}, log: 1, closes: 1, want: silent, play: up(big, func(p *sshPlay) {
			p.broken(p.sftp(put(p), append(slices.Clip(slow), "-o", "BindAddress=127.77.1.1")...), p.real(p.name), p.cut)
		})},
		{name: "cutdown", what: "link cut in a download", on: []string{"cutdown"}, size: big, log: 1, closes: 1, want: silent, play: func(p *sshPlay) {
			p.broken(p.sftp(get(p), append(slices.Clip(slow), "-o", "BindAddress=127.77.1.2")...), p.near, p.cut)
		}},
	}
}

const alive = "\nClientAliveInterval 1\nClientAliveCountMax 2"

func sshKinds() []sshKind {
	return []sshKind{
		{name: "info", conf: "Subsystem sftp internal-sftp -l INFO -f AUTH"},
		{name: "verbose", conf: "Subsystem sftp PEERS/lib/openssh/sftp-server -l VERBOSE"},
		{name: "jail", conf: "Subsystem sftp internal-sftp -l INFO", jail: true},
		{name: "full", conf: "Subsystem sftp internal-sftp -l INFO", full: true},
		{name: "cutup", conf: "Subsystem sftp internal-sftp -l INFO" + alive},
		{name: "cutdown", conf: "Subsystem sftp PEERS/lib/openssh/sftp-server -l INFO" + alive},
	}
}

// sshPart is a row on one server.
type sshPart struct {
	*sshRow
	*sshPlay
}

func TestEachRowOnOpenSSHIsJudgedRight(t *testing.T) {
	s, hosts := sshStage(t, sshKinds())
	rows := sshRows()
	var parts []sshPart
	near := mkdir(t, s.dir, "near")
	for _, h := range hosts {
		for i := range rows {
			r := &rows[i]
			if !slices.Contains(r.on, h.name) {
				continue
			}
			p := &sshPlay{sshHost: h, name: r.name + "-" + h.name, near: filepath.Join(near, r.name+"-"+h.name)}
			if r.size > 0 {
				must(os.WriteFile(p.real(p.name), noise(7, r.size), 0o600))
				must(os.Chmod(p.real(p.name), 0o666))
			}
			parts = append(parts, sshPart{r, p})
		}
	}
	var all sync.WaitGroup
	turn := make(chan struct{}, atOnce)
	for _, i := range rand.Perm(len(parts)) {
		p := parts[i]
		all.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			p.play(p.sshPlay)
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	s.wait(func() string {
		s.records() // it is told how late it is, as it is once a second where it works
		return untoldOf(parts, s.evidence())
	})
	heard := s.evidence()
	sshJudged(t, parts, s.records(), "as it came")
	rand.Shuffle(len(heard), func(a, b int) { heard[a], heard[b] = heard[b], heard[a] })
	sshJudged(t, parts, settled(heard), "in another order")
	sshTabled(t, rows, parts, heard)
	for _, h := range hosts {
		if !slices.ContainsFunc(heard, func(e tallyman.Evidence) bool {
			return e.Witness == "wire" && e.Kind == tallyman.KindFlow && int(e.Self.Port()) == h.port
		}) {
			t.Errorf("no packet of %s was seen", h.name)
		}
	}
}

// untoldOf says what is still missing of the evidence.
func untoldOf(parts []sshPart, heard []tallyman.Evidence) string {
	for _, p := range parts {
		if n := p.told("log", heard); n < p.log {
			return fmt.Sprintf("%s: the log has told %d of %d ends", p.sshPlay.name, n, p.log)
		}
		if n := p.told("files", heard); n < p.closes {
			return fmt.Sprintf("%s: %d of %d closes", p.sshPlay.name, n, p.closes)
		}
	}
	if last := heard[len(heard)-1].Seen; time.Since(last) <= logLag {
		return "silence, after which no line of the log is waited for"
	}
	return ""
}

// logLag is a little more than a log is waited for, when the file has been closed.
const logLag = 4 * time.Second

// settled judges a list of evidence anew, and waits for the log.
func settled(list []tallyman.Evidence) []*tallyman.Transfer {
	cfg := join.Defaults()
	cfg.Settle, cfg.Linger = time.Hour, time.Hour
	j := join.New(cfg)
	latest := map[tallyman.UUID]*tallyman.Transfer{}
	note := func() {
		for _, r := range j.Changed() {
			if tr, ok := r.(*tallyman.Transfer); ok {
				latest[tr.ID] = tr
			}
		}
	}
	var last time.Time
	for _, e := range list {
		j.Add(e)
		if e.Seen.After(last) {
			last = e.Seen
		}
	}
	note()
	j.Advance(last.Add(logLag))
	note()
	return slices.DeleteFunc(slices.Collect(maps.Values(latest)), func(tr *tallyman.Transfer) bool { return !tr.Merged.IsZero() })
}

// saidOf is the verdict and reason of each record of the row's file, sorted.
func (p *sshPlay) saidOf(records []*tallyman.Transfer) (said []string) {
	for _, tr := range records {
		if p.speaksOf(tr.Name, tr.Path) && tr.Op.MovesContent() {
			said = append(said, strings.TrimSpace(fmt.Sprint(tr.Judgement.Verdict, " ", tr.Judgement.Reason)))
		}
	}
	slices.Sort(said)
	return said
}

func sshJudged(t *testing.T, parts []sshPart, records []*tallyman.Transfer, how string) {
	t.Helper()
	for _, p := range parts {
		if got := p.saidOf(records); !slices.Equal(got, p.want) && !slices.Equal(got, p.also) {
			t.Errorf("%s: %s, %s: %q, want %q", how, p.sshPlay.name, p.what, got, p.want)
			for _, tr := range records {
				if p.speaksOf(tr.Name, tr.Path) {
					t.Log(account(tr))
				}
			}
		}
	}
}

// The places of the table in witnessesPage.
const (
	sshTableBegins = "<!-- the table of OpenSSH is written by test/real (UPDATE=1) -->\n"
	sshTableEnds   = "<!-- end of the table of OpenSSH -->\n"
)

// sshTabled compares the table of the page with what the witnesses say of these rows, on each kind of server, and takes each witness away.
func sshTabled(t *testing.T, rows []sshRow, parts []sshPart, heard []tallyman.Evidence) {
	t.Helper()
	cells := map[string]map[string]string{} // witnesses, row
	for _, who := range []string{"log", "files", "wire", "log files", "log wire", "files wire", "log files wire"} {
		cells[who] = map[string]string{}
		records := settled(by(heard, strings.Fields(who)...))
		for _, p := range parts {
			said := p.saidOf(records)
			for _, v := range said {
				if strings.HasPrefix(v, "complete") && (who != "log files" && who != "log files wire" || !slices.Contains(p.want, v)) {
					t.Errorf("%s by %s: %s", p.sshPlay.name, who, v)
				}
			}
			if both := []string{"unproven log-only", "failed client-gone"}; p.mute && strings.HasPrefix(who, "log") && len(said) == 1 && said[0] == both[0] {
				said = both[1:] // an end is written, or not
			}
			if who == "log files wire" && slices.Equal(said, p.also) {
				said = p.want
			}
			if who == "log files" || who == "log wire" {
				continue // the table does not show them
			}
			if old, ok := cells[who][p.sshRow.name]; ok && old != cell(said) {
				t.Errorf("%s by %s: %s, elsewhere %s", p.sshPlay.name, who, cell(said), old)
			}
			cells[who][p.sshRow.name] = cell(said)
		}
	}
	var b strings.Builder
	b.WriteString("| case | log alone | files alone | wire alone | all three |\n|---|---|---|---|---|\n")
	for _, r := range rows {
		log := cells["log"][r.name]
		if r.mute {
			log += ", or no end: unproven `log-only`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.what, log, cells["files"][r.name], cells["wire"][r.name], cells["log files wire"][r.name])
	}
	onPage(t, sshTableBegins, sshTableEnds, b.String())
}
