package api_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"syscall"
	"testing"

	"tallyman/client/api"
)

// serve answers at a socket of its own.
func serve(t *testing.T, answer http.HandlerFunc) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: answer}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return path
}

func TestQuestionAndOrderReachTheirRoutes(t *testing.T) {
	c := api.Dial(serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"said":%q}`, r.Method+" "+r.URL.String()+" "+r.Header.Get("Content-Type"))
	}))
	defer c.Close()
	var got struct{ Said string }
	if err := c.Get(t.Context(), "transfers", url.Values{"q": {"verdict:failed a&b"}}, &got); err != nil || got.Said != "GET /api/v1/transfers?q=verdict%3Afailed+a%26b " {
		t.Errorf("%+v, %v", got, err)
	}
	if err := c.Post(t.Context(), "reload", &got); err != nil || got.Said != "POST /api/v1/reload application/json" {
		t.Errorf("%+v, %v", got, err)
	}
	if err := c.Post(t.Context(), "stop", nil); err != nil {
		t.Error(err)
	}
	if err := c.Get(t.Context(), "stats", nil, new([]int)); err == nil {
		t.Error("an answer of another shape was taken")
	}
}

func TestBadAnswerIsAnErrorInTheWordsOfTheServer(t *testing.T) {
	body := ""
	c := api.Dial(serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprint(w, body)
	}))
	defer c.Close()
	f := func(answer, want string) {
		t.Helper()
		body = answer
		err := c.Get(t.Context(), "transfers", nil, nil)
		if e, ok := errors.AsType[*api.Error](err); !ok || e.Status != 400 || e.Error() != want {
			t.Errorf("%q: %v, want %q", answer, err, want)
		}
	}
	f(`{"error":"colour is no field","caret":"colour:red\n^^^^^^"}`, "colour is no field\ncolour:red\n^^^^^^")
	f(`{"error":"colour is no field:\na\n^","caret":"a\n^"}`, "colour is no field:\na\n^")
	f(`<html>`, "the server answered 400 Bad Request")
	f(``, "the server answered 400 Bad Request")
}

func TestServerThatIsGoneIsUnreachable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if err := api.Answers(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	c := api.Dial(path)
	defer c.Close()
	if err := c.Get(t.Context(), "system", nil, nil); !errors.Is(err, api.ErrUnreachable) || !errors.Is(err, syscall.ENOENT) {
		t.Errorf("%v", err)
	}
	if err := api.Answers(t.Context(), serve(t, nil)); err != nil {
		t.Errorf("somebody listens: %v", err)
	}
}
