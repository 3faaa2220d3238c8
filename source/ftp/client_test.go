package ftp

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// client speaks FTP line by line, as well and as badly as a test wants.
type client struct {
	t    testing.TB
	tcp  *net.TCPConn
	conn net.Conn
	in   *bufio.Reader
	tls  *tls.Config
}

func (r *rig) dial() *client {
	r.t.Helper()
	c := connect(r.t, r.addr)
	c.want(220)
	return c
}

func connect(t testing.TB, addr string) *client {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &client{t: t, tcp: conn.(*net.TCPConn), conn: conn, in: bufio.NewReader(conn)}
}

// login is a session of tally's in binary.
func (r *rig) login() *client {
	r.t.Helper()
	c := r.dial()
	c.as("tally")
	return c
}

func (c *client) as(user string) {
	c.t.Helper()
	c.cmd(331, "USER "+user)
	c.cmd(230, "PASS secret")
	c.cmd(200, "TYPE I")
}

func (c *client) send(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
		c.t.Fatal(err)
	}
}

// reply reads one reply.
func (c *client) reply() (code int, text string) {
	c.t.Helper()
	var all strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			c.t.Fatalf("no reply but %v after %q", err, all.String())
		}
		all.WriteString(line)
		if len(line) > 3 && line[3] == ' ' {
			if code, err := strconv.Atoi(line[:3]); err == nil {
				return code, all.String()
			}
		}
	}
}

func (c *client) want(code int) string {
	c.t.Helper()
	got, text := c.reply()
	if got != code {
		c.t.Fatalf("the reply is %q, not %d", text, code)
	}
	return text
}

func (c *client) cmd(code int, line string) string {
	c.t.Helper()
	c.send(line)
	got, text := c.reply()
	if got != code {
		c.t.Fatalf("%s: the reply is %q, not %d", line, text, code)
	}
	return text
}

// data opens a passive data connection.
func (c *client) data() *net.TCPConn {
	c.t.Helper()
	conn, err := net.DialTimeout("tcp", c.passive(), patience)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn.(*net.TCPConn)
}

// passive is where the server waits.
func (c *client) passive() string {
	c.t.Helper()
	text := c.cmd(229, "EPSV")
	var port int
	_, at, _ := strings.Cut(text, "(|||")
	if _, err := fmt.Sscanf(at, "%d|)", &port); err != nil {
		c.t.Fatalf("%q: %v", text, err)
	}
	host, _, _ := net.SplitHostPort(c.tcp.RemoteAddr().String())
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// get fetches in the clear.
func (c *client) get(line string) string {
	c.t.Helper()
	d := c.data()
	c.cmd(150, line)
	b, err := io.ReadAll(d)
	if err != nil {
		c.t.Fatal(err)
	}
	_ = d.Close()
	c.want(226)
	return string(b)
}

// put stores in the clear, and returns the code of the final reply.
func (c *client) put(line, content string) int {
	c.t.Helper()
	d := c.data()
	c.cmd(150, line)
	if _, err := io.WriteString(d, content); err != nil {
		c.t.Fatal(err)
	}
	_ = d.Close()
	code, _ := c.reply()
	return code
}
