package query

import (
	"strings"

	"tallyman"
)

// parser stands at a place of the text.
type parser struct {
	text  string
	at    int
	terms int
}

func (p *parser) done() bool { return p.at >= len(p.text) }

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func (p *parser) space() {
	for !p.done() && isSpace(p.text[p.at]) {
		p.at++
	}
}

// operator takes a word in capitals, if it stands here alone.
func (p *parser) operator(word string) bool {
	rest, ok := strings.CutPrefix(p.text[p.at:], word)
	if !ok || rest != "" && !isSpace(rest[0]) && rest[0] != '(' && rest[0] != ')' {
		return false
	}
	p.at += len(word)
	p.space()
	return true
}

// wants fails, at the place of an operator, unless something stands behind it.
func (p *parser) wants(operator string, pos int) error {
	if p.done() || p.text[p.at] == ')' {
		return p.fail(pos, pos+len(operator), "nothing follows %s: add a word behind it, or quote it", operator)
	}
	return nil
}

func (p *parser) or(depth int) (tallyman.Expr, error) {
	var all tallyman.Or
	for {
		e, err := p.and(depth)
		if err != nil {
			return nil, err
		}
		all = addOr(all, e)
		pos := p.at
		if !p.operator("OR") {
			return oneOr(all), nil
		}
		if err := p.wants("OR", pos); err != nil {
			return nil, err
		}
	}
}

func (p *parser) and(depth int) (tallyman.Expr, error) {
	var all tallyman.And
	for {
		e, err := p.not(depth)
		if err != nil {
			return nil, err
		}
		if in, ok := e.(tallyman.And); ok {
			all = append(all, in...)
		} else {
			all = append(all, e)
		}
		pos := p.at
		if p.operator("AND") {
			if err := p.wants("AND", pos); err != nil {
				return nil, err
			}
			continue
		}
		if p.done() || p.text[p.at] == ')' || p.atOr() {
			return oneAnd(all), nil
		}
	}
}

// atOr reports whether OR stands here, and leaves it there.
func (p *parser) atOr() bool {
	pos := p.at
	is := p.operator("OR")
	p.at = pos
	return is
}

func (p *parser) not(depth int) (tallyman.Expr, error) {
	pos := p.at
	if depth > maxDepth {
		return nil, p.fail(pos, pos+1, "the query is nested deeper than %d: write it flatter", maxDepth)
	}
	for _, op := range []string{"AND", "OR"} {
		if p.operator(op) {
			return nil, p.fail(pos, pos+len(op), "%s joins two words, and none stands before it: add one, or quote it", op)
		}
	}
	switch {
	case p.operator("NOT"):
		if err := p.wants("NOT", pos); err != nil {
			return nil, err
		}
	case p.text[p.at] == '-':
		p.at++
		if p.done() || isSpace(p.text[p.at]) || p.text[p.at] == ')' {
			return nil, p.fail(pos, pos+1, "a minus stands right before what it excludes, as in -op:get")
		}
	case p.text[p.at] == '(':
		return p.group(depth)
	case p.text[p.at] == ')':
		return nil, p.fail(pos, pos+1, "this closes nothing: take it out, or quote it")
	default:
		e, err := p.term()
		p.space()
		return e, err
	}
	e, err := p.not(depth + 1)
	if err != nil {
		return nil, err
	}
	if n, ok := e.(tallyman.Not); ok {
		return n.Of, nil
	}
	return tallyman.Not{Of: e}, nil
}

func (p *parser) group(depth int) (tallyman.Expr, error) {
	pos := p.at
	p.at++
	p.space()
	if p.done() {
		return nil, p.fail(pos, pos+1, "this is never closed: add a )")
	}
	if p.text[p.at] == ')' {
		return nil, p.fail(pos, p.at+1, "nothing stands in the parentheses")
	}
	e, err := p.or(depth + 1)
	if err != nil {
		return nil, err
	}
	if p.done() {
		return nil, p.fail(pos, pos+1, "this is never closed: add a )")
	}
	p.at++
	p.space()
	return e, nil
}

// term reads one word, with or without a field.
func (p *parser) term() (tallyman.Expr, error) {
	start := p.at
	if p.terms++; p.terms > maxTerms {
		return nil, p.fail(start, start+1, "the query has more than %d words: ask for less at once", maxTerms)
	}
	name := fieldName(p.text[start:])
	if name != "" {
		if e, ok := p.bareAddress(); ok {
			return e, nil
		}
		f, ok := fields[tallyman.Field(strings.ToLower(name))]
		if !ok {
			return nil, p.unknownField(name)
		}
		p.at += len(name) + 1
		w, err := p.word()
		if err != nil {
			return nil, err
		}
		if w.pos == w.end {
			return nil, p.fail(start, p.at, "%s: has no value: write it right behind the colon, as in %s; nothing at all is \"\"", strings.ToLower(name), f.example)
		}
		return f.parse(p, tallyman.Term{Field: tallyman.Field(strings.ToLower(name)), Pos: start}, w)
	}
	if e, ok := p.bareAddress(); ok {
		return e, nil
	}
	w, err := p.word()
	if err != nil {
		return nil, err
	}
	if w.plain == "" {
		return nil, p.fail(w.pos, w.end, "an empty word is in everything: leave it out, or name a field, as in user:\"\"")
	}
	t := w.text(tallyman.Term{Pos: start})
	t.Text = lower(t.Text)
	return t, nil
}

// fieldName returns what stands before a colon, if that can be a field: letters and digits, a letter first.
func fieldName(s string) string {
	for i := range len(s) {
		switch c := s[i]; {
		case c == ':':
			return s[:i]
		case 'a' <= c|0x20 && c|0x20 <= 'z', i > 0 && ('0' <= c && c <= '9' || c == '_'):
		default:
			return ""
		}
	}
	return ""
}

func (p *parser) unknownField(name string) error {
	says, known := nearest(name, fieldNames()), strings.Join(fieldNames(), " ")
	if f, ok := otherNames[strings.ToLower(name)]; ok {
		says = " did you mean " + string(f) + "?"
	}
	return p.fail(p.at, p.at+len(name), "there is no field %q:%s The fields are %s; a word with a colon wants quotes", name, says, known)
}

func addOr(all tallyman.Or, e tallyman.Expr) tallyman.Or {
	if in, ok := e.(tallyman.Or); ok {
		return append(all, in...)
	}
	return append(all, e)
}

func oneOr(all tallyman.Or) tallyman.Expr {
	if len(all) == 1 {
		return all[0]
	}
	return all
}

func oneAnd(all tallyman.And) tallyman.Expr {
	if len(all) == 1 {
		return all[0]
	}
	return all
}
