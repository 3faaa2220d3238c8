package config

import (
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"tallyman"
)

// section reads the members of one mapping.
func (r *reader) section(known []key, prefix string, m *ast.MappingNode) {
	seen := map[string]origin{}
	for _, pair := range m.Values {
		at := r.at(pair.Key)
		name, ok := pair.Key.(*ast.StringNode)
		if !ok {
			r.add(at, prefix+pair.Key.GetToken().Value, "a key is a plain word, known here: %s", names(known))
			continue
		}
		if before, twice := seen[name.Value]; twice {
			r.add(at, prefix+name.Value, "the key stands here twice, first in line %d: keep one", before.line)
			continue
		}
		seen[name.Value] = at
		r.pair(known, prefix, name.Value, at, pair.Value)
	}
}

func (r *reader) pair(known []key, prefix, name string, at origin, n ast.Node) {
	path := prefix + name
	i := slices.IndexFunc(known, func(k key) bool { return k.name == name })
	switch {
	case i >= 0 && known[i].members != nil:
		r.enter(&known[i], n)
	case i >= 0 && known[i].list:
		r.words(&known[i], n)
	case i >= 0 && known[i].table:
		r.table(&known[i], n)
	case i >= 0:
		r.value(&known[i], n)
	case slices.Contains(later, path):
		r.add(at, path, notYet)
	default:
		hint := didYouMean(name, append(strings.Fields(names(known)), laterIn(prefix)...))
		if hint == "" {
			hint = ", known here: " + names(known)
		}
		r.add(at, path, "unknown key%s", hint)
	}
}

func names(known []key) string {
	all := make([]string, len(known))
	for i := range known {
		all[i] = known[i].name
	}
	return strings.Join(all, " ")
}

// enter reads a section. A section whose lines are all commented out is empty, not wrong.
func (r *reader) enter(k *key, n ast.Node) {
	switch v := n.(type) {
	case *ast.MappingNode:
		r.section(k.members, k.path+".", v)
	case *ast.NullNode:
	default:
		r.add(r.at(n), k.path, "expected a section, as in %s", k.eg())
	}
}

// value reads a value that is no list.
func (r *reader) value(k *key, n ast.Node) {
	if _, ok := n.(*ast.MappingNode); ok && slices.Contains(later, k.path+".*") {
		r.add(r.at(n), k.path, "a section here %s, write %s", notYet, k.eg())
		return
	}
	text, ok := r.scalar(k, n)
	if !ok {
		return
	}
	if err := k.set(&r.config, text); err != nil {
		r.add(r.at(n), k.path, "%s", refusal(k, text, err))
		return
	}
	r.config.from[k.path] = r.at(n)
}

// refusal is the sentence for a value that does not fit.
func refusal(k *key, text string, err error) string {
	if slices.Contains(laterWords[k.path], text) {
		return text + " " + notYet + ", write " + k.eg()
	}
	return `"` + tallyman.Escape(text) + `" ` + err.Error() + ", for example " + k.eg()
}

// words reads a list, or the one word that stands for a list of one.
func (r *reader) words(k *key, n ast.Node) {
	if section, ok := n.(*ast.MappingNode); ok && k.inner != "" && len(section.Values) == 1 {
		if name, ok := section.Values[0].Key.(*ast.StringNode); ok && name.Value == k.inner {
			n = section.Values[0].Value
		}
	}
	nodes := []ast.Node{n}
	if sequence, ok := n.(*ast.SequenceNode); ok {
		nodes = sequence.Values
	}
	words, good := []string{}, true
	for _, w := range nodes {
		text, ok := r.scalar(k, w)
		if ok {
			if err := k.checkWord(text); err != nil {
				r.add(r.at(w), k.path, "%s", refusal(k, text, err))
				ok = false
			}
		}
		words, good = append(words, text), good && ok
	}
	if good {
		k.setList(&r.config, words)
		r.config.from[k.path] = r.at(n)
	}
}

// scalar returns the text of one word, number or truth value, if it is of the type that the key wants.
func (r *reader) scalar(k *key, n ast.Node) (string, bool) {
	text := n.GetToken().Value
	switch v := n.(type) {
	case *ast.StringNode:
		if k.isText() || !k.isNumber() && !k.isTruth() {
			return v.Value, true
		}
		if k.isNumber() {
			r.add(r.at(n), k.path, "expected a whole number, as in %s", k.eg())
		} else {
			r.add(r.at(n), k.path, "expected true or false, as in %s", k.eg())
		}
	case *ast.LiteralNode:
		if k.isText() {
			return v.Value.Value, true
		}
		r.add(r.at(n), k.path, "expected one line, as in %s", k.eg())
	case *ast.BoolNode:
		if k.isTruth() {
			return strings.ToLower(text), true
		}
		r.add(r.at(n), k.path, "%s is a truth value, expected %s, as in %s", text, k.kind(), k.eg())
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		if !k.isText() && !k.isTruth() {
			return text, true
		}
		r.add(r.at(n), k.path, "%s is a number, expected %s, as in %s", text, k.kind(), k.eg())
	case *ast.NullNode:
		r.add(r.at(n), k.path, "the key has no value: write one, as in %s, or remove the line", k.eg())
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		r.add(r.at(n), k.path, "anchors, aliases and tags are not read here: write the value out, as in %s", k.eg())
	default:
		r.add(r.at(n), k.path, "expected %s, as in %s", k.kind(), k.eg())
	}
	return "", false
}
