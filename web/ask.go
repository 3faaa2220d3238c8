package web

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
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

// ask reads q, from, to, limit and after.
func (s *Server) ask(v url.Values) (tallyman.Query, error) {
	q := tallyman.Query{Limit: defaultLimit}
	now := s.now()
	var err error
	if q.Where, err = s.where(v.Get("q"), now); err != nil {
		return q, err
	}
	if q.From, err = moment("from", v.Get("from"), now); err != nil {
		return q, err
	}
	if q.To, err = moment("to", v.Get("to"), now); err != nil {
		return q, err
	}
	if !q.From.IsZero() && !q.To.IsZero() && !q.From.Before(q.To) {
		return q, problem(http.StatusBadRequest, "from=%s is not before to=%s: swap them", v.Get("from"), v.Get("to"))
	}
	if q.Limit, err = limit(v.Get("limit"), defaultLimit); err != nil {
		return q, err
	}
	q.After, err = parseCursor(v.Get("after"))
	return q, err
}

// where parses the query language; an error carries the text with a caret below the fault.
func (s *Server) where(text string, now time.Time) (tallyman.Expr, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	if len(text) > maxQuery {
		return nil, problem(http.StatusBadRequest, "q is %d bytes long: at most %d are read", len(text), maxQuery)
	}
	e, err := s.parts.Parse(text, now)
	if err != nil {
		p := problem(http.StatusBadRequest, "%s", err.Error())
		var pointed interface{ Caret() string }
		if errors.As(err, &pointed) {
			p.Caret = pointed.Caret()
		}
		return nil, p
	}
	return e, nil
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
	return time.Time{}, problem(http.StatusBadRequest, "%s=%s is no time: write 2026-01-31T12:00:00Z, 2026-01-31, now or now-24h (units s m h d w)",
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

func limit(text string, otherwise int) (int, error) {
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxLimit {
		return 0, problem(http.StatusBadRequest, "limit=%s: write a number from 1 to %d; the export routes have no limit", tallyman.Escape(text), maxLimit)
	}
	return n, nil
}

// cursorText makes the opaque text by which the next page is asked for.
func cursorText(c tallyman.Cursor) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s", c.At.UnixMicro(), c.ID))
}

func parseCursor(text string) (tallyman.Cursor, error) {
	if text == "" {
		return tallyman.Cursor{}, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	at, id, ok := strings.Cut(string(raw), " ")
	micro, errAt := strconv.ParseInt(at, 10, 64)
	u, errID := tallyman.ParseUUID(id)
	if err != nil || !ok || errAt != nil || errID != nil {
		return tallyman.Cursor{}, problem(http.StatusBadRequest, "after=%s is no cursor: give the \"next\" of the page before, or leave it away", tallyman.Escape(text))
	}
	return tallyman.Cursor{At: time.UnixMicro(micro).UTC(), ID: u}, nil
}
