package web

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"

	"tallyman"
	"tallyman/web/ask"
	"tallyman/web/plain"
)

// drawn is a page for readers without JavaScript.
type drawn interface{ Draw(w io.Writer) error }

func writeHTML(w http.ResponseWriter, status int, page drawn) error {
	var b bytes.Buffer
	if err := page.Draw(&b); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	// Under no-referrer a browser says of a form that it comes from nowhere (Fetch, "append a request Origin header").
	w.Header().Set("Referrer-Policy", "same-origin")
	w.WriteHeader(status)
	_, err := w.Write(b.Bytes())
	return err
}

// reads reports whether a person reads the answer in a browser: the API answers in JSON whoever asks.
func reads(r *http.Request) bool {
	return !strings.HasPrefix(r.URL.Path, api) && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// plainRoutes are the pages without JavaScript. They stand beside the API and are no part of its description.
func (s *Server) plainRoutes() []route {
	return []route{
		{method: "GET", path: "/plain", needs: open, serve: s.getPlainList},
		{method: "GET", path: "/plain/{id}", needs: open, serve: s.getPlainTransfer},
		{method: "GET", path: "/plain/style.css", needs: open, serve: func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "text/css; charset=utf-8")
			w.Header().Set("Cache-Control", "no-cache")
			_, err := w.Write(plain.Style)
			return err
		}},
		{method: "POST", path: "/plain/login", needs: form, serve: s.postPlainLogin},
		{method: "POST", path: "/plain/logout", needs: form, serve: s.postPlainLogout},
	}
}

// askLogin answers with the form by which one gets in.
func (s *Server) askLogin(w http.ResponseWriter, r *http.Request, failed *Problem) error {
	l := plain.Login{Setup: !s.accounts.Locked(), Choose: !doorOf(r).loopback}
	status := http.StatusUnauthorized
	if failed != nil {
		l.Failed, status = failed.Text, failed.Status
	}
	return writeHTML(w, status, l)
}

// withoutLists is the query of a list for people who gave none: clients list folders far more often than they fetch files.
const withoutLists = "-op:list"

func (s *Server) getPlainList(w http.ResponseWriter, r *http.Request) error {
	who, err := s.who(r)
	if err != nil {
		return s.askLogin(w, r, nil)
	}
	v := r.URL.Query()
	list := plain.List{Who: who.Name, Query: v.Get("q")}
	asked := maps.Clone(v)
	if strings.TrimSpace(list.Query) == "" {
		asked.Set("q", withoutLists)
	}
	q, err := ask.Records(asked, s.parts.Parse, s.now())
	if fault, ok := errors.AsType[*ask.Fault](err); ok {
		list.Fault, list.Caret = fault.Text, fault.Caret
		return writeHTML(w, http.StatusBadRequest, list)
	}
	if err != nil {
		return err
	}
	var next tallyman.Cursor
	if list.Rows, next, err = s.page(r.Context(), q); err != nil {
		return err
	}
	if !next.IsZero() {
		v.Set("after", ask.Next(next))
		list.Next = "/plain?" + v.Encode()
	}
	return writeHTML(w, http.StatusOK, list)
}

func (s *Server) getPlainTransfer(w http.ResponseWriter, r *http.Request) error {
	who, err := s.who(r)
	if err != nil {
		return s.askLogin(w, r, nil)
	}
	t, err := s.transfer(r)
	if err != nil {
		return err
	}
	lanes := s.lanes(r.Context(), t)
	return writeHTML(w, http.StatusOK, plain.Why{Who: who.Name, Transfer: t, Sentence: s.sentence(t), Missing: tallyman.Lacking(t, lanes), Lanes: lanes})
}

// mostForm bounds the body of a form, in bytes.
const mostForm = 1 << 16

func (s *Server) postPlainLogin(w http.ResponseWriter, r *http.Request) error {
	if err := s.takeTry(w, r); err != nil {
		return s.askLogin(w, r, problemOf(err))
	}
	r.Body = http.MaxBytesReader(w, r.Body, mostForm)
	if err := r.ParseForm(); err != nil {
		if _, tooBig := errors.AsType[*http.MaxBytesError](err); tooBig {
			return err
		}
		return problem(http.StatusBadRequest, "the body is not the form that is expected here: %v", err)
	}
	// People paste the whole link, or all that stands behind the #.
	link := r.PostForm.Get("link")
	if _, code, ok := strings.Cut(link, "setup="); ok {
		link = code
	}
	if _, err := s.enter(w, r, credentials{Name: r.PostForm.Get("name"), Password: r.PostForm.Get("password"), Link: strings.TrimSpace(link)}); err != nil {
		if p := problemOf(err); p.Status < http.StatusInternalServerError {
			return s.askLogin(w, r, p)
		}
		return err
	}
	return seeOther(w, "/plain")
}

func (s *Server) postPlainLogout(w http.ResponseWriter, r *http.Request) error {
	if err := s.leave(w, r); err != nil {
		return err
	}
	return seeOther(w, "/plain")
}

// seeOther sends the browser on by GET, so that a reload does not send a form twice.
func seeOther(w http.ResponseWriter, path string) error {
	w.Header().Set("Location", path)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusSeeOther)
	return nil
}
