package web

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tallyman"
)

// message is one server-sent event.
type message struct{ name, id, data string }

// listen reads events until it has n of the kinds that are wanted, and returns them.
func listen(t *testing.T, r *bufio.Reader, n int, kinds ...string) []message {
	t.Helper()
	var got []message
	var m message
	for len(got) < n {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("after %d of %d events: %v", len(got), n, err)
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch field {
		case "event":
			m.name = value
		case "id":
			m.id = value
		case "data":
			m.data = value
		case "":
			for _, k := range kinds {
				if m.name == k {
					got = append(got, m)
				}
			}
			m = message{}
		}
	}
	return got
}

// tune opens the stream of a real server.
func tune(t *testing.T, srv *httptest.Server, target, last string) *bufio.Reader {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s: %s", answer.Status, readAll(t, answer.Body))
	}
	return bufio.NewReader(answer.Body)
}

// onAir is a server whose socket door is reachable by HTTP.
func onAir(t *testing.T, p Parts) (*Server, *httptest.Server) {
	t.Helper()
	s := newServer(t, Config{}, p)
	srv := httptest.NewServer(s.mux(sock))
	t.Cleanup(func() { s.parts.Feed.Close(); srv.Close() })
	return s, srv
}

func names(ms []message) string {
	var out []string
	for _, m := range ms {
		var x struct{ File, Witness, Kind string }
		_ = json.Unmarshal([]byte(m.data), &x)
		out = append(out, m.name+" "+x.File+x.Witness)
	}
	return strings.Join(out, ", ")
}

func TestStreamCarriesTransfersEventsGapsAndTheSystem(t *testing.T) {
	s, srv := onAir(t, Parts{})
	r := tune(t, srv, "/api/v1/stream", "")
	if got := listen(t, r, 1, "system"); !strings.Contains(got[0].data, `"lab-tftp-01"`) {
		t.Errorf("first %v", got)
	}
	give(t, s.parts.Feed, made(1), event(1), gap(2))
	got := listen(t, r, 3, "transfer", "event", "gap")
	if names(got) != "transfer file-1, event pipe, gap log" {
		t.Errorf("got %s", names(got))
	}
	if strings.Contains(got[0].data, `"evidence"`) {
		t.Error("a stream carries evidence")
	}
	for _, m := range got {
		if m.id == "" || !json.Valid([]byte(m.data)) {
			t.Errorf("%+v", m)
		}
	}
}

func TestStreamResumesFromTheRing(t *testing.T) {
	s, srv := onAir(t, Parts{})
	r := tune(t, srv, "/api/v1/stream", "")
	listen(t, r, 1, "system")
	give(t, s.parts.Feed, made(1))
	give(t, s.parts.Feed, made(2), made(3))
	got := listen(t, r, 1, "transfer")
	r = tune(t, srv, "/api/v1/stream", got[0].id)
	if got := names(listen(t, r, 2, "transfer", "resync")); got != "transfer file-2, transfer file-3" {
		t.Errorf("resumed with %s", got)
	}
}

func TestStreamOfARestartedServerResumesFromTheLedger(t *testing.T) {
	clock := begun.Add(time.Hour)
	now := func() time.Time { return clock }
	m := newMemory()
	first, srv := onAir(t, Parts{Ledger: m, Now: now})
	long := judged(made(1), tallyman.Active, "") // runs since an hour: the place to read from is its start
	give(t, m, long, made(-100))
	give(t, first.parts.Feed, made(-100), long)
	r := tune(t, srv, "/api/v1/stream?last=10", "")
	last := listen(t, r, 2, "transfer")[1].id

	ended := *made(1)
	ended.Rev = 2
	between := made(3500)
	give(t, m, &ended, between, gap(59))
	_, srv = onAir(t, Parts{Ledger: m, Now: now})
	r = tune(t, srv, "/api/v1/stream", last)
	got := listen(t, r, 3, "transfer", "gap", "resync")
	if names(got) != "gap log, transfer file-1, transfer file-3500" || !strings.Contains(got[1].data, `"rev":2`) {
		t.Errorf("resumed with %s", names(got))
	}
}

func TestStreamThatMissedTooMuchIsToldToStartAgain(t *testing.T) {
	m := newMemory()
	for i := range mostResumed + 1 {
		give(t, m, made(i))
	}
	_, srv := onAir(t, Parts{Ledger: m})
	for _, id := range []string{fmt.Sprintf("OTHER.5.%d", begun.UnixMicro()), "nonsense", "a.b.c"} {
		listen(t, tune(t, srv, "/api/v1/stream", id), 1, "resync")
	}
}

func TestStreamFollowsItsQuery(t *testing.T) {
	s, srv := onAir(t, Parts{})
	r := tune(t, srv, "/api/v1/stream?q=verdict:active", "")
	listen(t, r, 1, "system")
	running := judged(made(1), tallyman.Active, "")
	give(t, s.parts.Feed, running, made(2))
	if got := names(listen(t, r, 1, "transfer", "leave")); got != "transfer file-1" {
		t.Errorf("got %s", got)
	}
	ended := *made(1)
	ended.Rev = 2
	give(t, s.parts.Feed, &ended)
	if got := listen(t, r, 1, "transfer", "leave"); got[0].data != fmt.Sprintf(`{"id":%q,"rev":2}`, ended.ID) {
		t.Errorf("got %+v", got)
	}
	merged := *made(5)
	merged.Rev, merged.Merged = 3, ended.ID
	give(t, s.parts.Feed, &merged)
	if got := listen(t, r, 1, "transfer", "leave"); got[0].name != "transfer" || !strings.Contains(got[0].data, `"merged"`) {
		t.Errorf("a united record: %+v", got)
	}
}

// recorder is a viewer that takes everything at once and notes when.
type recorder struct {
	mu    sync.Mutex
	head  http.Header
	took  []string
	times []time.Time
	start time.Time
}

func (r *recorder) Header() http.Header { return r.head }
func (r *recorder) WriteHeader(int)     {}
func (r *recorder) Flush()              {}
func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if strings.Contains(string(b), "event: transfer") {
		r.took = append(r.took, string(b))
		r.times = append(r.times, time.Now())
	}
	return len(b), nil
}

func TestFirstRecordComesAtOnceThenAtMostFourBatchesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{}, Parts{})
		ctx, stop := context.WithCancel(t.Context())
		rec := &recorder{head: http.Header{}, start: time.Now()}
		done := make(chan struct{})
		go func() {
			defer close(done)
			r := httptest.NewRequestWithContext(context.WithValue(ctx, doorKey{}, sock), "GET", "/api/v1/stream", nil)
			if err := s.getStream(rec, r); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		begin := time.Now()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for i := range 401 { // 200 transfers a second, two seconds long
			give(t, s.parts.Feed, made(i))
			synctest.Wait()
			<-tick.C
		}
		stop()
		<-done
		if len(rec.times) < 8 || len(rec.times) > 10 {
			t.Errorf("%d batches in two seconds", len(rec.times))
		}
		if late := rec.times[0].Sub(begin); late != 0 {
			t.Errorf("the first record came after %v", late)
		}
		for i := 1; i < len(rec.times); i++ {
			if d := rec.times[i].Sub(rec.times[i-1]); d < pace {
				t.Errorf("batches %v apart", d)
			}
		}
		if n := strings.Count(strings.Join(rec.took, ""), "event: transfer"); n < 390 {
			t.Errorf("%d of 401 transfers came", n)
		}
	})
}

func TestBatchHoldsTheNewestRevisionOnly(t *testing.T) {
	s, srv := onAir(t, Parts{})
	var all []tallyman.Record
	for rev := range 5 {
		tr := judged(made(1), tallyman.Active, "")
		tr.Rev = uint32(rev + 1)
		all = append(all, tr)
	}
	give(t, s.parts.Feed, append(all, made(2))...)
	got := listen(t, tune(t, srv, "/api/v1/stream?last=10", ""), 2, "transfer")
	if names(got) != "transfer file-1, transfer file-2" || !strings.Contains(got[0].data, `"rev":5`) {
		t.Errorf("got %s", names(got))
	}
}

func TestWritingNeverWaitsForAViewerAndASlowOneStartsAgain(t *testing.T) {
	f := NewFeed()
	sub, ok := f.subscribe(0)
	if !ok {
		t.Fatal("no place for one viewer")
	}
	for i := range 3 * ringSize {
		give(t, f, made(i))
	}
	batch, _, lost := f.take(sub)
	if !lost || len(batch) != 0 {
		t.Errorf("lost %v, %d records", lost, len(batch))
	}
	give(t, f, made(1), made(2))
	if batch, _, lost := f.take(sub); lost || len(batch) != 2 {
		t.Errorf("afterwards: lost %v, %d records", lost, len(batch))
	}
}

func TestViewerThatTakesNothingIsDisconnectedAndCounted(t *testing.T) {
	s := newServer(t, Config{}, Parts{})
	s.patience = 50 * time.Millisecond
	srv := httptest.NewUnstartedServer(s.mux(sock))
	srv.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		_ = c.(*net.TCPConn).SetWriteBuffer(4096)
		return ctx
	}
	srv.Start()
	t.Cleanup(srv.Close)
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.(*net.TCPConn).SetReadBuffer(4096)
	fmt.Fprintf(c, "GET /api/v1/stream?last=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
	r := bufio.NewReader(c)
	listen(t, r, 1, "system")
	// More than all buffers on the way hold, less than the ring: a viewer that missed records would be sent a short resync instead.
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := 0; s.parts.Feed.viewers() > 0; i++ {
		for range 100 {
			tr := made(i)
			tr.Details = `{"pad":"` + strings.Repeat("x", 8192) + `"}`
			give(t, s.parts.Feed, tr)
		}
		if i > 3000 {
			t.Fatal("the viewer is still there")
		}
		<-tick.C
	}
	text := call(t, s, sock).get("/metrics", 200, nil).Body.String()
	if !strings.Contains(text, "tallyman_web_stream_slow_total 1\n") {
		t.Error("it is not counted")
	}
	_ = c.Close()
	_, _ = io.Copy(io.Discard, r)
}

func TestStreamsAreBounded(t *testing.T) {
	s, _ := onAir(t, Parts{})
	for range mostStreams {
		if _, ok := s.parts.Feed.subscribe(0); !ok {
			t.Fatal("the bound is lower than it says")
		}
	}
	c := call(t, s, sock)
	if got := c.problem(c.do("GET", "/api/v1/stream", ""), 503); !strings.Contains(got, "close a page") {
		t.Errorf("got %q", got)
	}
}

func TestHeadOfAStreamEnds(t *testing.T) {
	s, srv := onAir(t, Parts{})
	answer, err := http.Head(srv.URL + "/api/v1/stream")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.Header.Get("Content-Type") != "text/event-stream" || s.parts.Feed.viewers() != 0 {
		t.Errorf("%v, %d viewers", answer.Header, s.parts.Feed.viewers())
	}
}

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
		go func() { done <- s.getStream(&recorder{head: http.Header{}}, r) }()
		synctest.Wait()
		if err := s.accounts.End(cookie); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		<-done
		if d := time.Since(begin); d > heartbeat {
			t.Errorf("it ended after %v", d)
		}
	})
}

func TestManyWritersAndViewersShareTheFeed(t *testing.T) {
	f := NewFeed()
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range 300 {
				give(t, f, judged(made(1000*w+i), tallyman.Active, ""))
			}
		})
		all.Go(func() {
			sub, _ := f.subscribe(10)
			defer f.unsubscribe(sub)
			for range 100 {
				batch, _, _ := f.take(sub)
				for _, e := range batch {
					if _, err := e.encoded(); err != nil {
						t.Error(err)
					}
				}
				f.since(begun)
				f.rewind(sub, f.boot, 5)
			}
		})
	}
	all.Wait()
	if f.next != 1201 {
		t.Errorf("%d entries", f.next-1)
	}
}
