package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tallyman"
	"tallyman/web/account"
)

// reader is a browser without JavaScript.
func reader(t *testing.T, s *Server, d door) *caller {
	return call(t, s, d).with("Accept", "text/html,*/*;q=0.8")
}

// send sends a form.
func (c *caller) send(path string, status int, fields ...string) http.Header {
	c.t.Helper()
	v := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		v.Set(fields[i], fields[i+1])
	}
	w := c.with("Content-Type", "application/x-www-form-urlencoded").do("POST", path, v.Encode())
	if w.Code != status {
		c.t.Fatalf("%s: status %d, want %d: %s", path, w.Code, status, w.Body)
	}
	return w.Header()
}

func (c *caller) see(path string, status int, words ...string) string {
	c.t.Helper()
	w := c.do("GET", path, "")
	h := w.Header()
	if w.Code != status || h.Get("Content-Type") != "text/html; charset=utf-8" || h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "same-origin" {
		c.t.Fatalf("%s: %d, %v", path, w.Code, h)
	}
	for _, word := range words {
		if !strings.Contains(w.Body.String(), word) {
			c.t.Errorf("%s: no %q in %s", path, word, w.Body)
		}
	}
	return w.Body.String()
}

func TestOneGetsInWithoutJavaScript(t *testing.T) {
	s, _ := withRecords(t, 3)
	c := reader(t, s, loop)
	c.see("/plain", 401, `name="link"`)
	c.send("/plain/login", 403, "link", "guess")
	h := c.send("/plain/login", 303, "link", " "+s.Link()+" ") // people paste the whole link
	if h.Get("Location") != "/plain" {
		t.Errorf("on to %q", h.Get("Location"))
	}
	cookie, _, _ := strings.Cut(h.Get("Set-Cookie"), ";")
	in := c.with("Cookie", cookie)
	text := in.see("/plain", 200, "file-2", "complete (final-ack)", "10.20.0.3", "1,000", "admin")
	if strings.Index(text, "file-2") > strings.Index(text, "file-0") {
		t.Error("the newest does not stand first")
	}
	in.send("/plain/logout", 303)
	in.see("/plain", 401)
}

func TestSetUpWithoutJavaScriptAsksForAPasswordOffLoopback(t *testing.T) {
	s, _ := withRecords(t, 1)
	c := reader(t, s, wide)
	c.see("/plain", 401, `name="link"`, `name="password"`)
	c.send("/plain/login", 400, "link", linkOf(t, s), "password", "short")
	c.send("/plain/login", 303, "link", linkOf(t, s), "password", "correct horse")
	c.see("/plain", 401, `name="name"`)
	c.send("/plain/login", 401, "name", "admin", "password", "wrong horse!")
	c.send("/plain/login", 303, "name", "admin", "password", "correct horse")
	c.send("/plain/login", 401, "name", "nobody", "password", "correct horse")
	if h := c.send("/plain/login", 429, "name", "admin", "password", "correct horse"); h.Get("Retry-After") == "" {
		t.Error("nobody says how long to wait")
	}
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	s, _ := withRecords(t, 0)
	for name, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"} {
		for _, path := range []string{"/plain/login", "/plain/logout"} {
			if w := reader(t, s, loop).with(name, value).with("Content-Type", "application/x-www-form-urlencoded").do("POST", path, "link="+linkOf(t, s)); w.Code != 403 {
				t.Errorf("%s with %s: %d", path, name, w.Code)
			}
		}
	}
	if s.Link() == "" {
		t.Error("another site has used the link up")
	}
	big := reader(t, s, loop).with("Content-Type", "application/x-www-form-urlencoded").do("POST", "/plain/login", "name="+strings.Repeat("x", mostForm))
	if big.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a body without end: %d", big.Code)
	}
}

func TestPlainListPagesAndSaysWhatIsWrongWithAQuery(t *testing.T) {
	s, _ := withRecords(t, 130)
	c := reader(t, s, sock)
	text := c.see("/plain?q=verdict:complete", 200, `value="verdict:complete"`, `rel="next"`)
	_, rest, _ := strings.Cut(text, `<a href="`+"/plain?")
	next, _, _ := strings.Cut(rest, `"`)
	text = c.see("/plain?"+strings.ReplaceAll(next, "&amp;", "&"), 200, "file-0<", `value="verdict:complete"`)
	if strings.Contains(text, "file-30<") || !strings.Contains(text, "file-29<") || strings.Contains(text, `rel="next"`) {
		t.Error("the second page does not go on where the first ended")
	}
	c.see("/plain?q=colour:red", 400, "<pre>colour:red\n^^^^^^</pre>")
}

func TestPlainTransferShowsEvidenceAndWhatIsMissing(t *testing.T) {
	s, m := withRecords(t, 0)
	tr := judged(made(1), tallyman.Unproven, tallyman.DeliveredUnconfirmed)
	tr.Name = "<b>"
	give(t, m, tr)
	c := call(t, s, wide).as(s, account.Viewer).with("Accept", "text/html")
	c.see("/plain/"+tr.ID.String(), 200, "<h1>&lt;b&gt;</h1>", "it is not proven", "Missing: the client", "12:00:01.000000", "<td>server</td>")
	reader(t, s, wide).see("/plain/"+tr.ID.String(), 401)
}

func TestErrorsForPeopleArePagesAndForProgramsJSON(t *testing.T) {
	s, m := withRecords(t, 1)
	c := reader(t, s, sock)
	c.see("/nothing", 404, "<h1>", "there is nothing at /nothing")
	c.see("/plain/nonsense", 400, "no record id")
	m.fail = http.ErrBodyNotAllowed
	c.see("/plain", 500, "its log says why")
	for _, path := range []string{"/api/v1/nothing", "/api/v1/transfers"} {
		if w := c.do("GET", path, ""); !strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
			t.Errorf("%s: %v", path, w.Header())
		}
	}
	if w := call(t, s, sock).do("GET", "/nothing", ""); !strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		t.Errorf("a program gets %v", w.Header())
	}
	if w := c.do("GET", "/plain/style.css", ""); w.Code != 200 || w.Header().Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("style: %d, %v", w.Code, w.Header())
	}
}
