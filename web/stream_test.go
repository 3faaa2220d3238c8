package web

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tallyman"
)

// TestStreamOfTheAPIFollowsItsQuery reads a stream through the door, as a page does.
func TestStreamOfTheAPIFollowsItsQuery(t *testing.T) {
	s := newServer(t, Config{}, Parts{})
	srv := httptest.NewServer(s.mux(sock))
	t.Cleanup(func() { s.parts.Feed.Close(); srv.Close() })
	give(t, s.parts.Feed, made(1), judged(made(2), tallyman.Failed, tallyman.ClientSilent))
	r, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+"/api/v1/stream?last=10&q=verdict:failed", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	system := false
	for in := bufio.NewScanner(answer.Body); in.Scan(); {
		system = system || strings.Contains(in.Text(), `"lab-tftp-01"`)
		if strings.Contains(in.Text(), `"file":"file-1"`) {
			t.Error("the stream does not follow its query")
		}
		if strings.Contains(in.Text(), `"file":"file-2"`) {
			break
		}
	}
	if !system {
		t.Error("the stream does not begin with the system")
	}
}

func TestHeadOfAStreamEnds(t *testing.T) {
	s := newServer(t, Config{}, Parts{})
	w := call(t, s, sock).do("HEAD", "/api/v1/stream", "")
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/event-stream" || s.parts.Feed.Viewers() != 0 {
		t.Errorf("%d, %v, %d viewers", w.Code, w.Header(), s.parts.Feed.Viewers())
	}
}

// viewer takes everything.
type viewer struct{ head http.Header }

func (v viewer) Header() http.Header         { return v.head }
func (v viewer) WriteHeader(int)             {}
func (v viewer) Flush()                      {}
func (v viewer) Write(b []byte) (int, error) { return len(b), nil }

func TestStreamEndsWithItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{}, Parts{})
		cookie, err := s.accounts.Begin("admin", s.now())
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(context.WithValue(t.Context(), doorKey{}, loop), "GET", "/api/v1/stream", nil)
		r.AddCookie(&http.Cookie{Name: s.cookieName(loop), Value: cookie})
		done := make(chan error, 1)
		go func() { done <- s.getStream(viewer{http.Header{}}, r) }()
		synctest.Wait()
		if err := s.accounts.End(cookie); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		<-done
		if d := time.Since(begin); d == 0 || d > 5*time.Second {
			t.Errorf("it ended after %v", d)
		}
	})
}
