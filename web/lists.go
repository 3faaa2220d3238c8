package web

import (
	"net/http"

	"tallyman"
	"tallyman/web/ask"
)

func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) error {
	return s.records(w, r, "events", tallyman.Not{Of: tallyman.Or{kind("gap"), kind("finding")}})
}

func (s *Server) getGaps(w http.ResponseWriter, r *http.Request) error {
	return s.records(w, r, "gaps", kind("gap"))
}

func (s *Server) getFindings(w http.ResponseWriter, r *http.Request) error {
	return s.records(w, r, "findings", kind("finding"))
}

func kind(word string) tallyman.Term {
	return tallyman.Term{Field: tallyman.FieldKind, Cmp: tallyman.Equal, Text: word}
}

// records answers one page of what is no transfer and of the kind, newest first.
func (s *Server) records(w http.ResponseWriter, r *http.Request, name string, only tallyman.Expr) error {
	q, err := ask.Records(r.URL.Query(), s.parts.Parse, s.now())
	if err != nil {
		return err
	}
	if q.Where != nil {
		only = tallyman.And{only, q.Where}
	}
	want := q.Limit
	q.Where, q.Limit = only, want+1
	page := make([]tallyman.Record, 0, q.Limit)
	for rec, err := range s.parts.Ledger.Events(r.Context(), q) {
		if err != nil {
			return err
		}
		page = append(page, rec)
	}
	answer := map[string]any{}
	if len(page) > want {
		page = page[:want]
		answer["next"] = ask.Next(place(page[want-1]))
	}
	answer[name] = page
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// place is where a record stands in the order of a list.
func place(rec tallyman.Record) tallyman.Cursor {
	switch rec := rec.(type) {
	case *tallyman.Transfer:
		return tallyman.Cursor{At: rec.Start, ID: rec.ID}
	case *tallyman.Event:
		return tallyman.Cursor{At: rec.At, ID: rec.ID}
	case *tallyman.Gap:
		return tallyman.Cursor{At: rec.To, ID: rec.ID}
	case *tallyman.Finding:
		return tallyman.Cursor{At: rec.At, ID: rec.ID}
	default:
		return tallyman.Cursor{}
	}
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

// stats answers from roll-ups.
func (s *Server) stats(w http.ResponseWriter, r *http.Request, by, name string) error {
	q, err := ask.Counts(r.URL.Query(), by, s.now())
	if err != nil {
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
