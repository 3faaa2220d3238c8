//go:build real

package real

import (
	"fmt"
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
	"tallyman/source/files"
)

// A server gives up after 63 times this; the wire says that somebody is silent after stall.
const (
	hpaTimeout = 20 * time.Millisecond
	hpaStall   = 2500 * time.Millisecond
)

// onHPA gives each row a server of its own, on an address of its own. name says what is asked for; act tells tests that run at the same time apart.
func onHPA(t *testing.T, act int, rows []row, name func(r *row) string) (*stage, []*player) {
	t.Helper()
	s := newStage(t, act)
	var players []*player
	var roots []files.Root
	for i := range rows {
		p := &player{stage: s, name: name(&rows[i]), root: s.folder(t, rows[i].name, rows[i].size), at: s.address(i)}
		rows[i].prepare(filepath.Join(p.root, p.name))
		roots = append(roots, files.Root{Path: p.root, Proto: "tftp", Programs: []string{"in.tftpd"}})
		players = append(players, p)
	}
	s.island = newIsland(t) // it sees the small file systems
	program, libraries := peer(t, "tftpd-hpa")
	for i, p := range players {
		arg := []string{"-L", "-vvvv", "-a", p.at.String(), "-c", "-u", "nobody", "-s", "-T", fmt.Sprint(hpaTimeout.Microseconds())}
		if rows[i].rules != "" {
			rules := filepath.Join(s.dir, "map-"+rows[i].name)
			must(os.WriteFile(rules, []byte(rows[i].rules), 0o644))
			arg = append(arg, "-m", rules)
		}
		s.launch(program, libraries, append(arg, p.root)...)
	}
	for _, p := range players {
		up(t, p.at.String())
	}
	s.witness(roots, nil, hpaStall, func() {
		trial := &player{stage: s, name: tryName, at: players[0].at}
		trial.ask(opRead).Close()
	})
	s.perform(rows, players)
	return s, players
}

// perform plays all rows at once, and waits until the witnesses have told all.
func (s *stage) perform(rows []row, players []*player) {
	s.t.Helper()
	var all sync.WaitGroup
	order := rand.Perm(len(rows))
	for _, i := range order {
		all.Go(func() { rows[i].play(players[i]) })
	}
	all.Wait()
	s.t.Cleanup(func() {
		for _, p := range players {
			for _, c := range p.talkers {
				c.Close()
			}
		}
	})
	if s.t.Failed() {
		s.t.FailNow()
	}
	s.wait(func() string { return untold(rows, players, s.evidence()) })
}

// untold says what is still missing of the evidence.
func untold(rows []row, players []*player, heard []tallyman.Evidence) string {
	lines, log := 0, 0
	ended, noted := map[uint16]bool{}, map[string]bool{}
	closed := map[string]int{}
	for _, e := range heard {
		for i := range rows {
			noted[rows[i].note] = noted[rows[i].note] || strings.Contains(e.Details, rows[i].note)
		}
		switch {
		case e.Witness == "log":
			log++
		case e.Witness == "wire" && (e.Kind == tallyman.KindClosed || e.Kind == tallyman.KindRefusal):
			ended[e.Peer.Port()] = true
		case e.Witness == "files" && e.Kind == tallyman.KindClosed:
			closed[filepath.Dir(e.Path)]++
		}
	}
	for i, p := range players {
		lines += rows[i].log
		if closed[p.root] < rows[i].closes {
			return fmt.Sprintf("%s: %d of %d closes", rows[i].name, closed[p.root], rows[i].closes)
		}
		for _, c := range p.talkers {
			if !ended[c.port()] || !noted[rows[i].note] {
				return rows[i].name + ": the wire has not told the end"
			}
		}
	}
	if log < lines {
		return fmt.Sprintf("%d of %d pieces of evidence by the log", log, lines)
	}
	return ""
}

// judged sorts the records to the rows by the client's port, and compares.
func judged(t *testing.T, rows []row, players []*player, records []*tallyman.Transfer, how string) {
	t.Helper()
	of := map[uint16]int{}
	for i, p := range players {
		for _, c := range p.talkers {
			of[c.port()] = i
		}
	}
	got := make([][]string, len(rows))
	for _, tr := range records {
		i, ok := of[tr.Client.Port()]
		if !ok {
			t.Errorf("%s: a record of nobody: %s", how, account(tr))
			continue
		}
		got[i] = append(got[i], fmt.Sprint(tr.Judgement.Verdict, " ", tr.Judgement.Reason))
		if !strings.Contains(tr.Details, rows[i].note) {
			t.Errorf("%s: %s: the details lack %s: %s", how, rows[i].name, rows[i].note, tr.Details)
		}
	}
	for i := range rows {
		slices.Sort(got[i])
		if !slices.Equal(got[i], rows[i].want) {
			t.Errorf("%s: %s %s: %q, want %q", how, rows[i].name, rows[i].what, got[i], rows[i].want)
			for _, tr := range records {
				if j, ok := of[tr.Client.Port()]; ok && i == j {
					t.Log(account(tr))
				}
			}
		}
	}
}

// account is a record with all its evidence, for whoever has to find out why it is wrong.
func account(tr *tallyman.Transfer) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %q client %s: %s %s, for %v against %v\n", tr.Op, tr.Proto, tr.Name, tr.Client, tr.Judgement.Verdict, tr.Judgement.Reason, tr.Judgement.For, tr.Judgement.Against)
	for _, e := range tr.Evidence {
		fmt.Fprintf(&b, "    %s %s %s %s peer %s self %s pid %d name %q path %q reason %s moved %d size %d %s\n", e.Time.Format("05.000000"), e.Witness, e.Kind, e.Op, e.Peer, e.Self, e.Proc.PID, e.Name, e.Path, e.Reason, e.Moved, e.Size, e.Details)
	}
	return b.String()
}

// again judges a list of evidence anew.
func again(list []tallyman.Evidence) []*tallyman.Transfer {
	cfg := join.Defaults()
	cfg.Settle, cfg.Linger = time.Hour, time.Hour
	j := join.New(cfg)
	for _, e := range list {
		j.Add(e)
	}
	var out []*tallyman.Transfer
	for _, r := range j.Changed() {
		if tr, ok := r.(*tallyman.Transfer); ok {
			out = append(out, tr)
		}
	}
	return out
}

func TestEachRowOnTftpdHpaIsJudgedRight(t *testing.T) {
	rows := hpaRows()
	s, players := onHPA(t, 0, rows, func(r *row) string { return strings.ToLower(r.name) + ".bin" })
	judged(t, rows, players, s.records(), "as it came")
	tabled(t, rows, players, s.evidence())
}

func TestAllRowsOfOneClientAndOneNameAreJudgedRight(t *testing.T) {
	rows := hpaRows()
	s, players := onHPA(t, 1, rows, func(*row) string { return "x" })
	judged(t, rows, players, s.records(), "as it came")
	list := s.evidence()
	rand.Shuffle(len(list), func(a, b int) { list[a], list[b] = list[b], list[a] })
	judged(t, rows, players, again(list), "in another order")
}
