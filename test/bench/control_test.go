package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// answering is a server at a socket whose backlog falls by one with each question.
func answering(t *testing.T, backlog int64) *control {
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var left atomic.Int64
	left.Store(backlog)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/system", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"backlog":%d,"counters":{"spool_syncs_total":7},"later":{"more":1}}`, max(left.Add(-1), 0))
	})
	far := httptest.NewUnstartedServer(mux)
	far.Listener.Close()
	far.Listener = listener
	far.Start()
	t.Cleanup(far.Close)
	return newControl(path)
}

func TestClockRunsUntilTheBacklogIsEmpty(t *testing.T) {
	c := answering(t, 4)
	defer c.close()
	s := server{control: c}
	if took, err := s.drain(t.Context()); err != nil || took <= 0 {
		t.Errorf("%v, %v", took, err)
	}
	if sys, err := c.system(); err != nil || sys.Backlog != 0 || sys.Counters["spool_syncs_total"] != 7 {
		t.Errorf("%+v, %v", sys, err)
	}
}

func TestServerThatRecordsNothingHasNothingToDrain(t *testing.T) {
	var s server
	if took, err := s.drain(t.Context()); took != 0 || err != nil {
		t.Errorf("%v, %v", took, err)
	}
}

func TestServerThatIsGoneIsNotDrained(t *testing.T) {
	s := server{control: newControl(filepath.Join(t.TempDir(), "none"))}
	if _, err := s.drain(t.Context()); err == nil {
		t.Error("no error")
	}
}
