package web

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tallyman"
	"tallyman/web/ask"
)

// chunk is how many records an export reads at once: no read transaction of the ledger lives longer than that.
const chunk = 1000

// getTransfers answers one page, newest first; `next` asks for the page after it and is absent on the last.
func (s *Server) getTransfers(w http.ResponseWriter, r *http.Request) error {
	q, err := ask.Records(r.URL.Query(), s.parts.Parse, s.now())
	if err != nil {
		return err
	}
	page, next, err := s.page(r.Context(), q)
	if err != nil {
		return err
	}
	answer := struct {
		Transfers []*tallyman.Transfer `json:"transfers"`
		Next      string               `json:"next,omitempty"`
	}{page, ""}
	if !next.IsZero() {
		answer.Next = ask.Next(next)
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// page reads q.Limit transfers and one more, to know whether there is a next page.
func (s *Server) page(ctx context.Context, q tallyman.Query) ([]*tallyman.Transfer, tallyman.Cursor, error) {
	want := q.Limit
	q.Limit++
	page := make([]*tallyman.Transfer, 0, q.Limit)
	for t, err := range s.parts.Ledger.Transfers(ctx, q) {
		if err != nil {
			return nil, tallyman.Cursor{}, err
		}
		page = append(page, t)
	}
	if len(page) <= want {
		return page, tallyman.Cursor{}, nil
	}
	page = page[:want]
	return page, place(page[want-1]), nil
}

// getTransfer answers one record with its evidence, the verdict as a sentence, and what evidence was missing.
func (s *Server) getTransfer(w http.ResponseWriter, r *http.Request) error {
	t, err := s.transfer(r)
	if err != nil {
		return err
	}
	lanes := s.lanes(r.Context(), t)
	missing := tallyman.Lacking(t, lanes)
	if missing == nil {
		missing = []string{}
	}
	writeJSON(w, http.StatusOK, map[string]any{"transfer": t, "sentence": s.sentence(t), "missing": missing, "lanes": lanes})
	return nil
}

// lanes is what each witness says.
func (s *Server) lanes(ctx context.Context, t *tallyman.Transfer) []tallyman.Lane {
	if s.parts.Lanes == nil {
		return []tallyman.Lane{}
	}
	return s.parts.Lanes(ctx, t)
}

// transfer reads the record that the path names.
func (s *Server) transfer(r *http.Request) (*tallyman.Transfer, error) {
	id, err := tallyman.ParseUUID(r.PathValue("id"))
	if err != nil {
		return nil, problem(http.StatusBadRequest, "%v", err)
	}
	return s.parts.Ledger.Transfer(r.Context(), id)
}

// sentence is the verdict in words, with the hint where there is one.
func (s *Server) sentence(t *tallyman.Transfer) string {
	said := t.Sentence()
	if s.parts.Hint == nil {
		return said
	}
	if hint := s.parts.Hint(t); hint != "" {
		said += " " + hint
	}
	return said
}

// every yields all that the filter shows, in chunks, and gives the viewer time as long as it takes something.
func (s *Server) every(w http.ResponseWriter, r *http.Request, each func(*tallyman.Transfer) error) error {
	q, err := ask.Records(r.URL.Query(), s.parts.Parse, s.now())
	if err != nil {
		return err
	}
	q.Limit = chunk
	control := http.NewResponseController(w)
	for {
		page, next, err := s.page(r.Context(), q)
		if err != nil {
			return err
		}
		_ = control.SetWriteDeadline(time.Now().Add(s.patience))
		for _, t := range page {
			if err := each(t); err != nil {
				return err
			}
		}
		if next.IsZero() {
			return nil
		}
		q.After = next
	}
}

// getNDJSON exports exactly what the filter shows, one record a line.
func (s *Server) getNDJSON(w http.ResponseWriter, r *http.Request) error {
	begun := false
	begin := func() {
		if !begun {
			exportHeaders(w, "application/x-ndjson", "transfers.ndjson")
			begun = true
		}
	}
	err := s.every(w, r, func(t *tallyman.Transfer) error {
		begin()
		line, err := json.Marshal(t)
		if err != nil {
			return err
		}
		_, err = w.Write(append(line, '\n'))
		return err
	})
	if err == nil {
		begin()
	}
	return err
}

// getCSV exports exactly what the filter shows, with a line of headings.
func (s *Server) getCSV(w http.ResponseWriter, r *http.Request) error {
	out := csv.NewWriter(w)
	begun := false
	begin := func() error {
		if begun {
			return nil
		}
		exportHeaders(w, "text/csv; charset=utf-8; header=present", "transfers.csv")
		begun = true
		return out.Write(csvHead)
	}
	err := s.every(w, r, func(t *tallyman.Transfer) error {
		if err := begin(); err != nil {
			return err
		}
		return out.Write(csvRow(t))
	})
	if err != nil {
		return err
	}
	if err := begin(); err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

func exportHeaders(w http.ResponseWriter, kind, name string) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
}

var csvHead = []string{
	"id", "rev", "host", "proto", "op", "start", "end", "took_ms", "client_ip", "client_port", "server_ip", "server_port", "user",
	"file", "path", "expected", "bytes", "sha256", "content", "verdict", "reason", "outcome", "witnesses", "against", "tags", "details",
}

func csvRow(t *tallyman.Transfer) []string {
	number := func(n int64) string {
		if n < 0 {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
	moment := func(at time.Time) string {
		if at.IsZero() {
			return ""
		}
		return at.UTC().Format("2006-01-02T15:04:05.000000Z")
	}
	took := ""
	if d, ok := t.Took(); ok {
		took = strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 3, 64)
	}
	ip, port, selfIP, selfPort := "", "", "", ""
	if t.Client.IsValid() {
		ip, port = t.Client.Addr().String(), strconv.Itoa(int(t.Client.Port()))
	}
	if t.Server.IsValid() {
		selfIP, selfPort = t.Server.Addr().String(), strconv.Itoa(int(t.Server.Port()))
	}
	sum, _ := strings.CutPrefix(string(t.Digest), "sha256:")
	j := t.Judgement
	row := []string{
		t.ID.String(), strconv.FormatUint(uint64(t.Rev), 10), t.Host, t.Proto, t.Op.String(), moment(t.Start), moment(t.End), took,
		ip, port, selfIP, selfPort, t.User, t.File(), t.Path, number(t.Expected), number(t.Bytes), sum, t.Content.String(),
		j.Verdict.String(), string(j.Reason), j.Outcome(), strings.Join(j.For, " "), strings.Join(j.Against, " "),
		strings.Join(t.Tags, " "), t.Details,
	}
	for i, cell := range row {
		row[i] = harmless(cell)
	}
	return row
}

// harmless leaves no control characters, and puts a ' before what a spreadsheet would take for a formula (CWE-1236).
func harmless(cell string) string {
	cell = tallyman.Escape(cell)
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
