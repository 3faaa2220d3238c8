package law

import (
	"go/ast"
	"regexp"
	"slices"
)

var testName = regexp.MustCompile("`(Test[A-Z][A-Za-z0-9]*)`")

// namedTestsExist finds tests that a document names and nobody runs.
func namedTestsExist(t *tree) []string {
	known := map[string]bool{}
	for _, f := range t.files {
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.test && fn.Recv == nil {
				known[fn.Name.Name] = true
			}
		}
	}
	var out []string
	for name, text := range t.texts {
		for _, m := range testName.FindAllStringSubmatch(text, -1) {
			if !known[m[1]] {
				out = append(out, name+" names the test "+m[1]+", which does not exist")
			}
		}
	}
	slices.Sort(out)
	return out
}
