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

// witnessesPage holds the table of what each witness alone would have said. UPDATE=1 writes it anew.
const witnessesPage = "../../doc/witnesses.md"

const (
	tableBegins = "<!-- the table is written by test/real (UPDATE=1) -->\n"
	tableEnds   = "<!-- end of the table -->\n"
)

// by leaves the evidence of the witnesses named.
func by(list []tallyman.Evidence, witnesses ...string) []tallyman.Evidence {
	return slices.DeleteFunc(slices.Clone(list), func(e tallyman.Evidence) bool { return !slices.Contains(witnesses, e.Witness) })
}

// sayings sorts records to the rows, also those without a client's port.
func sayings(rows []row, players []*player, records []*tallyman.Transfer) [][]string {
	out := make([][]string, len(rows))
	for _, tr := range records {
		for i, p := range players {
			if p.speaksOf(tr) {
				out[i] = append(out[i], fmt.Sprint(tr.Judgement.Verdict, " ", tr.Judgement.Reason))
				break
			}
		}
	}
	for i := range out {
		slices.Sort(out[i])
	}
	return out
}

func (p *player) speaksOf(tr *tallyman.Transfer) bool {
	if tr.Client.Port() != 0 {
		return slices.ContainsFunc(p.talkers, func(c *talker) bool { return c.port() == tr.Client.Port() })
	}
	return strings.HasPrefix(tr.Path, p.root+"/") || tr.Name == p.name || tr.Path == p.name
}

// cell is what is said of a row: "nothing", or verdict and reason, and of how many records.
func cell(said []string) string {
	if len(said) == 0 {
		return "nothing"
	}
	var out []string
	for i := 0; i < len(said); {
		n := i
		for n < len(said) && said[n] == said[i] {
			n++
		}
		verdict, reason, _ := strings.Cut(said[i], " ")
		text := verdict
		if reason != "" {
			text += " `" + reason + "`"
		}
		if n-i > 1 {
			text += fmt.Sprintf(" x%d", n-i)
		}
		out = append(out, text)
		i = n
	}
	return strings.Join(out, "; ")
}

// tabled compares the table of the page with what the witnesses say of these rows.
func tabled(t *testing.T, rows []row, players []*player, heard []tallyman.Evidence) {
	t.Helper()
	said := map[string][][]string{}
	for _, who := range []string{"log", "files", "wire", "log files", "log wire", "files wire", "log files wire"} {
		said[who] = sayings(rows, players, again(by(heard, strings.Fields(who)...)))
		for i, list := range said[who] {
			for _, s := range list {
				right := slices.Contains(rows[i].want, s) || slices.ContainsFunc(rows[i].want, func(w string) bool { return strings.HasPrefix(w, "complete") })
				if fullDisk := rows[i].size != "" && !strings.Contains(who, "files"); strings.HasPrefix(s, "complete") && !right && !fullDisk {
					t.Errorf("%s by %s: %s", rows[i].name, who, s)
				}
			}
		}
	}
	var b strings.Builder
	b.WriteString("| case | | log alone | files alone | wire alone | all three |\n|---|---|---|---|---|---|\n")
	for i, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", r.name, r.what, cell(said["log"][i]), cell(said["files"][i]), cell(said["wire"][i]), cell(said["log files wire"][i]))
	}
	onPage(t, tableBegins, tableEnds, b.String())
}

// onPage compares a table with that between two marks of the page, or writes it there.
func onPage(t *testing.T, begins, ends, table string) {
	t.Helper()
	page, err := os.ReadFile(filepath.FromSlash(witnessesPage))
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), begins)
	old, after, ended := strings.Cut(rest, ends)
	switch {
	case !ok || !ended:
		t.Fatalf("%s has no place for the table", witnessesPage)
	case old == table:
	case os.Getenv("UPDATE") != "":
		if err := os.WriteFile(witnessesPage, []byte(before+begins+table+ends+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		want := strings.Split(old, "\n")
		for i, line := range strings.Split(table, "\n") {
			if i >= len(want) || line != want[i] {
				t.Errorf("%s does not say: %s", witnessesPage, line)
			}
		}
	}
}
