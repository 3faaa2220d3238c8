//go:build real

package real

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tallyman"
)

const ftpTableBegins = "<!-- the table of FTP is written by test/real (UPDATE=1) -->\n"

// tableOnPage is what the page has behind a mark.
func tableOnPage(t *testing.T, begins string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.FromSlash(witnessesPage))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), begins)
	table, _, _ := strings.Cut(rest, tableEnds)
	return table
}

// or stands between what was said in one run and in another: a server writes down one thing or another as it notices first that its client has gone.
const or = " or "

// tabled compares the table of the page with what the witnesses say of the acts, alone and together, and wants no false complete of any of them.
func (f *ftpStage) tabled(t *testing.T, acts []*act) {
	t.Helper()
	heard := f.evidence()
	say := map[string]map[*act][]*tallyman.Transfer{}
	for _, who := range []string{"log", "files", "wire", "log files", "log wire", "files wire", "log files wire"} {
		say[who] = said(acts, again(by(heard, strings.Fields(who)...)))
		for _, a := range acts {
			for _, tr := range say[who][a] {
				if tr.Judgement.Verdict == tallyman.Complete && (!strings.HasPrefix(a.want, "complete") || !strings.Contains(who, "wire")) {
					t.Errorf("%s by %s: %s", a.file, who, account(tr))
				}
			}
		}
	}
	old := tableOnPage(t, ftpTableBegins)
	var b strings.Builder
	b.WriteString("| case | | log of vsftpd | log of ProFTPD | log of pure-ftpd | files alone | wire alone | all three |\n|---|---|---|---|---|---|---|---|\n")
	for i := 0; i < len(acts); i += len(f.servers) {
		of := acts[i : i+len(f.servers)]
		known := known(old, of[0].name)
		cells := []string{of[0].name, of[0].what}
		for _, a := range of {
			cells = append(cells, cell(judgements(say["log"][a])))
		}
		for _, who := range []string{"files", "wire", "log files wire"} {
			var all []string
			for _, a := range of {
				if c := cell(judgements(say[who][a])); !slices.Contains(all, c) {
					all = append(all, c)
				}
			}
			slices.Sort(all)
			cells = append(cells, strings.Join(all, or))
		}
		for k := 2; k < len(cells) && k < len(known); k++ {
			if k < 2+len(f.servers) && of[0].dies() && within(cells[k], deathClaims) && within(known[k], deathClaims) ||
				k > 2+len(f.servers) && within(cells[k], coded(of[0].want)) {
				cells[k] = known[k]
			}
			cells[k] = also(known[k], cells[k])
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	if !t.Failed() { // what is wrong belongs on no page
		onPage(t, ftpTableBegins, tableEnds, b.String())
	}
}

// deathClaims is what a log may say of a client that died: its server noticed or it did not, which is a matter of microseconds.
const deathClaims = "unproven `log-only`" + or + "failed `client-gone`"

// within reports whether each of the sayings is one of those that are allowed.
func within(said, allowed string) bool {
	for s := range strings.SplitSeq(said, or) {
		if !slices.Contains(strings.Split(allowed, or), s) {
			return false
		}
	}
	return true
}

// coded writes verdicts and reasons as the cells of the table do.
func coded(judged string) string {
	var out []string
	for j := range strings.SplitSeq(judged, or) {
		out = append(out, cell([]string{j}))
	}
	return strings.Join(out, or)
}

// dies reports whether the client ends in the middle, or before it has the reply.
func (d *deed) dies() bool { return d.kill || d.own == midway || d.own == sent || d.own == shut }

// known are the cells of the line of the table that begins with a name.
func known(table, name string) []string {
	for line := range strings.Lines(table) {
		if cells := strings.Split(strings.Trim(strings.TrimSpace(line), "| "), " | "); cells[0] == name {
			return cells
		}
	}
	return nil
}

// also adds what is said now to what was said before.
func also(before, now string) string {
	all := strings.Split(before, or)
	for c := range strings.SplitSeq(now, or) {
		if !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	slices.Sort(all)
	return strings.Join(all, or)
}
