package law

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const mostLines = 500

func packagesAreExplained(t *tree) []string {
	explained := map[string]bool{}
	for _, f := range t.files {
		if f.syntax.Doc != nil && len(strings.Fields(f.syntax.Doc.Text())) > 5 {
			explained[f.room] = true
		}
	}
	var out []string
	for _, room := range append(t.rooms(), "") {
		if !explained[room] {
			out = append(out, called(room)+" has no package comment: say what it is for, what it promises, what it leaves to others")
		}
	}
	return out
}

func filesAreShort(t *tree) []string {
	var out []string
	for name, n := range t.lines {
		if n > mostLines {
			out = append(out, fmt.Sprintf("%s has %d lines: what second thing does it hold?", name, n))
		}
	}
	return out
}

func testsRunAndDoNotSleep(t *tree) []string {
	var out []string
	for _, f := range t.files {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := s.X.(*ast.Ident)
			switch {
			case !ok:
			case x.Name == "time" && s.Sel.Name == "Sleep":
				out = append(out, t.at(s)+": time.Sleep: wait for the event itself, or use testing/synctest")
			case f.test && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, s.Sel.Name):
				out = append(out, t.at(s)+": "+x.Name+"."+s.Sel.Name+": a test runs or is not compiled")
			}
			return true
		})
	}
	return out
}

const (
	architecture  = "ARCHITECTURE.md"
	mostLinesThen = 120
)

// A room is a line "- `source/tftp` what it is for"; small rooms in it may follow there, " · `/packet` what it is for". Words are a line "- **Transfer**: ..." or "- **ID**, **UUID**: ...".
var (
	roomLine = regexp.MustCompile("(?m)^- `([a-z0-9/_-]+)` ([^\\n]+)$")
	subRoom  = regexp.MustCompile("· `(/[a-z0-9/_-]+)` [^\\n`]")
	wordLine = regexp.MustCompile(`(?m)^- ((?:\*\*[A-Za-z]+\*\*,? ?)+): [^\n]+$`)
	boldWord = regexp.MustCompile(`\*\*([A-Za-z]+)\*\*`)
)

func architectureIsTrue(t *tree) []string {
	text, ok := t.texts[architecture]
	if !ok {
		return []string{architecture + " is missing: a drawing, a line \"- `room/path` what it is for\" for each room, a line \"- **Word**: what it means\" for each exported type of the root"}
	}
	var out, rooms, words []string
	for _, m := range roomLine.FindAllStringSubmatch(text, -1) {
		rooms = append(rooms, m[1])
		for _, sub := range subRoom.FindAllStringSubmatch(m[2], -1) { // of the room that the line is about
			rooms = append(rooms, m[1]+sub[1])
		}
	}
	for _, m := range wordLine.FindAllStringSubmatch(text, -1) {
		for _, w := range boldWord.FindAllStringSubmatch(m[1], -1) {
			words = append(words, w[1])
		}
	}
	out = append(out, compare(rooms, t.rooms(), "room", "- `%s` what it is for")...)
	out = append(out, compare(words, t.words(), "word", "- **%s**: what it means")...)
	if n := strings.Count(text, "\n"); n > mostLinesThen {
		out = append(out, fmt.Sprintf("%s has %d lines, at most %d", architecture, n, mostLinesThen))
	}
	return out
}

// words returns the exported types of the root.
func (t *tree) words() []string {
	var out []string
	for _, f := range t.files {
		if f.room != "" || f.test {
			continue
		}
		for _, d := range f.syntax.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.TYPE {
				for _, s := range g.Specs {
					if spec, ok := s.(*ast.TypeSpec); ok && spec.Name.IsExported() {
						out = append(out, spec.Name.Name)
					}
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

func compare(written, real []string, what, form string) []string {
	var out []string
	for _, name := range real {
		if !slices.Contains(written, name) {
			out = append(out, fmt.Sprintf("%s lacks the %s %s: add the line "+form, architecture, what, name, name))
		}
	}
	for i, name := range written {
		if !slices.Contains(real, name) {
			out = append(out, fmt.Sprintf("%s names the %s %s, which does not exist", architecture, what, name))
		}
		if slices.Index(written, name) != i {
			out = append(out, fmt.Sprintf("%s names the %s %s twice", architecture, what, name))
		}
	}
	return out
}

var metricName = regexp.MustCompile(`^tallyman_([a-z0-9]+)_[a-z][a-z0-9_]*[a-z0-9]$`)

// metricsAreNamed checks text constants that are metric names: tallyman_<room>_<noun>, or a word of the root or build in place of the
// room. Of a room with several names (source/tftp) each counts.
func metricsAreNamed(t *tree) []string {
	first := []string{"build"}
	for _, room := range t.rooms() {
		first = append(first, strings.Split(room, "/")...)
	}
	for _, word := range t.words() {
		first = append(first, strings.ToLower(word), strings.ToLower(word)+"s")
	}
	var out []string
	for _, f := range t.files {
		if f.test || f.room == "law" {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			l, ok := n.(*ast.BasicLit)
			if !ok || l.Kind != token.STRING {
				return true
			}
			name, _ := strconv.Unquote(l.Value)
			if !strings.HasPrefix(name, module+"_") || strings.HasSuffix(name, "_") || strings.ContainsFunc(name, unicode.IsSpace) || path.Ext(name) != "" {
				return true
			}
			m := metricName.FindStringSubmatch(name)
			if m == nil || !slices.Contains(first, m[1]) {
				out = append(out, fmt.Sprintf("%s: the metric %s: write tallyman_<room>_<noun>_total, or _seconds, _bytes, or the noun alone for a gauge", t.at(l), name))
			}
			return true
		})
	}
	return out
}
