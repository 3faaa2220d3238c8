package web

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tallyman/web/account"
)

// loop is the TCP door on loopback, wide one that others can reach, sock the unix socket.
var (
	loop = door{loopback: true}
	wide = door{}
	sock = door{socket: true, loopback: true}
)

// caller sends requests to one door of a server, without a network.
type caller struct {
	t       testing.TB
	handler http.Handler
	header  http.Header
	host    string
	from    string
}

func call(t testing.TB, s *Server, d door) *caller {
	return &caller{t: t, handler: s.mux(d), header: http.Header{}, host: "127.0.0.1:8420", from: "127.0.0.1:50000"}
}

// as is the caller with a token of that role.
func (c *caller) as(s *Server, role account.Role) *caller {
	c.t.Helper()
	token, err := s.accounts.AddToken("t-"+string(role), role, begun)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.with("Authorization", "Bearer "+token)
}

func (c *caller) with(name, value string) *caller {
	other := *c
	other.header = c.header.Clone()
	other.header.Set(name, value)
	return &other
}

func (c *caller) do(method, target, body string) *httptest.ResponseRecorder {
	c.t.Helper()
	r := httptest.NewRequestWithContext(c.t.Context(), method, target, strings.NewReader(body))
	r.Host, r.RemoteAddr = c.host, c.from
	maps.Copy(r.Header, c.header)
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	return w
}

// get asks, expects the status and reads the JSON.
func (c *caller) get(target string, status int, into any) *httptest.ResponseRecorder {
	c.t.Helper()
	w := c.do("GET", target, "")
	c.read(w, status, into)
	return w
}

func (c *caller) post(target, body string, status int, into any) *httptest.ResponseRecorder {
	c.t.Helper()
	w := c.do("POST", target, body)
	c.read(w, status, into)
	return w
}

func (c *caller) read(w *httptest.ResponseRecorder, status int, into any) {
	c.t.Helper()
	if w.Code != status {
		c.t.Fatalf("status %d, want %d: %s", w.Code, status, w.Body)
	}
	if into == nil {
		return
	}
	if err := json.NewDecoder(bytes.NewReader(w.Body.Bytes())).Decode(into); err != nil {
		c.t.Fatalf("%v: %s", err, w.Body)
	}
}

// problem is the text of an error answer.
func (c *caller) problem(w *httptest.ResponseRecorder, status int) string {
	c.t.Helper()
	var p Problem
	c.read(w, status, &p)
	if p.Text == "" {
		c.t.Errorf("an error without words: %s", w.Body)
	}
	return p.Text
}

func readAll(t testing.TB, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
