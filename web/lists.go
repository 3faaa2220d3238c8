package web

import (
	"net/http"
	"time"

	"tallyman"
)

// getEvents, getGaps and getFindings answer one kind of record each, newest first.
func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) error {
	return s.records(w, r, "events", func(rec tallyman.Record) (time.Time, tallyman.UUID, bool) {
		e, ok := rec.(*tallyman.Event)
		if !ok {
			return time.Time{}, tallyman.UUID{}, false
		}
		return e.At, e.ID, true
	})
}

func (s *Server) getGaps(w http.ResponseWriter, r *http.Request) error {
	return s.records(w, r, "gaps", func(rec tallyman.Record) (time.Time, tallyman.UUID, bool) {
		g, ok := rec.(*tallyman.Gap)
		if !ok {
			return time.Time{}, tallyman.UUID{}, false
		}
		return g.To, g.ID, true
	})
}

func (s *Server) getFindings(w http.ResponseWriter, r *http.Request) error {
	return s.records(w, r, "findings", func(rec tallyman.Record) (time.Time, tallyman.UUID, bool) {
		f, ok := rec.(*tallyman.Finding)
		if !ok {
			return time.Time{}, tallyman.UUID{}, false
		}
		return f.At, f.ID, true
	})
}

// records reads events of all kinds and keeps one kind, until the page is full.
func (s *Server) records(w http.ResponseWriter, r *http.Request, name string, place func(tallyman.Record) (time.Time, tallyman.UUID, bool)) error {
	q, err := s.ask(r.URL.Query())
	if err != nil {
		return err
	}
	want := q.Limit
	q.Limit = 0
	page, next := []tallyman.Record{}, ""
	var last tallyman.Cursor
	for rec, err := range s.parts.Ledger.Events(r.Context(), q) {
		if err != nil {
			return err
		}
		at, id, ok := place(rec)
		if !ok {
			continue
		}
		if len(page) == want {
			next = cursorText(last)
			break
		}
		page = append(page, rec)
		last = tallyman.Cursor{At: at, ID: id}
	}
	answer := map[string]any{name: page}
	if next != "" {
		answer["next"] = next
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// groups are the words that stats may count by.
var groups = map[string]bool{"hour": true, "verdict": true, "proto": true, "host": true, "client": true, "file": true}

func (s *Server) getStats(w http.ResponseWriter, r *http.Request) error {
	by := r.URL.Query().Get("by")
	if by == "" {
		by = "verdict"
	}
	if !groups[by] {
		return problem(http.StatusBadRequest, "by=%s cannot be counted by: take hour, verdict, proto, host, client or file", tallyman.Escape(by))
	}
	return s.stats(w, r, by, "stats")
}

func (s *Server) getFiles(w http.ResponseWriter, r *http.Request) error {
	return s.stats(w, r, "file", "files")
}

func (s *Server) getClients(w http.ResponseWriter, r *http.Request) error {
	return s.stats(w, r, "client", "clients")
}

// stats answers from roll-ups; without from= it counts the last 24 hours.
func (s *Server) stats(w http.ResponseWriter, r *http.Request, by, name string) error {
	v, now := r.URL.Query(), s.now()
	q := tallyman.StatsQuery{By: by}
	var err error
	if q.From, err = moment("from", v.Get("from"), now); err != nil {
		return err
	}
	if q.To, err = moment("to", v.Get("to"), now); err != nil {
		return err
	}
	if q.From.IsZero() {
		q.From = tallyman.Clean(now.Add(-24 * time.Hour))
	}
	if q.To.IsZero() {
		q.To = tallyman.Clean(now)
	}
	if q.Limit, err = limit(v.Get("limit"), maxLimit); err != nil {
		return err
	}
	rows, err := s.parts.Ledger.Stats(r.Context(), q)
	if err != nil {
		return err
	}
	for i := range rows {
		rows[i].Key = tallyman.Escape(rows[i].Key)
	}
	if rows == nil {
		rows = []tallyman.Stat{}
	}
	writeJSON(w, http.StatusOK, map[string]any{"by": by, "from": q.From, "to": q.To, name: rows})
	return nil
}

// getWords explains the closed lists, so that no viewer keeps a copy of them.
func (s *Server) getWords(w http.ResponseWriter, _ *http.Request) error {
	type verdict struct {
		Verdict tallyman.Verdict `json:"verdict"`
		Outcome string           `json:"outcome,omitempty"`
	}
	type reason struct {
		Reason  tallyman.Reason  `json:"reason"`
		Verdict tallyman.Verdict `json:"verdict"`
		Because string           `json:"because"`
	}
	var verdicts []verdict
	for _, v := range tallyman.Verdicts() {
		verdicts = append(verdicts, verdict{v, v.Outcome()})
	}
	var reasons []reason
	for _, r := range tallyman.Reasons() {
		reasons = append(reasons, reason{r, r.Verdict(), r.Because()})
	}
	writeJSON(w, http.StatusOK, map[string]any{"verdicts": verdicts, "reasons": reasons})
	return nil
}
