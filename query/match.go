package query

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"tallyman"
)

// Match reports whether the transfer is one of those that the expression means; a nil expression means all. It is the definition of the language.
func Match(e tallyman.Expr, t *tallyman.Transfer) bool {
	return each(e, func(of tallyman.Term) bool { return holds(of, t) })
}

func holds(e tallyman.Term, t *tallyman.Transfer) bool {
	switch e.Field {
	case tallyman.FieldAny:
		return anywhere(e, t)
	case tallyman.FieldVerdict:
		return t.Judgement.Verdict.String() == e.Text
	case tallyman.FieldReason:
		return string(t.Judgement.Reason) == e.Text
	case tallyman.FieldOutcome:
		return t.Judgement.Outcome() == e.Text
	case tallyman.FieldClient:
		return e.Net.Contains(t.Client.Addr().Unmap().WithZone(""))
	case tallyman.FieldFile:
		return text(e, file(t))
	case tallyman.FieldProto:
		return t.Proto == e.Text
	case tallyman.FieldOp:
		return t.Op.String() == e.Text
	case tallyman.FieldHost:
		return text(e, t.Host)
	case tallyman.FieldUser:
		return text(e, t.User)
	case tallyman.FieldSize:
		return t.Bytes >= 0 && compare(e, t.Bytes)
	case tallyman.FieldTook:
		return !t.End.IsZero() && compare(e, t.End.UnixMicro()-t.Start.UnixMicro())
	case tallyman.FieldKind:
		return e.Text == kindTransfer
	case tallyman.FieldSHA256:
		digits, ok := strings.CutPrefix(string(t.Digest), "sha256:")
		return ok && text(e, digits)
	case tallyman.FieldSearch:
		return (e.Text == yes) == searches(t.Details)
	case tallyman.FieldToClass:
		return text(e, t.ToClass)
	}
	return false
}

// file is the name as asked, or the path where nobody asked for a name.
func file(t *tallyman.Transfer) string {
	if t.Name != "" {
		return t.Name
	}
	return t.Path
}

func anywhere(e tallyman.Term, t *tallyman.Transfer) bool {
	in := [...]string{file(t), string(t.Judgement.Reason), ""}
	if a := t.Client.Addr(); a.IsValid() {
		in[2] = a.Unmap().WithZone("").String()
	}
	return loosely(e, in[:]...)
}

func text(e tallyman.Term, s string) bool {
	if e.Cmp == tallyman.Match {
		return fits(e.Text, s)
	}
	return e.Cmp == tallyman.Equal && s == e.Text
}

func compare(e tallyman.Term, n int64) bool {
	switch e.Cmp {
	case tallyman.Equal:
		return n == e.Num
	case tallyman.Less:
		return n < e.Num
	case tallyman.LessEqual:
		return n <= e.Num
	case tallyman.Greater:
		return n > e.Num
	case tallyman.GreaterEqual:
		return n >= e.Num
	case tallyman.Match: // never of a number (package comment)
	}
	return false
}

// searches reports whether the protocol facts say that the refusal belongs to a boot search. Only the outermost object counts: names further
// inside come from the network.
func searches(details string) bool {
	if !strings.Contains(details, `"search"`) {
		return false
	}
	var facts struct {
		Search json.RawMessage `json:"search"`
	}
	return json.Unmarshal([]byte(details), &facts) == nil && len(facts.Search) > 0
}

// fits reports whether the whole text fits the pattern. It goes back to the last star only, which is enough, and so takes at most
// len(pattern) x len(s) steps.
func fits(pattern, s string) bool {
	star, from := -1, 0 // the place behind the last star, and where its text is tried to end
	for i, j := 0, 0; ; {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			i++
			star, from = i, j
			continue
		case i == len(pattern) && j == len(s):
			return true
		}
		if n, m := step(pattern[i:], s[j:]); n > 0 {
			i, j = i+n, j+m
			continue
		}
		if star < 0 || from >= len(s) {
			return false
		}
		from++
		i, j = star, from
	}
}

// step matches one character of the pattern, and returns how many bytes that takes of the pattern and of the text; 0 if it does not fit.
func step(pattern, s string) (n, m int) {
	if pattern == "" || s == "" {
		return 0, 0
	}
	switch c := pattern[0]; {
	case c == '?':
		_, size := utf8.DecodeRuneInString(s)
		return 1, size
	case c == '\\' && len(pattern) > 1:
		if pattern[1] == s[0] {
			return 2, 1
		}
	case c == s[0]:
		return 1, 1
	}
	return 0, 0
}
