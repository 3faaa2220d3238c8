package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"tallyman"
)

// Bounds of the files. The time of the YAML parser grows with the square of the nesting.
const (
	maxFile   = 256 << 10 // bytes of one
	maxDepth  = 32        // open brackets
	maxPieces = 64        // files of conf.d
)

// beside is the folder beside the file whose files are read after it.
const beside = "conf.d"

// Load reads the file and then those of conf.d beside it whose name ends in .yaml, in the order of their names; a later one overrides a key of an
// earlier one. Then it applies the environment (as os.Environ returns it) and checks the whole. An empty path means no file. The error is of type
// Problems if the content is at fault.
func Load(path string, env []string) (Config, error) {
	r := newReader()
	if path == "" {
		return r.end(env)
	}
	paths, err := pieces(path)
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	for _, p := range append([]string{path}, paths...) {
		text, err := readFile(p)
		if err != nil {
			return Config{}, fmt.Errorf("read configuration: %w", err)
		}
		r.read(p, text)
	}
	return r.end(env)
}

// pieces lists the files of conf.d. Hidden ones are of editors and package managers.
func pieces(path string) ([]string, error) {
	dir := filepath.Join(filepath.Dir(path), beside)
	entries, err := os.ReadDir(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".yaml") && !strings.HasPrefix(name, ".") {
			paths = append(paths, filepath.Join(dir, name))
		}
	}
	if len(paths) > maxPieces {
		return nil, fmt.Errorf("%s holds %d files, more than %d: this is no configuration of Tallyman", dir, len(paths), maxPieces)
	}
	return paths, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// Parse is Load for one text that is at hand. The name stands in errors.
func Parse(name string, text []byte, env []string) (Config, error) {
	r := newReader()
	r.read(name, text)
	return r.end(env)
}

// reader fills a Config from texts, one after the other, and collects what is wrong with them.
type reader struct {
	complaints
	name   string // of the text that is being read
	config Config
}

func newReader() *reader {
	r := &reader{config: Defaults()}
	r.config.from = map[string]origin{}
	return r
}

func (r *reader) read(name string, text []byte) {
	r.name = name
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if r.sound(text) {
		r.file(text)
	}
}

// end applies what overrides the files, and checks the whole.
func (r *reader) end(env []string) (Config, error) {
	r.environment(env)
	r.check(&r.config)
	if err := r.err(); err != nil {
		return Config{}, err
	}
	return r.config, nil
}

// sound refuses what must not reach the YAML parser, or what the parser would explain badly.
func (r *reader) sound(content []byte) bool {
	if len(content) > maxFile {
		r.add(origin{r.name, 1, 1}, "", "the file is larger than %s: this is no configuration of Tallyman", Size(maxFile))
		return false
	}
	before, depth := len(r.found), 0
	lines := strings.Split(string(content), "\n")
	r.files = append(r.files, text{r.name, lines})
	for i, line := range lines {
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
	return len(r.found) == before
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
