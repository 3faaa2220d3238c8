package law

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// tree is the repository as the rules see it.
type tree struct {
	set   *token.FileSet
	files []file            // Go
	lines map[string]int    // of every source file, Go or not
	texts map[string]string // of documents
}

// file is one Go file. The room of a root file is the empty string.
type file struct {
	path, room string
	test       bool
	syntax     *ast.File
}

// grow reads a tree. Folders that no person writes are left out.
func grow(root fs.FS) (*tree, error) {
	t := &tree{set: token.NewFileSet(), lines: map[string]int{}, texts: map[string]string{}}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if left := []string{"node_modules", "testdata", "dist", "share", "state", "bin", "tools"}; slices.Contains(left, d.Name()) || len(name) > 1 && name[0] == '.' {
				return fs.SkipDir
			}
			return nil
		}
		return t.add(root, name)
	})
	return t, err
}

func (t *tree) add(root fs.FS, name string) error {
	ext := path.Ext(name)
	if !slices.Contains([]string{".go", ".ts", ".tsx", ".mjs", ".css", ".sh", ".md"}, ext) {
		return nil
	}
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return err
	}
	switch ext {
	case ".md":
		t.texts[name] = string(text)
		return nil
	case ".go":
		syntax, err := parser.ParseFile(t.set, name, text, parser.ParseComments)
		if err != nil {
			return err
		}
		room := path.Dir(name)
		if room == "." {
			room = ""
		}
		t.files = append(t.files, file{name, room, strings.HasSuffix(name, "_test.go"), syntax})
	}
	t.lines[name] = strings.Count(string(text), "\n")
	return nil
}

// at writes the place of a node.
func (t *tree) at(n ast.Node) string {
	p := t.set.Position(n.Pos())
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}

// rooms returns the folders that hold Go, without the root, sorted.
func (t *tree) rooms() []string {
	var out []string
	for _, f := range t.files {
		if f.room != "" && !slices.Contains(out, f.room) {
			out = append(out, f.room)
		}
	}
	slices.Sort(out)
	return out
}

// rule returns a line for each breach.
type rule func(*tree) []string

// rules is the law.
var rules = map[string]rule{
	"neighbours do not import each other":       importsFollowTheArrows,
	"pure rooms stay pure":                      pureRoomsStayPure,
	"no init and no assigned package variable":  noHiddenState,
	"every package says what it is for":         packagesAreExplained,
	"ARCHITECTURE.md names the rooms and words": architectureIsTrue,
	"no file is longer than 500 lines":          filesAreShort,
	"tests run and do not sleep":                testsRunAndDoNotSleep,
	"metrics are named after rooms and words":   metricsAreNamed,
	"documents name tests that exist":           namedTestsExist,
}

func TestTheTreeKeepsTheLaw(t *testing.T) {
	house, err := grow(os.DirFS(".."))
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range rules {
		t.Run(name, func(t *testing.T) {
			for _, breach := range r(house) {
				t.Error(breach)
			}
		})
	}
}
