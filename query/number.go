package query

import (
	"math/big"
	"strings"
	"time"

	"tallyman"
)

// comparisons, the longer ones first.
var comparisons = [...]struct {
	sign string
	cmp  tallyman.Cmp
}{
	{">=", tallyman.GreaterEqual}, {"<=", tallyman.LessEqual}, {">", tallyman.Greater}, {"<", tallyman.Less}, {"=", tallyman.Equal},
}

func parseSize(p *parser, t tallyman.Term, w word) (tallyman.Expr, error) {
	return numbers(p, t, w, size, "size: write 1500, 10KiB, 1.5MiB or 2GB, with >, >=, < or <=, or two of them with .. between")
}

func parseTook(p *parser, t tallyman.Term, w word) (tallyman.Expr, error) {
	return numbers(p, t, w, duration, "duration: write 250ms, 2s, 1m30s, 1h or 2d, with >, >=, < or <=, or two of them with .. between")
}

// numbers reads a comparison or a range. A range holds both its ends, of which one may be missing.
func numbers(p *parser, t tallyman.Term, w word, read func(string) (int64, bool), help string) (tallyman.Expr, error) {
	wrong := func(s string) error { return p.fail(w.pos, w.end, `"%s" is no %s`, tallyman.Escape(s), help) }
	if from, to, ok := strings.Cut(w.plain, ".."); ok {
		low, high := t, t
		low.Cmp, high.Cmp = tallyman.GreaterEqual, tallyman.LessEqual
		var okLow, okHigh bool
		low.Num, okLow = read(from)
		high.Num, okHigh = read(to)
		switch {
		case okLow && to == "":
			return low, nil
		case okHigh && from == "":
			return high, nil
		case !okLow || !okHigh:
			return nil, wrong(w.plain)
		case low.Num > high.Num:
			return nil, p.fail(w.pos, w.end, "the range ends before it begins: write %s..%s", to, from)
		}
		return tallyman.And{low, high}, nil
	}
	rest := w.plain
	for _, c := range comparisons {
		if s, ok := strings.CutPrefix(rest, c.sign); ok {
			t.Cmp, rest = c.cmp, s
			break
		}
	}
	n, ok := read(rest)
	if !ok {
		return nil, wrong(rest)
	}
	t.Num = n
	return t, nil
}

// sizeUnits are those of IEC 80000-13 and of the SI. A bare K or M is not taken: it may mean either.
var sizeUnits = map[string]int64{
	"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
}

// size reads a number of bytes, at most 2^63-1, without a rest.
func size(s string) (int64, bool) {
	digits := strings.TrimRight(lower(s), "abcdefghijklmnopqrstuvwxyz")
	unit, ok := sizeUnits[lower(s)[len(digits):]]
	if !ok || len(digits) > 32 || digits == "" || digits[0] == '.' || strings.Trim(digits, "0123456789.") != "" {
		return 0, false
	}
	n, ok := new(big.Rat).SetString(digits)
	if !ok {
		return 0, false
	}
	n.Mul(n, new(big.Rat).SetInt64(unit))
	return n.Num().Int64(), n.IsInt() && n.Num().IsInt64()
}

// longest is what a time.Duration holds, in microseconds: 292 years.
const longest = (1<<63 - 1) / int64(time.Microsecond)

// duration reads a time in whole microseconds; d and w count days and weeks.
func duration(s string) (int64, bool) {
	times := int64(1)
	if s != "" && (s[len(s)-1] == 'd' || s[len(s)-1] == 'w') {
		times = 24
		if s[len(s)-1] == 'w' {
			times *= 7
		}
		s = s[:len(s)-1] + "h"
		if strings.Trim(s, "0123456789.h") != "" {
			return 0, false
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d%time.Microsecond != 0 || d.Microseconds() > longest/times || s[0] == '+' || s[0] == '-' {
		return 0, false
	}
	return d.Microseconds() * times, true
}
