package web

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tallyman/web/account"
)

const jsonType = "application/json"

// linkOf is the secret of the set-up link.
func linkOf(t *testing.T, s *Server) string {
	t.Helper()
	_, text, ok := strings.Cut(s.Link(), "#setup=")
	if !ok {
		t.Fatalf("no link: %q", s.Link())
	}
	return text
}

func cookieOf(t *testing.T, w *httptest.ResponseRecorder) *http.Cookie {
	t.Helper()
	all := w.Result().Cookies()
	if len(all) != 1 {
		t.Fatalf("%d cookies", len(all))
	}
	return all[0]
}

func (c *caller) withCookie(k *http.Cookie) *caller { return c.with("Cookie", k.Name+"="+k.Value) }

func TestSetUpLinkLogsInOnceWithoutAPasswordOnLoopback(t *testing.T) {
	s, _ := withRecords(t, 0)
	c := call(t, s, loop).with("Content-Type", jsonType)
	if got := c.problem(c.do("GET", "/api/v1/transfers", ""), 401); !strings.Contains(got, "set-up link") {
		t.Errorf("got %q", got)
	}
	body := `{"link":"` + linkOf(t, s) + `"}`
	k := cookieOf(t, c.post("/api/v1/login", body, 200, nil))
	if !k.HttpOnly || k.SameSite != http.SameSiteStrictMode || k.Secure || k.Path != "/" {
		t.Errorf("cookie %+v", k)
	}
	c.withCookie(k).get("/api/v1/transfers", 200, nil)
	if got := c.problem(c.do("POST", "/api/v1/login", body), 403); !strings.Contains(got, "used up") || s.Link() != "" {
		t.Errorf("a second time: %q, link %q", got, s.Link())
	}
	var who account.Person
	c.withCookie(k).get("/api/v1/login", 200, &who)
	if who != (account.Person{Name: "admin", Role: account.Admin}) {
		t.Errorf("logged in as %+v", who)
	}
	c.withCookie(k).post("/api/v1/logout", "{}", 200, nil)
	c.withCookie(k).get("/api/v1/transfers", 401, nil)
}

func TestOffLoopbackTheLinkAsksForAPassword(t *testing.T) {
	s, _ := withRecords(t, 0)
	c := call(t, s, wide).with("Content-Type", jsonType)
	link := linkOf(t, s)
	var p Problem
	c.post("/api/v1/login", `{"link":"`+link+`"}`, 400, &p)
	if p.Needs != "password" {
		t.Errorf("got %+v", p)
	}
	if got := c.problem(c.do("POST", "/api/v1/login", `{"link":"`+link+`","password":"short"}`), 400); !strings.Contains(got, "take 10") {
		t.Errorf("got %q", got)
	}
	k := cookieOf(t, c.post("/api/v1/login", `{"link":"`+link+`","password":"correct horse"}`, 200, nil))
	c.withCookie(k).get("/api/v1/transfers", 200, nil)
	c.post("/api/v1/login", `{"name":"admin","password":"wrong horse!"}`, 401, nil)
	c.post("/api/v1/login", `{"name":"admin","password":"correct horse"}`, 200, nil)
	if later := newServer(t, Config{Listen: ":0"}, Parts{State: s.parts.State}); later.Link() != "" {
		t.Error("a new link is made although there is a password")
	}
}

func TestSessionWithoutPasswordIsGoodOnLoopbackOnly(t *testing.T) {
	s, _ := withRecords(t, 0)
	k := cookieOf(t, call(t, s, loop).with("Content-Type", jsonType).post("/api/v1/login", `{"link":"`+linkOf(t, s)+`"}`, 200, nil))
	call(t, s, loop).withCookie(k).get("/api/v1/transfers", 200, nil)
	call(t, s, wide).withCookie(k).get("/api/v1/transfers", 401, nil)
}

func TestUnderTLSTheCookieIsSecureAndBoundToTheHost(t *testing.T) {
	s, _ := withRecords(t, 0)
	c := call(t, s, door{loopback: true, tls: true}).with("Content-Type", jsonType)
	k := cookieOf(t, c.post("/api/v1/login", `{"link":"`+linkOf(t, s)+`"}`, 200, nil))
	if !k.Secure || !strings.HasPrefix(k.Name, "__Host-") {
		t.Errorf("cookie %+v", k)
	}
}

func TestOrdersOfOtherSitesAreRefused(t *testing.T) {
	o := &orders{}
	s := newServer(t, Config{Listen: "127.0.0.1:0"}, Parts{Orders: o})
	c := call(t, s, loop).with("Content-Type", jsonType)
	k := cookieOf(t, c.post("/api/v1/login", `{"link":"`+linkOf(t, s)+`"}`, 200, nil))
	mine := call(t, s, loop).withCookie(k)
	for name, who := range map[string]*caller{
		"a form":                 mine.with("Content-Type", "application/x-www-form-urlencoded"),
		"a form as text":         mine.with("Content-Type", "text/plain"),
		"no type":                mine,
		"JSON from another site": mine.with("Content-Type", jsonType).with("Sec-Fetch-Site", "cross-site"),
		"another port":           mine.with("Content-Type", jsonType).with("Sec-Fetch-Site", "same-site"),
		"another origin":         mine.with("Content-Type", jsonType).with("Origin", "http://evil.example"),
		"the header, other site": mine.with("X-Tallyman", "1").with("Sec-Fetch-Site", "cross-site"),
	} {
		for _, path := range []string{"/api/v1/reload", "/api/v1/stop", "/api/v1/logout"} {
			if w := who.do("POST", path, "{}"); w.Code != 403 {
				t.Errorf("%s from %s: %d", path, name, w.Code)
			}
		}
	}
	if o.reloaded+o.stopped != 0 {
		t.Error("an order of another site was obeyed")
	}
	mine.with("Content-Type", jsonType).with("Sec-Fetch-Site", "same-origin").post("/api/v1/reload", "{}", 200, nil)
	mine.with("X-Tallyman", "1").post("/api/v1/stop", "", 202, nil)
	if o.reloaded != 1 || o.stopped != 1 {
		t.Errorf("own orders: %+v", o)
	}
}

func TestRolesDecideWhoGivesOrders(t *testing.T) {
	o := &orders{}
	s := newServer(t, Config{Listen: "127.0.0.1:0"}, Parts{Orders: o})
	c := call(t, s, wide)
	viewer, operator := c.as(s, account.Viewer), c.as(s, account.Operator)
	viewer.get("/api/v1/system", 200, nil)
	if got := viewer.problem(viewer.do("POST", "/api/v1/reload", ""), 403); !strings.Contains(got, "operator") {
		t.Errorf("got %q", got)
	}
	var a struct {
		NeedRestart []string `json:"need_restart"`
	}
	operator.post("/api/v1/reload", "", 200, &a)
	if len(a.NeedRestart) != 1 || a.NeedRestart[0] != "web.listen" {
		t.Errorf("got %+v", a)
	}
	o.err = fmt.Errorf("tallyman.yaml:3:5: unknown key")
	if got := operator.problem(operator.do("POST", "/api/v1/reload", ""), 422); !strings.Contains(got, "the old configuration stands") || !strings.Contains(got, ":3:5") {
		t.Errorf("got %q", got)
	}
	operator.problem(operator.do("POST", "/api/v1/stop", ""), 409)
	c.with("Authorization", "Bearer guess").get("/api/v1/system", 401, nil)
	call(t, s, sock).post("/api/v1/reload", "", 422, nil)
}

func TestEveryRouteButTheOpenOnesAsksWhoIsThere(t *testing.T) {
	s, _ := withRecords(t, 1)
	c := call(t, s, loop).with("Content-Type", jsonType)
	for _, rt := range s.routes() {
		if rt.path == "/api/v1/login" || rt.path == "/api/v1/logout" {
			continue
		}
		path := strings.Replace(rt.path, "{id}", made(0).ID.String(), 1)
		if got := c.do(rt.method, path, "{}").Code; (got == 401) == (rt.needs == open) {
			t.Errorf("%s %s: %d", rt.method, rt.path, got)
		}
	}
}

func TestOnlyOwnNamesAreAnswered(t *testing.T) {
	s := newServer(t, Config{Listen: "127.0.0.1:0", Hosts: []string{"Tally.Example.net"}}, Parts{})
	c := call(t, s, loop)
	check := func(host string, want int) {
		t.Helper()
		c.host = host
		if got := c.do("GET", "/healthz", "").Code; got != want {
			t.Errorf("Host %q: %d, want %d", host, got, want)
		}
	}
	for _, host := range []string{"localhost", "localhost:8420", "127.0.0.1", "127.0.0.2:99", "[::1]:8420", "lab-tftp-01", "LAB-TFTP-01:8420", "tally.example.net", "tally.example.net."} {
		check(host, 200)
	}
	for _, host := range []string{"", "evil.example", "evil.example:8420", "10.0.0.1:8420", "0.0.0.0:8420", "localhost.evil.example", "[fe80::1]", "169.254.169.254", "127.0.0.1.nip.io"} {
		check(host, http.StatusMisdirectedRequest)
	}
	if err := s.SetHosts([]string{"evil.example"}); err != nil {
		t.Fatal(err)
	}
	check("evil.example", 200)
	check("tally.example.net", http.StatusMisdirectedRequest)
	if err := s.SetHosts([]string{"*"}); err == nil {
		t.Error("a star is taken for a name")
	}
	call(t, s, sock).get("/healthz", 200, nil)
}

func TestEveryAnswerCarriesThePolicy(t *testing.T) {
	s, _ := withRecords(t, 1)
	for _, target := range []string{"/", "/api/v1/transfers", "/assets/none.js", "/api/v1/nothing"} {
		h := call(t, s, loop).do("GET", target, "").Header()
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'self'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
		} {
			if !strings.HasPrefix(h.Get(name), want) {
				t.Errorf("%s: %s is %q", target, name, h.Get(name))
			}
		}
		if csp := h.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("policy %q", csp)
		}
	}
}

func TestTriesToLogInAreLimited(t *testing.T) {
	now := begun
	s := newServer(t, Config{Listen: "127.0.0.1:0"}, Parts{Now: func() time.Time { return now }})
	if err := s.accounts.SetPassword("admin", account.Admin, "correct horse"); err != nil {
		t.Fatal(err)
	}
	c := call(t, s, wide).with("Content-Type", jsonType)
	right, wrong := `{"name":"admin","password":"correct horse"}`, `{"name":"admin","password":"wrong horse!"}`
	for range 5 {
		c.post("/api/v1/login", wrong, 401, nil)
	}
	wait, err := strconv.Atoi(c.post("/api/v1/login", right, 429, nil).Header().Get("Retry-After"))
	if err != nil || wait < 1 {
		t.Errorf("nobody says how long to wait: %v", err)
	}
	c.from = "10.1.1.1:50000"
	c.post("/api/v1/login", right, 200, nil)
	c.from = "127.0.0.1:50000"
	now = now.Add(time.Duration(wait) * time.Second)
	c.post("/api/v1/login", right, 200, nil)
}

func TestPasswordsAndTokensAreNeverLogged(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, Config{Listen: "127.0.0.1:0"}, Parts{})
	s.log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if err := s.accounts.SetPassword("admin", account.Admin, "canary-password"); err != nil {
		t.Fatal(err)
	}
	c := call(t, s, loop).with("Content-Type", jsonType)
	k := cookieOf(t, c.post("/api/v1/login", `{"name":"admin","password":"canary-password"}`, 200, nil))
	c.post("/api/v1/login", `{"name":"admin","password":"canary-wrong"}`, 401, nil)
	c.post("/api/v1/login", `{"link":"canary-link"}`, 403, nil)
	c.with("Authorization", "Bearer canary-token").get("/api/v1/system", 401, nil)
	c.post("/api/v1/login", `{"name":"canary-body`, 400, nil)
	if strings.Contains(log.String(), "canary") || strings.Contains(log.String(), k.Value) || !strings.Contains(log.String(), "login refused") {
		t.Error(log.String())
	}
}

func TestBadLoginBodiesAreRefused(t *testing.T) {
	s, _ := withRecords(t, 0)
	c := call(t, s, loop).with("Content-Type", jsonType)
	for body, want := range map[string]int{`{"named":"x"}`: 400, `[]`: 400, ``: 400, `{"name":"` + strings.Repeat("x", 1<<17) + `"}`: 413} {
		c.from = fmt.Sprintf("10.0.0.%d:1", len(body)%250)
		c.problem(c.do("POST", "/api/v1/login", body), want)
	}
}

func TestLoginSurvivesARestart(t *testing.T) {
	s, _ := withRecords(t, 0)
	k := cookieOf(t, call(t, s, loop).with("Content-Type", jsonType).post("/api/v1/login", `{"link":"`+linkOf(t, s)+`"}`, 200, nil))
	again := newServer(t, Config{Listen: "127.0.0.1:0"}, Parts{State: s.parts.State})
	call(t, again, loop).withCookie(k).get("/api/v1/transfers", 200, nil)
	if info, err := os.Stat(filepath.Join(s.parts.State, account.File)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}
