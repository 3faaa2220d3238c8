//go:build real

package real

import (
	"bufio"
	"encoding/binary"
	"io"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	wire "tallyman/source/sftp/packet"
)

// sftpClient says one request after the other, and whether it was answered as it should be.
type sftpClient struct {
	conn *ssh.Client
	out  io.Writer
	in   *bufio.Reader
}

func openSFTP(t testing.TB, at netip.AddrPort, user, password string) *sftpClient {
	t.Helper()
	conn, err := ssh.Dial("tcp", at.String(), &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.Password(password)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: soon,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	stuck := time.AfterFunc(3*soon, func() { _ = conn.Close() })
	t.Cleanup(func() { stuck.Stop() })
	ch, requests, err := conn.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(requests)
	if ok, err := ch.SendRequest("subsystem", true, ssh.Marshal(struct{ S string }{"sftp"})); !ok || err != nil {
		t.Fatalf("no subsystem: %v", err)
	}
	c := &sftpClient{conn: conn, out: ch, in: bufio.NewReader(ch)}
	if _, ok := c.ask(wire.Request{Type: wire.Init, ID: 3}, wire.Version); !ok {
		t.Fatal("no version")
	}
	return c
}

func (c *sftpClient) close() { _ = c.conn.Close() }

func (c *sftpClient) ask(q wire.Request, want byte) (body []byte, ok bool) {
	if _, err := c.out.Write(q.Append(nil)); err != nil {
		return nil, false
	}
	var head [4]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return nil, false
	}
	body = make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(c.in, body); err != nil || len(body) < 9 || body[0] != want {
		return nil, want == wire.Version && err == nil
	}
	return body, true
}

func (c *sftpClient) well(q wire.Request) bool {
	body, ok := c.ask(q, wire.Status)
	return ok && wire.Code(binary.BigEndian.Uint32(body[5:])) == wire.OK
}

// create opens a file for writing; "" when that is refused.
func (c *sftpClient) create(name string) (handle string) {
	body, ok := c.ask(wire.Request{Type: wire.Open, ID: 1, Path: name, Flags: wire.FlagWrite | wire.FlagCreate | wire.FlagTruncate}, wire.Handle)
	if !ok {
		return ""
	}
	return string(body[9:])
}

func (c *sftpClient) write(handle string, at int, part []byte) bool {
	return c.well(wire.Request{Type: wire.Write, ID: 2, Handle: handle, Offset: uint64(at), Data: part})
}

func (c *sftpClient) shut(handle string) bool {
	return c.well(wire.Request{Type: wire.Close, ID: 3, Handle: handle})
}

// put stores a file, and reports whether that was acknowledged.
func (c *sftpClient) put(name string, content []byte) bool {
	h := c.create(name)
	if h == "" {
		return false
	}
	for at := 0; at < len(content); at += 20_000 {
		if !c.write(h, at, content[at:min(at+20_000, len(content))]) {
			return false
		}
	}
	return c.shut(h)
}
