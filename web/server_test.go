package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"tallyman/web/account"
	"tallyman/web/certificate"
	"tallyman/web/live"
)

// dialSocket is a client of the unix socket.
func dialSocket(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
}

func get(t *testing.T, c *http.Client, url string) (status int, proto, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode, answer.Proto, readAll(t, answer.Body)
}

func TestSocketNeedsNoLoginAndIsClosedToOthers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	s := newServer(t, Config{}, Parts{State: dir, Socket: path})
	if err := s.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	client := dialSocket(path)
	defer client.CloseIdleConnections()
	if status, _, body := get(t, client, "http://any.name/api/v1/system"); status != 200 {
		t.Errorf("%d: %s", status, body)
	}
	if s.URL() != "" || s.Link() != "" || s.Addr().IsValid() {
		t.Error("without a listen address there is a page")
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(path + "*"); len(left) != 0 {
		t.Errorf("the socket stays: %v", left)
	}
}

func TestRunEndsStreamsAndClosesTheDoors(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	s := newServer(t, Config{Listen: "127.0.0.1:0"}, Parts{})
	token, err := s.accounts.AddToken("t", "viewer", begun)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL()+"api/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	begin := time.Now()
	stop()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Errorf("the stream did not end in order: %v", err)
	}
	if err := <-done; err != nil || time.Since(begin) > 4*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
	if c, err := net.Dial("tcp", s.Addr().String()); err == nil {
		c.Close()
		t.Error("the door is open")
	}
}

func TestTakenAddressIsSaid(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := newServer(t, Config{Listen: l.Addr().String()}, Parts{})
	if err := s.Listen(t.Context()); err == nil || !strings.Contains(err.Error(), "web.listen") {
		t.Errorf("got %v", err)
	}
}

func TestDoorWithTLSIsEnteredByItsCertificate(t *testing.T) {
	state := t.TempDir()
	cfg := Config{Listen: "127.0.0.1:0", TLS: "on", Hosts: []string{"tally.example.net"}}
	s := newServer(t, cfg, Parts{State: state})
	run(t, t.Context(), s)
	if !strings.HasPrefix(s.URL(), "https://127.0.0.1:") || !strings.HasPrefix(s.Link(), s.URL()) {
		t.Errorf("url %s, link %s", s.URL(), s.Link())
	}
	text, err := os.ReadFile(filepath.Join(state, certificate.CertFile))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	status, proto, _ := get(t, client, s.URL()+"healthz")
	if status != 200 || proto != "HTTP/2.0" {
		t.Errorf("%d, %s", status, proto)
	}
	block, _ := pem.Decode(text)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "lab-tftp-01", "tally.example.net"} {
		if err := leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
}

func TestGivenCertificateIsUsed(t *testing.T) {
	made := t.TempDir()
	pair, err := certificate.Own(made, []string{"localhost"}, time.Now(), account.ReplaceFile)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Listen: "127.0.0.1:0", TLS: "on", CertFile: filepath.Join(made, "none"), KeyFile: filepath.Join(made, "none")}
	if _, err := New(cfg, Parts{State: t.TempDir(), Feed: live.NewFeed()}); err == nil || !strings.Contains(err.Error(), "web.cert_file") {
		t.Errorf("without the files: %v", err)
	}
	cfg.CertFile, cfg.KeyFile = filepath.Join(made, certificate.CertFile), filepath.Join(made, certificate.KeyFile)
	if s := newServer(t, cfg, Parts{}); s.Fingerprint() != certificate.Fingerprint(pair) {
		t.Errorf("fingerprint %s, want %s", s.Fingerprint(), certificate.Fingerprint(pair))
	}
}

func TestConfigurationErrorsNameTheKey(t *testing.T) {
	if err := (Config{Listen: "127.0.0.1:8420", TLS: "auto"}).Validate(); err != nil {
		t.Error(err)
	}
	err := Config{Listen: "8420", TLS: "yes", CertFile: "x", Hosts: []string{"http://a/"}}.Validate()
	for _, want := range []string{"web.listen", "web.tls", "web.key_file", "web.hosts"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}

func TestTLSIsAutomaticOffLoopback(t *testing.T) {
	for _, c := range []struct {
		listen, tls string
		want        bool
	}{
		{"127.0.0.1:8420", "auto", false},
		{"localhost:8420", "", false},
		{"[::1]:8420", "auto", false},
		{":8420", "auto", true},
		{"0.0.0.0:1", "", true},
		{"10.0.0.1:8420", "off", false},
		{"127.0.0.1:8420", "on", true},
	} {
		if got := (Config{Listen: c.listen, TLS: c.tls}).encrypted(); got != c.want {
			t.Errorf("%s %s: %v", c.listen, c.tls, got)
		}
	}
}

func TestAddressOfTheConnectionIsAnOwnName(t *testing.T) {
	s, _ := withRecords(t, 0)
	c := call(t, s, wide)
	c.host = "10.20.0.5:8420"
	c.get("/healthz", http.StatusMisdirectedRequest, nil)
	local := &net.TCPAddr{IP: net.IPv4(10, 20, 0, 5), Port: 8420}
	inner := c.handler
	c.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local)))
	})
	c.get("/healthz", 200, nil)
	if got := netip.MustParseAddr("10.20.0.5"); local.AddrPort().Addr().Unmap() != got {
		t.Error(got)
	}
}

func TestPageIsServedBuiltOrSaysHowToBuildIt(t *testing.T) {
	s, _ := withRecords(t, 0)
	c := call(t, s, wide)
	s.files = fstest.MapFS{".gitkeep": {}}
	if got := c.problem(c.do("GET", "/", ""), 503); got != "UI not built: run make" {
		t.Errorf("got %q", got)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte("let a = 1"))
	_ = z.Close()
	s.files = fstest.MapFS{"index.html": {Data: []byte("<!doctype html>")}, "assets/app-0123.js.gz": {Data: packed.Bytes()}, "secret.gz": {Data: packed.Bytes()}}
	w := c.get("/?q=x", 200, nil)
	if w.Header().Get("Cache-Control") != "no-cache" || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("index %v", w.Header())
	}
	w = c.get("/assets/app-0123.js", 200, nil)
	if w.Body.String() != "let a = 1" || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/javascript") {
		t.Errorf("plain: %v %q", w.Header(), w.Body)
	}
	w = c.with("Accept-Encoding", "gzip, br").get("/assets/app-0123.js", 200, nil)
	if w.Header().Get("Content-Encoding") != "gzip" || !bytes.Equal(w.Body.Bytes(), packed.Bytes()) {
		t.Errorf("packed: %v", w.Header())
	}
	for _, path := range []string{"/assets/../secret", "/assets/none.js", "/assets/", "/index.html", "/secret"} {
		if got := c.do("GET", path, "").Code; got == 200 {
			t.Errorf("%s is served", path)
		}
	}
	c.problem(c.do("POST", "/", ""), 405)
	c.problem(c.do("DELETE", "/api/v1/transfers", ""), 405)
}
