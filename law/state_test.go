package law

import (
	"fmt"
	"go/ast"
	"go/token"
)

// noHiddenState finds init functions, package variables that a function assigns, and package variables of types that exist to
// be changed (sync, sync/atomic).
func noHiddenState(t *tree) []string {
	var out []string
	variables := map[string]map[string]bool{} // by package
	for _, f := range t.files {
		in := f.room + " " + f.syntax.Name.Name
		if variables[in] == nil {
			variables[in] = map[string]bool{}
		}
		for _, d := range f.syntax.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.Name == "init" && d.Recv == nil {
					out = append(out, t.at(d)+": init(): call it from the program, or write a table")
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					v, ok := s.(*ast.ValueSpec)
					if !ok || d.Tok != token.VAR {
						continue
					}
					for _, name := range v.Names {
						variables[in][name.Name] = true
					}
					if changing(v) {
						out = append(out, fmt.Sprintf("%s: the package variable %s exists to be changed: make it a field", t.at(v), v.Names[0].Name))
					}
				}
			}
		}
	}
	for _, f := range t.files {
		for _, name := range assigned(f.syntax, variables[f.room+" "+f.syntax.Name.Name]) {
			out = append(out, fmt.Sprintf("%s: a function changes the package variable %s: make it a field or an argument", t.at(name), name.Name))
		}
	}
	return out
}

// changing reports variables of package sync or atomic.
func changing(v *ast.ValueSpec) bool {
	found := false
	look := func(n ast.Node) bool {
		if _, ok := n.(*ast.FuncLit); ok {
			return false
		}
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && (x.Name == "sync" || x.Name == "atomic") {
				found = true
			}
		}
		return true
	}
	if v.Type != nil {
		ast.Inspect(v.Type, look)
	}
	for _, value := range v.Values {
		ast.Inspect(value, look)
	}
	return found
}

// assigned returns the package variables that functions of the file assign, in whole or in part, or whose address they take.
func assigned(f *ast.File, variables map[string]bool) []*ast.Ident {
	var out []*ast.Ident
	check := func(e ast.Expr) {
		if name := base(e); name != nil && variables[name.Name] && !local(f, name) {
			out = append(out, name)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, e := range n.Lhs {
					check(e)
				}
			}
		case *ast.IncDecStmt:
			check(n.X)
		case *ast.RangeStmt:
			if n.Tok == token.ASSIGN {
				check(n.Key)
				check(n.Value)
			}
		case *ast.UnaryExpr:
			if _, whole := n.X.(*ast.Ident); whole && n.Op == token.AND {
				check(n.X)
			}
		case *ast.CallExpr:
			if name, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 && (name.Name == "delete" || name.Name == "clear" || name.Name == "copy") {
				check(n.Args[0])
			}
		}
		return true
	})
	return out
}

// base returns the variable that an expression reaches into: t in t.a[0].b.
func base(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// local reports names that the parser resolved to something inside a function. Those of other files of the package stay unresolved.
// The parser's scopes are deprecated for what they do to types, and exact for locals; go/types would need seconds for the tree.
func local(f *ast.File, name *ast.Ident) bool {
	return name.Obj != nil && f.Scope.Lookup(name.Name) != name.Obj
}
