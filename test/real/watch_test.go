//go:build real

package real

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// record is one transfer as the API gives it: the fields of design section 3 that the tests compare.
type record struct {
	ID     string    `json:"id"`
	Rev    int       `json:"rev"`
	Merged string    `json:"merged"`
	Host   string    `json:"host"`
	Proto  string    `json:"proto"`
	Op     string    `json:"op"`
	Start  time.Time `json:"start"`
	End    time.Time `json:"end"`
	Client struct {
		IP   string `json:"ip"`
		Port uint16 `json:"port"`
	} `json:"client"`
	Server struct {
		IP   string `json:"ip"`
		Port uint16 `json:"port"`
	} `json:"server"`
	File      string   `json:"file"`
	FileRaw   []byte   `json:"file_raw"`
	Path      string   `json:"path"`
	Expected  *int64   `json:"expected"`
	Bytes     *int64   `json:"bytes"`
	SHA256    string   `json:"sha256"`
	Content   string   `json:"content"`
	Verdict   string   `json:"verdict"`
	Reason    string   `json:"reason"`
	Outcome   string   `json:"outcome"`
	Witnesses []string `json:"witnesses"`
	Against   []string `json:"against"`
	Details   details  `json:"details"`
}

// details are the protocol facts that the tests compare.
type details struct {
	Asked       map[string]string `json:"asked"`
	Granted     map[string]string `json:"granted"`
	Mode        string            `json:"mode"`
	Compared    string            `json:"compared"`
	Blksize     int               `json:"blksize"`
	Window      int               `json:"window"`
	Requests    int               `json:"requests"`
	Retransmits int               `json:"retransmits"`
	Duplicates  int               `json:"duplicates"`
	Gaps        int               `json:"gaps"`
	ErrorCode   int               `json:"error_code"`
	Count       int               `json:"count"`
	Search      string            `json:"search"`
}

func (r *record) closed() bool { return r.Verdict != "" && r.Verdict != "active" }

// system is what the server says of itself.
type system struct {
	Backlog  int64            `json:"backlog"`
	Counters map[string]int64 `json:"counters"`
}

// watch follows the live stream of a server by its socket, as the page does, and holds the newest revision of each record.
type watch struct {
	t      testing.TB
	http   *http.Client
	cancel context.CancelFunc

	mu      sync.Mutex
	records map[string]record
	gaps    int
	system  system
	changed chan struct{}
}

func watchSocket(t testing.TB, socket string) *watch {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	w := &watch{t: t, cancel: cancel, records: map[string]record{}, changed: make(chan struct{})}
	w.http = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	t.Cleanup(w.http.CloseIdleConnections)
	body, err := w.open(ctx, "stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	w.load(ctx)
	go w.follow(ctx, body)
	return w
}

func (w *watch) unwatch() { w.cancel() }

func (w *watch) open(ctx context.Context, path string, q url.Values) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/api/v1/"+path+"?"+q.Encode(), http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := w.http.Do(req)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// load reads all records that the server has.
func (w *watch) load(ctx context.Context) {
	q := url.Values{"limit": {"1000"}}
	for {
		var page struct {
			Transfers []record `json:"transfers"`
			Next      string   `json:"next"`
		}
		body, err := w.open(ctx, "transfers", q)
		if err == nil {
			err = json.NewDecoder(body).Decode(&page)
			_ = body.Close()
		}
		if err != nil {
			if ctx.Err() == nil {
				w.t.Errorf("read transfers: %v", err)
			}
			return
		}
		for _, r := range page.Transfers {
			w.take(r)
		}
		if page.Next == "" {
			return
		}
		q.Set("after", page.Next)
	}
}

// follow reads server-sent events (WHATWG HTML, section 9.2) until the stream ends.
func (w *watch) follow(ctx context.Context, body io.ReadCloser) {
	defer body.Close()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 8<<20)
	event := ""
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "event":
			event = value
		case "data":
			w.event(ctx, event, []byte(value))
		}
	}
}

func (w *watch) event(ctx context.Context, event string, data []byte) {
	var err error
	switch event {
	case "transfer":
		var r record
		if err = json.Unmarshal(data, &r); err == nil {
			w.take(r)
		}
	case "gap":
		w.change(func() { w.gaps++ })
	case "system":
		var s system
		if err = json.Unmarshal(data, &s); err == nil {
			w.change(func() { w.system = s })
		}
	case "resync":
		w.load(ctx)
	}
	if err != nil && ctx.Err() == nil { // who leaves gets half a line
		w.t.Errorf("event %s %s: %v", event, data, err)
	}
}

func (w *watch) take(r record) {
	w.change(func() {
		if old, ok := w.records[r.ID]; !ok || old.Rev < r.Rev {
			w.records[r.ID] = r
		}
	})
}

func (w *watch) change(do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	do()
	close(w.changed)
	w.changed = make(chan struct{})
}

// fitting is every visible record that fits, in the order in which they began. It is called under mu.
func (w *watch) fitting(fits func(*record) bool) []record {
	var out []record
	for _, r := range w.records {
		if r.Merged == "" && fits(&r) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b record) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// await waits until n records fit.
func (w *watch) await(n int, fits func(*record) bool) []record {
	w.t.Helper()
	late := time.After(soon)
	for {
		w.mu.Lock()
		found, changed := w.fitting(fits), w.changed
		known := slices.Collect(maps.Values(w.records))
		w.mu.Unlock()
		if len(found) >= n {
			return found
		}
		select {
		case <-changed:
		case <-late:
			if len(known) > 20 {
				known = known[:20]
			}
			w.t.Fatalf("%d of %d records have come; all, or some: %+v", len(found), n, known)
		}
	}
}

// ended waits for n records of a file that are closed.
func (w *watch) ended(n int, op, file string) []record {
	w.t.Helper()
	return w.await(n, func(r *record) bool { return r.Op == op && r.File == file && r.closed() })
}

// awaitSystem waits until what the server says of itself on the stream fits; it says so every few seconds.
func (w *watch) awaitSystem(fits func(system) bool) system {
	w.t.Helper()
	late := time.After(2 * soon)
	for {
		w.mu.Lock()
		now, changed := w.system, w.changed
		w.mu.Unlock()
		if fits(now) {
			return now
		}
		select {
		case <-changed:
		case <-late:
			w.t.Fatalf("the server says of itself %+v", now)
		}
	}
}

// systemNow asks the server how it is doing.
func (w *watch) systemNow() (now system) {
	w.t.Helper()
	body, err := w.open(w.t.Context(), "system", nil)
	if err == nil {
		defer body.Close()
		err = json.NewDecoder(body).Decode(&now)
	}
	if err != nil {
		w.t.Errorf("ask the server how it is doing: %v", err)
	}
	return now
}

func (w *watch) gapCount() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gaps
}
