// Package api asks a running server by its socket, over the same routes that the page uses.
//
// It promises: an answer that is not good is an *Error with the server's own words; a server that cannot be asked is ErrUnreachable; nothing is opened
// before the first question. It leaves to the caller what the answers mean, and who else may be asked when no server runs.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
)

// ErrUnreachable says that the server could not be asked.
var ErrUnreachable = errors.New("ask the server")

// Client asks one server. Its methods may be called by many goroutines.
type Client struct{ http *http.Client }

// Dial returns the client of the server that has the socket.
func Dial(socket string) *Client {
	return &Client{&http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}}
}

// Close lets idle connections go.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Answers says why nobody listens at the socket; nil when somebody does. The error is that of the system: ENOENT, ECONNREFUSED, EACCES.
func Answers(ctx context.Context, socket string) error {
	c, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		if errno, ok := errors.AsType[syscall.Errno](err); ok {
			return errno
		}
		return err
	}
	return c.Close()
}

// Error is what the server answered.
type Error struct {
	Status int
	Text   string `json:"error"`
	Caret  string `json:"caret"`
}

// Error returns the text, and below it a query with a caret at the fault where the text does not show it already.
func (e *Error) Error() string {
	if e.Caret != "" && !strings.Contains(e.Text, e.Caret) {
		return e.Text + "\n" + e.Caret
	}
	return e.Text
}

// Get asks and decodes the answer.
func (c *Client) Get(ctx context.Context, path string, q url.Values, into any) error {
	return c.ask(ctx, http.MethodGet, path, q, into)
}

// Post gives an order and decodes the answer, unless into is nil.
func (c *Client) Post(ctx context.Context, path string, into any) error {
	return c.ask(ctx, http.MethodPost, path, nil, into)
}

func (c *Client) ask(ctx context.Context, method, path string, q url.Values, into any) error {
	body, err := c.Open(ctx, method, path, q)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // it is only read
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(body).Decode(into); err != nil {
		return fmt.Errorf("read the answer to %s: %w", path, err)
	}
	return nil
}

// Open asks, with the path below /api/v1/, and returns the body of a good answer, which the caller closes.
func (c *Client) Open(ctx context.Context, method, path string, q url.Values) (io.ReadCloser, error) {
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
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if resp.StatusCode < 300 {
		return resp.Body, nil
	}
	defer func() { _ = resp.Body.Close() }()
	answer := &Error{Status: resp.StatusCode}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil || answer.Text == "" {
		answer.Text = "the server answered " + resp.Status
	}
	return nil, answer
}
