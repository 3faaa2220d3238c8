// Package ask reads the questions of the API: what the parameters of a URL mean. It is pure.
//
// It promises: what it does not understand is a *Fault that says what was wrong and what to write, never a guess; a question has bounds. It leaves to others:
// the query language (handed in), the answer, and its status.
package ask

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tallyman"
)

// Bounds of a question.
const (
	defaultLimit = 100
	maxLimit     = 1000
	maxQuery     = 4096 // bytes of q
)

// Language reads the query language. If its error has a method Caret() string, that goes to people too.
type Language func(text string, now time.Time) (tallyman.Expr, error)

// Fault is what is wrong with a question, for the person who asked.
type Fault struct {
	Text  string // what was wrong, where, and what to do
	Caret string // for a query: the text, and below it a caret at the fault
}

// Error returns the text.
func (f *Fault) Error() string { return f.Text }

func fault(format string, args ...any) *Fault { return &Fault{Text: fmt.Sprintf(format, args...)} }

// Records reads a question for records: q, from, to, limit and after.
func Records(v url.Values, parse Language, now time.Time) (tallyman.Query, error) {
	q := tallyman.Query{Limit: defaultLimit}
	var err error
	if q.Where, err = Where(v.Get("q"), parse, now); err != nil {
		return q, err
	}
	if q.From, q.To, err = between(v, now); err != nil {
		return q, err
	}
	if !q.From.IsZero() && !q.To.IsZero() && !q.From.Before(q.To) {
		return q, fault("from=%s is not before to=%s: swap them", v.Get("from"), v.Get("to"))
	}
	if q.Limit, err = Limit(v.Get("limit"), defaultLimit); err != nil {
		return q, err
	}
	q.After, err = cursor(v.Get("after"))
	return q, err
}

// Counts reads a question for counts: from, to and limit. Without from it means the last 24 hours.
func Counts(v url.Values, by string, now time.Time) (tallyman.StatsQuery, error) {
	q := tallyman.StatsQuery{By: by}
	var err error
	if q.From, q.To, err = between(v, now); err != nil {
		return q, err
	}
	if q.From.IsZero() {
		q.From = tallyman.Clean(now.Add(-24 * time.Hour))
	}
	if q.To.IsZero() {
		q.To = tallyman.Clean(now)
	}
	q.Limit, err = Limit(v.Get("limit"), maxLimit)
	return q, err
}

// Where parses a query; nil means all.
func Where(text string, parse Language, now time.Time) (tallyman.Expr, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	if len(text) > maxQuery {
		return nil, fault("q is %d bytes long: at most %d are read", len(text), maxQuery)
	}
	e, err := parse(text, now)
	if err != nil {
		f := &Fault{Text: err.Error()}
		var pointed interface{ Caret() string }
		if errors.As(err, &pointed) {
			f.Caret = pointed.Caret()
		}
		return nil, f
	}
	return e, nil
}

func between(v url.Values, now time.Time) (from, to time.Time, err error) {
	if from, err = moment("from", v.Get("from"), now); err == nil {
		to, err = moment("to", v.Get("to"), now)
	}
	return from, to, err
}

// moment accepts RFC 3339, a date (UTC), now, and now-90s, now-15m, now-24h, now-7d, now-2w. Empty is the zero time: open.
func moment(name, text string, now time.Time) (time.Time, error) {
	switch {
	case text == "":
		return time.Time{}, nil
	case text == "now":
		return tallyman.Clean(now), nil
	case strings.HasPrefix(text, "now-"):
		if d, ok := span(text[len("now-"):]); ok {
			return tallyman.Clean(now.Add(-d)), nil
		}
	default:
		for _, form := range []string{time.RFC3339Nano, time.DateOnly} {
			if t, err := time.Parse(form, text); err == nil {
				return tallyman.Clean(t), nil
			}
		}
	}
	return time.Time{}, fault("%s=%s is no time: write 2026-01-31T12:00:00Z, 2026-01-31, now or now-24h (units s m h d w)",
		name, tallyman.Escape(text))
}

// span reads a whole number and one unit; at most a hundred years.
func span(text string) (time.Duration, bool) {
	if len(text) < 2 {
		return 0, false
	}
	unit := map[byte]time.Duration{
		's': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour,
	}[text[len(text)-1]]
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 32)
	const most = 100 * 366 * 24 * time.Hour
	if err != nil || unit == 0 || n > uint64(most/unit) {
		return 0, false
	}
	return time.Duration(n) * unit, true
}

// Limit reads how many records are wanted at the most.
func Limit(text string, otherwise int) (int, error) {
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxLimit {
		return 0, fault("limit=%s: write a number from 1 to %d; the export routes have no limit", tallyman.Escape(text), maxLimit)
	}
	return n, nil
}

// Next makes the opaque text by which the page behind a place is asked for.
func Next(c tallyman.Cursor) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s", c.At.UnixMicro(), c.ID))
}

func cursor(text string) (tallyman.Cursor, error) {
	if text == "" {
		return tallyman.Cursor{}, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	at, id, ok := strings.Cut(string(raw), " ")
	micro, errAt := strconv.ParseInt(at, 10, 64)
	u, errID := tallyman.ParseUUID(id)
	if err != nil || !ok || errAt != nil || errID != nil {
		return tallyman.Cursor{}, fault("after=%s is no cursor: give the \"next\" of the page before, or leave it away", tallyman.Escape(text))
	}
	return tallyman.Cursor{At: time.UnixMicro(micro).UTC(), ID: u}, nil
}
