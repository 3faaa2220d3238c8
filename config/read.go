package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"tallyman"
)

// Bounds of the file. The time of the YAML parser grows with the square of the nesting.
const (
	maxFile  = 256 << 10 // bytes
	maxDepth = 32        // open brackets
)

// Load reads the file, applies the environment (as os.Environ returns it) and checks the whole. An empty path means no file. The error
// is of type Problems if the content is at fault.
func Load(path string, env []string) (Config, error) {
	if path == "" {
		return Parse("", nil, env)
	}
	f, err := os.Open(path)
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(path, text, env)
}

// Parse is Load for a text that is at hand. The name stands in errors.
func Parse(name string, text []byte, env []string) (Config, error) {
	r := reader{name: name, config: Defaults()}
	r.config.from = map[string]origin{}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if r.sound(text) {
		r.file(text)
	}
	r.environment(env)
	r.check(&r.config)
	if err := r.err(); err != nil {
		return Config{}, err
	}
	return r.config, nil
}

// reader fills a Config from one text and collects what is wrong with it.
type reader struct {
	complaints
	name   string
	config Config
}

// sound refuses what must not reach the YAML parser, or what the parser would explain badly.
func (r *reader) sound(text []byte) bool {
	if len(text) > maxFile {
		r.add(origin{r.name, 1, 1}, "", "the file is larger than %s: this is no configuration of Tallyman", Size(maxFile))
		return false
	}
	r.lines = strings.Split(string(text), "\n")
	depth := 0
	for i, line := range r.lines {
		at := origin{r.name, i + 1, 1}
		if !utf8.ValidString(line) {
			r.add(at, "", "the line is not UTF-8: save the file as UTF-8")
		}
		if c := strings.IndexFunc(line, control); c >= 0 {
			at.col = utf8.RuneCountInString(line[:c]) + 1
			r.add(at, "", "a control character, %s: remove it", tallyman.Escape(line[c:c+1]))
		}
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if c := strings.IndexByte(indent, '\t'); c >= 0 && strings.TrimSpace(line) != "" {
			at.col = c + 1
			r.add(at, "", "a tab: YAML is indented by spaces, replace each tab by two spaces")
		}
		if depth += nesting(line); depth > maxDepth {
			r.add(at, "", "more than %d brackets are open here", maxDepth)
			return false
		}
	}
	return len(r.found) == 0
}

// control reports the characters below space that no line of a file holds. A carriage return ends the lines of Windows.
func control(c rune) bool { return c < ' ' && c != '\t' && c != '\r' || c == 0x7f }

func nesting(line string) int {
	code, _, _ := strings.Cut(line, "#")
	return strings.Count(code, "[") + strings.Count(code, "{") - strings.Count(code, "]") - strings.Count(code, "}")
}

// file parses the text and reads its only document.
func (r *reader) file(text []byte) {
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
		documents++
		switch body := doc.Body.(type) {
		case *ast.MappingNode:
			if documents == 1 {
				r.section(keys(), "", body)
				continue
			}
			r.add(r.at(body), "", "a second document: the file holds one, remove the line --- or ... before it")
		default:
			r.add(r.at(body), "", "expected lines of the form key: value, as in name: lab-tftp-01")
		}
	}
}

func (r *reader) syntax(err error) {
	at, text := origin{r.name, 1, 1}, err.Error()
	if e, ok := errors.AsType[yaml.Error](err); ok {
		text = e.GetMessage()
		if t := e.GetToken(); t != nil && t.Position != nil {
			at = r.where(t)
		}
	}
	r.add(at, "", "this is no YAML: %s", tallyman.Escape(text))
}

func (r *reader) where(t *token.Token) origin {
	return origin{r.name, max(t.Position.Line, 1), max(t.Position.Column, 1)}
}

// at is where a node begins. The token of a mapping is the colon of its first pair.
func (r *reader) at(n ast.Node) origin {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 {
		return r.where(m.Values[0].Key.GetToken())
	}
	return r.where(n.GetToken())
}
