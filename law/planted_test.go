package law

import (
	"strings"
	"testing"
	"testing/fstest"
)

const doc = "// Package x does one thing and promises to do it well.\n"

// sound is a tree that keeps the law.
func sound() map[string]string {
	return map[string]string{
		"words.go":               doc + "package tallyman\n\nimport \"fmt\"\n\ntype Word struct{}\n\nvar table = [...]int{1}\n\nfunc f() { table := table; table[0] = 2; fmt.Println(table) }\n",
		"join/join.go":           doc + "package join\n\nimport (\n\t\"tallyman\"\n\t\"time\"\n)\n\nvar _ tallyman.Word\n\nfunc f(t time.Time) time.Time { return t.Add(time.Second) }\n",
		"pipe/pipe.go":           doc + "package pipe\n\nimport _ \"tallyman/join\"\n\nconst requests = \"tallyman_pipe_records_total\"\n",
		"pipe/pipe_test.go":      "package pipe\n\nimport _ \"tallyman/test/corpus\"\n",
		"test/corpus/c.go":       doc + "package corpus\n",
		"cmd/tallyman/main.go":   doc + "package main\n\nimport (\n\t_ \"tallyman/join\"\n\t_ \"tallyman/pipe\"\n)\n",
		"web/web.go":             doc + "package web\n\nimport _ \"tallyman/web/account\"\n",
		"web/account/account.go": doc + "package account\n\nvar known = map[string]int{}\n\nfunc f() int { known := known; known[\"a\"] = 1; x := known[\"a\"]; x++; return x }\n",
		"node_modules/a/b.go":    "package broken(\n",
		"ARCHITECTURE.md": "# A\n\n- `join` joins\n- `pipe` pipes\n- `test/corpus` tells\n- `cmd/tallyman` wires\n- `web` shows · `/account` knows\n\n" +
			"- **Word**: a word\n",
	}
}

func breaches(t *testing.T, r rule, files map[string]string) string {
	t.Helper()
	fs := fstest.MapFS{}
	for name, text := range files {
		fs[name] = &fstest.MapFile{Data: []byte(text)}
	}
	planted, err := grow(fs)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(r(planted), "\n")
}

func TestSoundTreeBreaksNoRule(t *testing.T) {
	for name, r := range rules {
		if got := breaches(t, r, sound()); got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestPlantedBreachIsFound(t *testing.T) {
	f := func(r rule, name, text, want string) {
		t.Helper()
		files := sound()
		files[name] += text
		if got := breaches(t, r, files); !strings.Contains(got, want) || strings.Count(got, "\n") > 0 {
			t.Errorf("%s + %q:\n got %q\nwant %q", name, text, got, want)
		}
	}
	f(importsFollowTheArrows, "join/x.go", "package join\n\nimport _ \"tallyman/pipe\"\n", "join/x.go:3: join imports pipe")
	f(importsFollowTheArrows, "pipe/x.go", "package pipe\n\nimport _ \"tallyman/web\"\n", "pipe imports web")
	f(importsFollowTheArrows, "pipe/x_test.go", "package pipe\n\nimport _ \"tallyman/web\"\n", "pipe imports web")
	f(importsFollowTheArrows, "web/x.go", "package web\n\nimport _ \"tallyman/cmd/tallyman\"\n", "web imports cmd/tallyman")
	f(importsFollowTheArrows, "web/account/x.go", "package account\n\nimport _ \"tallyman/web\"\n", "web/account imports web")
	f(importsFollowTheArrows, "x.go", "package tallyman\n\nimport _ \"tallyman/join\"\n", "the root imports join")
	f(importsFollowTheArrows, "x.go", "package tallyman\n\nimport _ \"golang.org/x/sys/unix\"\n", "the root imports golang.org/x/sys/unix")

	f(pureRoomsStayPure, "join/x.go", "package join\n\nimport _ \"os\"\n", "join/x.go:3: join is pure and imports os")
	f(pureRoomsStayPure, "join/x.go", "package join\n\nimport _ \"net/http\"\n", "imports net/http")
	f(pureRoomsStayPure, "join/x.go", "package join\n\nimport _ \"golang.org/x/sys/unix\"\n", "imports golang.org/x/sys/unix")
	f(pureRoomsStayPure, "join/x.go", "package join\n\nfunc g() { go g() }\n", "starts a goroutine")
	f(pureRoomsStayPure, "join/x.go", "package join\n\nimport \"time\"\n\nvar now = time.Now\n", "asks time.Now")
	f(pureRoomsStayPure, "x.go", "package tallyman\n\nimport _ \"net\"\n", "the root is pure and imports net")

	f(noHiddenState, "pipe/x.go", "package pipe\n\nfunc init() {}\n", "pipe/x.go:3: init()")
	f(noHiddenState, "pipe/x.go", "package pipe\n\nvar n int\n\nfunc g() { n = 1 }\n", "changes the package variable n")
	f(noHiddenState, "pipe/x.go", "package pipe\n\nvar n int\n\nfunc g() { n++ }\n", "changes the package variable n")
	f(noHiddenState, "pipe/x.go", "package pipe\n\nvar n struct{ a [2]int }\n\nfunc g() { n.a[1] += 2 }\n", "changes the package variable n")
	f(noHiddenState, "pipe/x.go", "package pipe\n\nvar n int\n\nfunc g(f func(*int)) { f(&n) }\n", "changes the package variable n")
	f(noHiddenState, "pipe/x.go", "package pipe\n\nvar n = map[int]int{}\n\nfunc g() { delete(n, 1) }\n", "changes the package variable n")
	f(noHiddenState, "pipe/x.go", "package pipe\n\nvar n int\n\nfunc g(a []int) { for n = range a { } }\n", "changes the package variable n")
	f(noHiddenState, "web/account/x.go", "package account\n\nfunc g() { known[\"b\"] = 2 }\n", "changes the package variable known")
	f(noHiddenState, "pipe/x.go", "package pipe\n\nimport \"sync\"\n\nvar mu sync.Mutex\n", "mu exists to be changed")
	f(noHiddenState, "pipe/x.go", "package pipe\n\nimport \"sync\"\n\nvar one = sync.OnceValue(func() int { return 1 })\n", "one exists to be changed")

	f(testsRunAndDoNotSleep, "pipe/x_test.go", "package pipe\n\nfunc g(t T) { t."+"Skip() }\n", ".Skip: a test runs")
	f(testsRunAndDoNotSleep, "pipe/x.go", "package pipe\n\nimport \"time\"\n\nfunc g() { time."+"Sleep(1) }\n", "time.Sleep: wait for the event")

	f(filesAreShort, "web/page.tsx", strings.Repeat("x\n", 501), "web/page.tsx has 501 lines")
	f(metricsAreNamed, "pipe/x.go", "package pipe\n\nconst m = \"tallyman_bogus_things_total\"\n", "the metric tallyman_bogus_things_total")
	f(metricsAreNamed, "pipe/x.go", "package pipe\n\nconst m = \"tallyman_pipe_Things\"\n", "the metric tallyman_pipe_Things")

	f(namedTestsExist, "doc/a.md", "see `TestNothing`\n", "doc/a.md names the test TestNothing")
	f(architectureIsTrue, "x.go", "package tallyman\n\ntype Other int\n", "lacks the word Other: add the line - **Other**: what it means")
	f(architectureIsTrue, "spool/x.go", "package spool\n", "lacks the room spool: add the line - `spool` what it is for")
	f(architectureIsTrue, "ARCHITECTURE.md", "- `seal` seals\n", "names the room seal, which does not exist")
	f(architectureIsTrue, "ARCHITECTURE.md", "- **Seal**: a word\n", "names the word Seal")
	f(architectureIsTrue, "ARCHITECTURE.md", "- `join` again\n", "names the room join twice")
	f(architectureIsTrue, "ARCHITECTURE.md", strings.Repeat("\n", 120), "at most 120")
	f(packagesAreExplained, "spool/x.go", "package spool\n", "spool has no package comment")
	f(packagesAreExplained, "spool/x.go", "// Package spool.\npackage spool\n", "spool has no package comment")
}

func TestMissingArchitectureIsFound(t *testing.T) {
	files := sound()
	delete(files, architecture)
	if got := breaches(t, architectureIsTrue, files); !strings.Contains(got, "ARCHITECTURE.md is missing") {
		t.Errorf("got %q", got)
	}
}
