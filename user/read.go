package user

import (
	"bytes"
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"tallyman"
)

// Bounds of the file.
const (
	mostBytes    = 8 << 20
	mostBrackets = 64
)

// Problem is one thing that is wrong with the file, and where.
type Problem struct {
	File string
	Line int // from 1; 0 for the file as a whole
	User string
	Text string // what is wrong and what to do
}

// Error returns one line.
func (p Problem) Error() string {
	s := tallyman.Escape(p.File)
	if p.Line > 0 {
		s += fmt.Sprintf(":%d", p.Line)
	}
	if p.User != "" {
		s += ": " + tallyman.Escape(p.User)
	}
	return s + ": " + p.Text
}

// Problems is everything that is wrong, in the order of the file.
type Problems []Problem

// Error returns all of them, one below the other.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}

// reader reads one file and collects what is wrong.
type reader struct {
	file  string
	keys  func(path string) ([]byte, error) // reads a file of keys
	found Problems
	name  string // of the account that is being read
}

func (r *reader) add(n ast.Node, format string, args ...any) {
	line := 0
	if n != nil {
		line = lineOf(n)
	}
	r.found = append(r.found, Problem{r.file, line, r.name, fmt.Sprintf(format, args...)})
}

// lineOf is where a node begins. The token of a mapping is the colon of its first pair.
func lineOf(n ast.Node) int {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 {
		n = m.Values[0].Key
	}
	return max(n.GetToken().Position.Line, 1)
}

// accountName keeps names short, printable and free of what shells, paths and patterns mean something by.
var accountName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._@-]{0,63}$`)

// CheckName says what is wrong with the name of an account.
func CheckName(name string) error {
	if !accountName.MatchString(name) {
		return fmt.Errorf("%q is no name of an account: take 1 to 64 letters, digits and . _ @ - and begin with a letter, a digit or _", tallyman.Escape(name))
	}
	return nil
}

// parse reads the accounts of a file. The error is of type Problems.
func parse(file string, text []byte, keys func(path string) ([]byte, error)) (map[string]*Account, error) {
	r := &reader{file: file, keys: keys}
	out := map[string]*Account{}
	r.read(text, out)
	if len(r.found) > 0 {
		slices.SortStableFunc(r.found, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
		return nil, r.found
	}
	return out, nil
}

func (r *reader) read(text []byte, out map[string]*Account) {
	if !r.sound(text) {
		return
	}
	parsed, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.syntax(err)
		return
	}
	documents := 0
	for _, doc := range parsed.Docs {
		if doc.Body == nil {
			continue
		}
		if _, empty := doc.Body.(*ast.NullNode); empty {
			continue
		}
		if documents++; documents > 1 {
			r.add(doc.Body, "a second document: the file holds one, remove the line --- or ... before it")
			return
		}
		m, ok := doc.Body.(*ast.MappingNode)
		if !ok {
			r.add(doc.Body, "expected accounts of the form NAME: {root: /srv/NAME}, one below the other")
			return
		}
		r.accounts(m, out)
	}
}

// sound refuses what the parser of YAML should not see.
func (r *reader) sound(text []byte) bool {
	if len(text) > mostBytes {
		r.add(nil, "it has %d bytes, at most %d are read", len(text), mostBytes)
		return false
	}
	depth := 0
	for i, line := range bytes.Split(text, []byte("\n")) {
		bad := func(what string) bool {
			r.found = append(r.found, Problem{File: r.file, Line: i + 1, Text: what})
			return false
		}
		if !utf8.Valid(line) {
			return bad("it is not UTF-8: write it anew in that encoding")
		}
		if bytes.ContainsFunc(line, func(c rune) bool { return c < ' ' && c != '\r' || c == 0x7f }) {
			return bad("a tab or another control character: use spaces")
		}
		depth += bytes.Count(line, []byte("[")) + bytes.Count(line, []byte("{"))
		depth = max(0, depth-bytes.Count(line, []byte("]"))-bytes.Count(line, []byte("}")))
		if depth > mostBrackets {
			return bad("too many brackets are open")
		}
	}
	return true
}

func (r *reader) syntax(err error) {
	line, text := 1, err.Error()
	if e, ok := err.(yaml.Error); ok { //nolint:errorlint // the parser does not wrap it
		text = e.GetMessage()
		if t := e.GetToken(); t != nil && t.Position != nil {
			line = max(t.Position.Line, 1)
		}
	}
	r.found = append(r.found, Problem{File: r.file, Line: line, Text: "this is no YAML: " + tallyman.Escape(text)})
}

func (r *reader) accounts(m *ast.MappingNode, out map[string]*Account) {
	for _, pair := range m.Values {
		r.name = ""
		name, ok := text(pair.Key)
		if err := CheckName(name); !ok || err != nil {
			r.add(pair.Key, "%q is no name of an account: take 1 to 64 letters, digits and . _ @ -, in quotation marks if it is a number", tallyman.Escape(pair.Key.GetToken().Value))
			continue
		}
		if out[name] != nil {
			r.add(pair.Key, "the account %s stands here twice: keep one", name)
			continue
		}
		r.name = name
		a := &Account{Name: name, Rights: Read | List, TLSReuse: true}
		out[name] = a
		body, ok := pair.Value.(*ast.MappingNode)
		if !ok {
			r.add(pair.Key, "expected the keys of the account, as in %s: {root: /srv/%s, permissions: [read, list]}", name, name)
			continue
		}
		r.account(body, a)
	}
}

// account reads the keys of one account.
func (r *reader) account(m *ast.MappingNode, a *Account) {
	known := r.fields(a)
	r.section(m, known, "")
	switch {
	case a.Name == anonymous:
		a.open = true
		if a.password != "" || len(a.keys) > 0 {
			r.add(m, "anonymous has neither password nor keys: name the account otherwise")
		}
		rights := a.Rights
		for _, p := range a.Paths {
			rights |= p.Rights
		}
		if rights&^(Read|List) != 0 {
			r.add(m, "anonymous may read and list, nothing else: make an account with a password for %s", rights&^(Read|List))
		}
	case a.password == "" && len(a.keys) == 0:
		r.add(m, "nothing opens the account: add a password with tallyman user passwd %s, or keys: [ssh-ed25519 ...]", a.Name)
	}
	if a.Root != "" && !filepath.IsAbs(a.Root) {
		r.add(m, "root %s is not absolute: write it from / on", tallyman.Escape(a.Root))
	}
}

// anonymous is the name of the account that any password opens (RFC 1635).
const anonymous = "anonymous"

// section reads the members of a mapping by a table.
func (r *reader) section(m *ast.MappingNode, known map[string]func(ast.Node), prefix string) {
	seen := map[string]bool{}
	for _, pair := range m.Values {
		name, _ := text(pair.Key)
		read := known[name]
		switch {
		case read == nil:
			r.add(pair.Key, "unknown key %s%s, known here: %s", prefix, tallyman.Escape(pair.Key.GetToken().Value), strings.Join(slices.Sorted(keysOf(known)), " "))
		case seen[name]:
			r.add(pair.Key, "the key %s%s stands here twice: keep one", prefix, name)
		default:
			seen[name] = true
			read(pair.Value)
		}
	}
}

func keysOf(known map[string]func(ast.Node)) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range known {
			if !yield(k) {
				return
			}
		}
	}
}

// text returns what a node says, if it is text.
func text(n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return v.Value.Value, true
	default:
		return "", false
	}
}
