package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"tallyman"
	"tallyman/web/ask"
	"tallyman/web/plain"
)

// Problem is an error that the caller can do something about. Text says what was wrong, where, and what to do.
type Problem struct {
	Status int    `json:"-"`
	Text   string `json:"error"`
	Caret  string `json:"caret,omitempty"` // for a query: the text, and below it a caret at the fault
	Needs  string `json:"needs,omitempty"` // for a login: what is missing: "login", "password"
}

func (p *Problem) Error() string { return p.Text }

func problem(status int, format string, args ...any) *Problem {
	return &Problem{Status: status, Text: fmt.Sprintf(format, args...)}
}

// problemOf is the one place that maps errors to HTTP: what the caller did wrong is said in full, what went wrong here is said in the log.
func problemOf(err error) *Problem {
	var p *Problem
	var fault *ask.Fault
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &fault):
		return &Problem{Status: http.StatusBadRequest, Text: fault.Text, Caret: fault.Caret}
	case errors.Is(err, tallyman.ErrNotFound):
		return problem(http.StatusNotFound, "no such record: it may have been pruned (keep), or the id is mistyped")
	case errors.As(err, &tooBig):
		return problem(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes: send less", tooBig.Limit)
	case errors.Is(err, context.DeadlineExceeded):
		return problem(http.StatusServiceUnavailable, "the ledger did not answer in time: ask for a shorter time with from= and to=")
	default:
		return problem(http.StatusInternalServerError, "the server could not answer: its log says why")
	}
}

// fail writes the error. An answer that has already begun is broken off, so that nobody takes half of it for the whole.
func (s *Server) fail(w *counted, r *http.Request, err error) {
	if r.Context().Err() != nil {
		panic(http.ErrAbortHandler)
	}
	p := problemOf(err)
	if p.Status >= 500 {
		s.log.Error("request not answered", "method", r.Method, "path", r.URL.Path, "err", err)
	}
	if w.status != 0 {
		panic(http.ErrAbortHandler)
	}
	if reads(r) {
		_ = writeHTML(w, p.Status, plain.Trouble{Text: p.Text, Caret: p.Caret}) // the reader has gone: nobody is left to tell
		return
	}
	writeJSON(w, p.Status, p)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"the server could not encode its answer: please report this"}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the viewer has gone: nobody is left to tell
}

// readJSON reads a small JSON body; unknown fields are refused so that a typo is not silently ignored.
func readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		if _, tooBig := errors.AsType[*http.MaxBytesError](err); tooBig {
			return err
		}
		return problem(http.StatusBadRequest, "the body is not the JSON that is expected here: %v", err)
	}
	return nil
}

// counted remembers which status was sent, for metrics and for fail.
type counted struct {
	http.ResponseWriter
	status int
}

func (c *counted) WriteHeader(status int) {
	if c.status == 0 {
		c.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *counted) Write(b []byte) (int, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	return c.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach deadlines and Flush.
func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }
