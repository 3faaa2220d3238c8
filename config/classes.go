package config

import (
	"errors"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Classes says of folders what they are.
type Classes map[string]string

// classWords are the classes of design section 3.
var classWords = []string{"local", "removable", "network", "cloud"}

// check completes a sentence that begins with what was wrong.
func (Classes) check(folder, class string) (wrong string, err error) {
	if !path.IsAbs(folder) || strings.ContainsRune(folder, 0) {
		return folder, errors.New("is no absolute path")
	}
	if !slices.Contains(classWords, class) {
		return class, errors.New("is unknown" + didYouMean(class, classWords) + " " + oneOf(classWords))
	}
	return "", nil
}

// text writes them as one line of YAML, sorted.
func (c Classes) text() string {
	var out []string
	for _, folder := range slices.Sorted(maps.Keys(c)) {
		out = append(out, plain(folder)+": "+plain(c[folder]))
	}
	return "{" + strings.Join(out, ", ") + "}"
}

// table reads a section whose keys are folders.
func (r *reader) table(k *key, n ast.Node) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		if _, empty := n.(*ast.NullNode); !empty {
			r.add(r.at(n), k.path, "expected a section, as in %s", k.eg())
		}
		return
	}
	c, good := Classes{}, true
	for _, pair := range m.Values {
		name, ok := pair.Key.(*ast.StringNode)
		if !ok {
			r.add(r.at(pair.Key), k.path, "a folder is an absolute path, as in %s", k.eg())
			good = false
			continue
		}
		class, ok := r.scalar(&key{path: k.path, typ: reflect.TypeFor[string](), example: k.example, name: k.name}, pair.Value)
		good = good && ok && r.addClass(k, c, name.Value, class, r.at(pair.Key))
	}
	if good {
		r.setTable(k, c, r.at(n))
	}
}

// tableText reads the same from a text without YAML: /mnt/backup=network, separated by commas.
func (r *reader) tableText(k *key, text string, at origin) {
	c := Classes{}
	for pair := range strings.SplitSeq(text, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		folder, class, _ := strings.Cut(pair, "=")
		if !r.addClass(k, c, folder, class, at) {
			return
		}
	}
	r.setTable(k, c, at)
}

// addClass takes one folder, or says what is wrong with it.
func (r *reader) addClass(k *key, c Classes, folder, class string, at origin) bool {
	wrong, err := c.check(folder, class)
	if _, twice := c[path.Clean(folder)]; err == nil && twice {
		wrong, err = folder, errors.New("stands here twice")
	}
	if err != nil {
		r.add(at, k.path, "%s", refusal(k, wrong, err))
		return false
	}
	c[path.Clean(folder)] = class
	return true
}

func (r *reader) setTable(k *key, c Classes, at origin) {
	if len(c) == 0 {
		c = nil
	}
	k.in(&r.config).Set(reflect.ValueOf(c))
	r.config.from[k.path] = at
}
