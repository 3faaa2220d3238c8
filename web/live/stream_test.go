package live

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
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

	"github.com/prometheus/client_golang/prometheus"

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

// tune opens a stream of a real server.
func tune(t *testing.T, srv *httptest.Server, last string) *bufio.Reader {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL, nil)
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
		t.Fatal(answer.Status, answer.Header)
	}
	return bufio.NewReader(answer.Body)
}

// onAir serves streams of a feed by HTTP; what a test does not care about is filled in.
func onAir(t *testing.T, f *Feed, s Stream) *httptest.Server {
	t.Helper()
	s = filled(s)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = f.Serve(w, r, s) }))
	t.Cleanup(func() { f.Close(); srv.Close() })
	return srv
}

func filled(s Stream) Stream {
	if s.Ledger == nil {
		s.Ledger = &memory{}
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Allowed == nil {
		s.Allowed = func() error { return nil }
	}
	if s.Patience == 0 {
		s.Patience = 15 * time.Second
	}
	s.System = func() any { return map[string]string{"name": "lab-tftp-01"} }
	s.Match = func(e tallyman.Expr, t *tallyman.Transfer) bool {
		return t.Judgement.Verdict.String() == e.(tallyman.Term).Text
	}
	return s
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
	f := NewFeed()
	r := tune(t, onAir(t, f, Stream{}), "")
	if got := listen(t, r, 1, "system"); !strings.Contains(got[0].data, `"lab-tftp-01"`) {
		t.Errorf("first %v", got)
	}
	give(t, f, made(1), event(1), gap(2))
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
	f := NewFeed()
	srv := onAir(t, f, Stream{})
	r := tune(t, srv, "")
	listen(t, r, 1, "system")
	give(t, f, made(1))
	give(t, f, made(2), made(3))
	got := listen(t, r, 1, "transfer")
	r = tune(t, srv, got[0].id)
	if got := names(listen(t, r, 2, "transfer", "resync")); got != "transfer file-2, transfer file-3" {
		t.Errorf("resumed with %s", got)
	}
}

func TestStreamOfARestartedServerResumesFromTheLedger(t *testing.T) {
	clock := begun.Add(time.Hour)
	now := func() time.Time { return clock }
	m, first := &memory{}, NewFeed()
	srv := onAir(t, first, Stream{Ledger: m, Now: now, Last: 10})
	long := judged(made(1), tallyman.Active, "") // runs since an hour: the place to read from is its start
	give(t, m, long, made(-100))
	give(t, first, made(-100), long)
	r := tune(t, srv, "")
	last := listen(t, r, 2, "transfer")[1].id

	ended := *made(1)
	ended.Rev = 2
	between := made(3500)
	give(t, m, &ended, between, gap(59))
	r = tune(t, onAir(t, NewFeed(), Stream{Ledger: m, Now: now}), last)
	got := listen(t, r, 3, "transfer", "gap", "resync")
	if names(got) != "gap log, transfer file-1, transfer file-3500" || !strings.Contains(got[1].data, `"rev":2`) {
		t.Errorf("resumed with %s", names(got))
	}
}

func TestStreamThatMissedTooMuchIsToldToStartAgain(t *testing.T) {
	m := &memory{}
	for i := range mostResumed + 1 {
		give(t, m, made(i))
	}
	srv := onAir(t, NewFeed(), Stream{Ledger: m})
	for _, id := range []string{fmt.Sprintf("OTHER.5.%d", begun.UnixMicro()), "nonsense", "a.b.c"} {
		listen(t, tune(t, srv, id), 1, "resync")
	}
}

func TestStreamFollowsItsQuery(t *testing.T) {
	f := NewFeed()
	r := tune(t, onAir(t, f, Stream{Where: tallyman.Term{Field: tallyman.FieldVerdict, Text: "active"}}), "")
	listen(t, r, 1, "system")
	running := judged(made(1), tallyman.Active, "")
	give(t, f, running, made(2))
	if got := names(listen(t, r, 1, "transfer", "leave")); got != "transfer file-1" {
		t.Errorf("got %s", got)
	}
	ended := *made(1)
	ended.Rev = 2
	give(t, f, &ended)
	if got := listen(t, r, 1, "transfer", "leave"); got[0].data != fmt.Sprintf(`{"id":%q,"rev":2}`, ended.ID) {
		t.Errorf("got %+v", got)
	}
	merged := *made(5)
	merged.Rev, merged.Merged = 3, ended.ID
	give(t, f, &merged)
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
		f := NewFeed()
		ctx, stop := context.WithCancel(t.Context())
		rec := &recorder{head: http.Header{}, start: time.Now()}
		done := make(chan struct{})
		go func() {
			defer close(done)
			r := httptest.NewRequestWithContext(ctx, "GET", "/", nil)
			if err := f.Serve(rec, r, filled(Stream{})); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}()
		synctest.Wait()
		begin := time.Now()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for i := range 401 { // 200 transfers a second, two seconds long
			give(t, f, made(i))
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
	f := NewFeed()
	srv := onAir(t, f, Stream{Last: 10})
	var all []tallyman.Record
	for rev := range 5 {
		tr := judged(made(1), tallyman.Active, "")
		tr.Rev = uint32(rev + 1)
		all = append(all, tr)
	}
	give(t, f, append(all, made(2))...)
	got := listen(t, tune(t, srv, ""), 2, "transfer")
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
	f := NewFeed()
	s := filled(Stream{Last: 1000, Patience: 50 * time.Millisecond})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = f.Serve(w, r, s) }))
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
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	r := bufio.NewReader(c)
	listen(t, r, 1, "system")
	// More than all buffers on the way hold, less than the ring: a viewer that missed records would be sent a short resync instead.
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := 0; f.Viewers() > 0; i++ {
		for range 100 {
			tr := made(i)
			tr.Details = `{"pad":"` + strings.Repeat("x", 8192) + `"}`
			give(t, f, tr)
		}
		if i > 3000 {
			t.Fatal("the viewer is still there")
		}
		<-tick.C
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(f.Collectors()...)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := 0.0
	for _, family := range families {
		if family.GetName() == "tallyman_web_stream_slow_total" {
			counted = family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	if counted != 1 {
		t.Errorf("it is counted %v times", counted)
	}
	_ = c.Close()
	_, _ = io.Copy(io.Discard, r)
}

func TestStreamsAreBounded(t *testing.T) {
	f := NewFeed()
	for range mostStreams {
		if _, ok := f.subscribe(0); !ok {
			t.Fatal("the bound is lower than it says")
		}
	}
	w := httptest.NewRecorder()
	err := f.Serve(w, httptest.NewRequest("GET", "/", nil), filled(Stream{}))
	if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "close a page") || w.Body.Len() > 0 || len(w.Header()) > 0 {
		t.Errorf("%v, wrote %q", err, w.Body)
	}
}

func TestStreamEndsWhenItIsNoLongerAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loggedOut := errors.New("logged out")
		begin := time.Now()
		err := NewFeed().Serve(&recorder{head: http.Header{}}, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil),
			filled(Stream{Allowed: func() error { return loggedOut }}))
		if d := time.Since(begin); !errors.Is(err, loggedOut) || d > heartbeat {
			t.Errorf("%v after %v", err, d)
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
