package tftp

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"tallyman/source/tftp/packet"
)

// client speaks TFTP by hand from one port.
type client struct {
	t    *testing.T
	conn *net.UDPConn
	to   netip.AddrPort // the request port
	tid  netip.AddrPort // where the last packet came from
	buf  [70000]byte
}

func (r *rig) client(t *testing.T) *client { return clientAt(t, r.addr, "127.0.0.1") }

func clientAt(t *testing.T, to netip.AddrPort, from string) *client {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0)))
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadBuffer(4 << 20)
	t.Cleanup(func() { conn.Close() })
	return &client{t: t, conn: conn, to: to}
}

// request makes a request packet; options are name, value, name, value.
func request(op packet.Op, name, mode string, options ...string) []byte {
	r := packet.Request{Op: op, Name: []byte(name), ModeName: []byte(mode)}
	for i := 0; i < len(options); i += 2 {
		r.Options = packet.AppendOption(r.Options, options[i], options[i+1])
	}
	return packet.AppendRequest(nil, r)
}

func (c *client) ask(op packet.Op, name string, options ...string) {
	c.t.Helper()
	c.send(c.to, request(op, name, "octet", options...))
}

func (c *client) send(to netip.AddrPort, p []byte) {
	c.t.Helper()
	if _, err := c.conn.WriteToUDPAddrPort(p, to); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) reply(p []byte)   { c.t.Helper(); c.send(c.tid, p) }
func (c *client) ack(block uint16) { c.t.Helper(); c.reply(packet.AppendAck(nil, block)) }
func (c *client) data(block uint16, payload []byte) {
	c.t.Helper()
	c.reply(append(packet.AppendData(nil, block), payload...))
}

// next is the next packet from anywhere.
func (c *client) next() []byte {
	c.t.Helper()
	p, ok := c.within(patience)
	if !ok {
		c.t.Fatal("the server says nothing")
	}
	return p
}

func (c *client) within(d time.Duration) ([]byte, bool) {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(d))
	n, from, err := c.conn.ReadFromUDPAddrPort(c.buf[:])
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, false
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.tid = from
	return bytes.Clone(c.buf[:n]), true
}

// silent fails if anything comes until a packet that the server answers at once
// has been answered: what was sent before would have come before.
func (c *client) silent(why string) {
	c.t.Helper()
	probe := clientAt(c.t, c.to, "127.0.0.1")
	probe.ask(packet.RRQ, "no such file, asked to see the server alive")
	probe.next()
	if p, ok := c.within(time.Millisecond); ok {
		c.t.Errorf("%s: the server says %q", why, p)
	}
}

func (c *client) wantData(block uint16, payload []byte) {
	c.t.Helper()
	p := c.next()
	if got, have, ok := packet.ParseData(p); !ok || got != block || !bytes.Equal(have, payload) {
		c.t.Fatalf("got %.40q of %d bytes, want DATA %d with %d bytes", p, len(p), block, len(payload))
	}
}

func (c *client) wantAck(block uint16) {
	c.t.Helper()
	p := c.next()
	if got, ok := packet.ParseAck(p); !ok || got != block {
		c.t.Fatalf("got %.60q, want ACK %d", p, block)
	}
}

func (c *client) wantError(code packet.Code) string {
	c.t.Helper()
	p := c.next()
	got, text, ok := packet.ParseError(p)
	if !ok || got != code {
		c.t.Fatalf("got %.60q, want ERROR %d", p, code)
	}
	return string(text)
}

func (c *client) wantOACK(options ...string) {
	c.t.Helper()
	p := c.next()
	o, ok := packet.ParseOACK(p)
	if !ok {
		c.t.Fatalf("got %.60q, want OACK", p)
	}
	var got []string
	for name, value := range o.All() {
		got = append(got, strings.ToLower(string(name)), string(value))
	}
	if strings.Join(got, " ") != strings.Join(options, " ") {
		c.t.Fatalf("OACK %q, want %q", got, options)
	}
}

// get downloads a file as a good client does, and fails the test if it cannot.
func (c *client) get(name, mode string, options ...string) []byte {
	c.t.Helper()
	c.send(c.to, request(packet.RRQ, name, mode, options...))
	size, window := 512, 1
	var content []byte
	for block, inWindow := uint16(1), 0; ; {
		p := c.next()
		if o, ok := packet.ParseOACK(p); ok {
			size, window = granted(o)
			c.ack(0)
			continue
		}
		n, payload, ok := packet.ParseData(p)
		if !ok {
			c.t.Fatalf("get %s: got %.60q", name, p)
		}
		if n != block {
			continue
		}
		content = append(content, payload...)
		block++
		inWindow++
		if inWindow == window || len(payload) < size {
			c.ack(n)
			inWindow = 0
		}
		if len(payload) < size {
			return content
		}
	}
}

// upload sends a file as a good client does.
func (c *client) upload(name, mode string, content []byte, options ...string) {
	c.t.Helper()
	c.send(c.to, request(packet.WRQ, name, mode, options...))
	size, window := 512, 1
	if o, ok := packet.ParseOACK(c.next()); ok {
		size, window = granted(o)
	}
	last := len(content)/size + 1
	for acked := 0; acked < last; {
		for block := acked + 1; block <= min(acked+window, last); block++ {
			low := (block - 1) * size
			c.data(uint16(block), content[low:min(low+size, len(content))])
		}
		p := c.next()
		n, ok := packet.ParseAck(p)
		if !ok {
			c.t.Fatalf("put %s: got %.60q", name, p)
		}
		acked += int(n - uint16(acked))
	}
}

func granted(o packet.Options) (size, window int) {
	size, window = 512, 1
	if v, ok := o.Get("blksize"); ok {
		size, _ = strconv.Atoi(string(v))
	}
	if v, ok := o.Get("windowsize"); ok {
		window, _ = strconv.Atoi(string(v))
	}
	return size, window
}
