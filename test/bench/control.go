package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// control asks our server how it is doing, over its socket.
type control struct {
	socket string
	http   http.Client
}

func newControl(socket string) *control {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}
	return &control{socket: socket, http: http.Client{Transport: &http.Transport{DialContext: dial}}}
}

func (c *control) close() { c.http.CloseIdleConnections() }

// system is what we read of GET /api/v1/system.
type system struct {
	Backlog  int64            `json:"backlog"`
	Counters map[string]int64 `json:"counters"`
}

func (c *control) system() (system, error) {
	var s system
	return s, c.get("system", &s)
}

// records is how many transfers the ledger holds.
func (c *control) records() (int, error) {
	var s struct{ Transfers int }
	err := c.get("ledger", &s)
	return s.Transfers, err
}

// complete is how many of the newest transfers are judged complete.
func (c *control) complete() (n int, err error) {
	var page struct {
		Transfers []struct{ Verdict, Merged string }
	}
	err = c.get("transfers?limit=100", &page)
	for _, t := range page.Transfers {
		if t.Verdict == "complete" && t.Merged == "" {
			n++
		}
	}
	return n, err
}

// gaps is how many of the newest gaps there are.
func (c *control) gaps() (int, error) {
	var page struct{ Gaps []json.RawMessage }
	err := c.get("gaps?limit=100", &page)
	return len(page.Gaps), err
}

func (c *control) get(what string, into any) error {
	answer, err := c.http.Get("http://localhost/api/v1/" + what)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // it was only read
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the server answered %s", answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

// drain waits until everything recorded is in the ledger. It does nothing for a server
// that records nothing.
func (c *control) drain(ctx context.Context) (time.Duration, error) {
	if c == nil {
		return 0, nil
	}
	start := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		sys, err := c.system()
		if err != nil || sys.Backlog == 0 {
			return time.Since(start), err
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-tick.C:
		}
	}
}

// page is an open live stream, as a browser holds one.
type page struct {
	events atomic.Int64
	cancel context.CancelFunc
	done   chan struct{}
}

func (c *control) open(ctx context.Context) (*page, error) {
	ctx, cancel := context.WithCancel(ctx)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/api/v1/stream?last=100", nil)
	if err != nil {
		cancel()
		return nil, err
	}
	answer, err := c.http.Do(request) //nolint:bodyclose // read closes it, in a goroutine of its own
	if err != nil {
		cancel()
		return nil, err
	}
	p := &page{cancel: cancel, done: make(chan struct{})}
	go p.read(answer)
	return p, nil
}

func (p *page) read(answer *http.Response) {
	defer close(p.done)
	defer func() { _ = answer.Body.Close() }()
	for in := bufio.NewReaderSize(answer.Body, 1<<20); ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		if strings.HasPrefix(line, "data:") {
			p.events.Add(1)
		}
	}
}

func (p *page) close() {
	p.cancel()
	<-p.done
}
