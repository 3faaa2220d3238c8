package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"tallyman"
)

// api asks a server by its socket; where none runs, the ledger is opened read-only behind the same API.
type api struct {
	client *http.Client
	close  func()
}

// reach connects to the running server of the state folder.
func (p *program) reach(ctx context.Context) (*api, error) {
	state, err := p.stateFolder()
	if err != nil {
		return nil, err
	}
	path := socketPath(state)
	if err := answers(ctx, path); errors.Is(err, fs.ErrPermission) {
		return nil, &coded{exitUnreachable, fmt.Errorf("the socket %s may not be opened by this user (%w): run the command as root, or as the user that the server runs as", path, err)}
	} else if err != nil {
		return nil, &coded{exitUnreachable, fmt.Errorf("no server runs on the state folder %s (%w): start one with tallyman serve, or name another folder with --state", state, err)}
	}
	return dialSocket(path), nil
}

// reachOrRead connects to the running server, or reads the ledger without one and says so.
func (p *program) reachOrRead(ctx context.Context) (*api, error) {
	a, err := p.reach(ctx)
	if err == nil || errors.Is(err, fs.ErrPermission) {
		return a, err
	}
	state, serr := p.stateFolder()
	if serr != nil {
		return nil, serr
	}
	file := filepath.Join(state, ledgerFile)
	if _, serr := os.Stat(file); errors.Is(serr, fs.ErrNotExist) {
		return nil, err
	}
	fmt.Fprintf(p.stderr, "tallyman: no server runs: reading the ledger in %s\n", state)
	return readAlone(ctx, state)
}

// answers reports whether somebody listens at the socket.
func answers(ctx context.Context, path string) error {
	c, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		if errno, ok := errors.AsType[syscall.Errno](err); ok {
			return errno
		}
		return err
	}
	return c.Close()
}

func dialSocket(path string) *api {
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	return &api{client: &http.Client{Transport: t}, close: t.CloseIdleConnections}
}

// apiError is what the server answered.
type apiError struct {
	Status int
	Text   string `json:"error"`
	Caret  string `json:"caret"`
}

func (e *apiError) Error() string {
	if e.Caret != "" && !strings.Contains(e.Text, e.Caret) {
		return e.Text + "\n" + e.Caret
	}
	return e.Text
}

// open asks and returns the body of a good answer.
func (a *api) open(ctx context.Context, method, path string, q url.Values) (io.ReadCloser, error) {
	u := "http://localhost/api/v1/" + path
	if len(q) > 0 {
		u += "?" + q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, http.NoBody)
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, &coded{exitUnreachable, fmt.Errorf("ask the server: %w", err)}
	}
	if resp.StatusCode < 300 {
		return resp.Body, nil
	}
	defer func() { _ = resp.Body.Close() }() // it is only read
	problem := &apiError{Status: resp.StatusCode}
	if err := json.NewDecoder(resp.Body).Decode(problem); err != nil || problem.Text == "" {
		problem.Text = "the server answered " + resp.Status
	}
	if resp.StatusCode == http.StatusBadRequest {
		return nil, &coded{exitUsage, problem}
	}
	return nil, problem
}

// get asks and decodes the answer.
func (a *api) get(ctx context.Context, path string, q url.Values, into any) error {
	return a.ask(ctx, http.MethodGet, path, q, into)
}

func (a *api) ask(ctx context.Context, method, path string, q url.Values, into any) error {
	body, err := a.open(ctx, method, path, q)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(body).Decode(into); err != nil {
		return fmt.Errorf("read the answer to %s: %w", path, err)
	}
	return nil
}

// page is one page of a list of transfers.
type page struct {
	Transfers []*tallyman.Transfer `json:"transfers"`
	Next      string               `json:"next"`
}
