//go:build real

package real

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Opcodes of RFC 1350 and RFC 2347.
const (
	opRRQ = iota + 1
	opWRQ
	opDATA
	opACK
	opERROR
	opOACK
)

// device is a TFTP client of our own, in lockstep, with the manners of some device. It shares no code with the product.
type device struct {
	server  netip.AddrPort
	mode    string        // octet or netascii
	options []string      // name, value, name, value
	timer   time.Duration // between two repetitions of a packet
	tries   int           // how often a packet is sent at the most
	deaf    int           // so many of the first replies are not heard
	dally   time.Duration // how long after a read a repeated last DATA is still acknowledged
	step    func(block int) bool
	// step is asked before block is acknowledged (get) or sent (put); false ends the transfer without a word.

	conn     *net.UDPConn
	tid      netip.AddrPort // of the server, once it has answered
	oack     map[string]string
	blksize  int
	repeated int // packets sent again
	answered time.Duration
	buf      []byte
}

// remoteError is an ERROR of the server.
type remoteError struct {
	code int
	text string
}

func (e *remoteError) Error() string { return fmt.Sprintf("ERROR %d %s", e.code, e.text) }

var (
	errSilent  = errors.New("the server is silent")
	errStopped = errors.New("stopped by the test")
)

// newDevice is a client at an address of its own; "" = any.
func newDevice(t testing.TB, server netip.AddrPort, local string) *device {
	t.Helper()
	d := &device{server: server, mode: "octet", timer: time.Second, tries: 8}
	if err := d.open(local); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	return d
}

func (d *device) open(local string) error {
	var at *net.UDPAddr
	if local != "" {
		at = net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(local), 0))
	}
	conn, err := net.ListenUDP("udp4", at)
	d.conn = conn
	return err
}

func (d *device) close() { _ = d.conn.Close() }

func (d *device) port() uint16 { return d.conn.LocalAddr().(*net.UDPAddr).AddrPort().Port() }

func (d *device) request(op byte, name string) []byte {
	d.tid, d.oack, d.blksize, d.repeated, d.answered = netip.AddrPort{}, nil, 512, 0, 0
	return append([]byte{0, op}, strings.Join(append([]string{name, d.mode}, d.options...), "\x00")+"\x00"...)
}

func packet(op byte, block int, payload []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0, op}, uint16(block)), payload...)
}

func blockOf(p []byte) int { return int(binary.BigEndian.Uint16(p[2:])) }

func errorPacket(code int, text string) []byte { return packet(opERROR, code, []byte(text+"\x00")) }

// send sends to the server's TID, or to its request port before it has answered.
func (d *device) send(p []byte) error {
	to := d.tid
	if !to.IsValid() {
		to = d.server
	}
	_, err := d.conn.WriteToUDPAddrPort(p, to)
	return err
}

// receive returns the next packet of the server; nil when there is none by then.
func (d *device) receive(until time.Time) ([]byte, error) {
	if d.buf == nil {
		d.buf = make([]byte, 65536)
	}
	for {
		if err := d.conn.SetReadDeadline(until); err != nil {
			return nil, err
		}
		n, from, err := d.conn.ReadFromUDPAddrPort(d.buf)
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			return nil, nil
		case err != nil:
			return nil, err
		case d.deaf > 0:
			d.deaf--
			continue
		case n < 4, d.tid.IsValid() && from != d.tid:
			continue
		}
		d.tid = from
		return d.buf[:n], nil
	}
}

// exchange sends a packet, again and again, until a packet comes that fits. What does not fit is no reason to send again (RFC 1123, section 4.2.3.1).
func (d *device) exchange(out []byte, fits func(p []byte) bool) ([]byte, error) {
	for try := range d.tries {
		if try > 0 {
			d.repeated++
		}
		if err := d.send(out); err != nil {
			return nil, err
		}
		until := time.Now().Add(d.timer)
		for {
			p, err := d.receive(until)
			if err != nil {
				return nil, err
			}
			if p == nil {
				break
			}
			if p[1] == opERROR {
				return nil, &remoteError{blockOf(p), strings.TrimRight(string(p[4:]), "\x00")}
			}
			if fits(p) {
				return p, nil
			}
		}
	}
	return nil, errSilent
}

// agree takes the options of an OACK.
func (d *device) agree(p []byte) error {
	d.oack = map[string]string{}
	for pair := range slices.Chunk(strings.Split(strings.TrimSuffix(string(p[2:]), "\x00"), "\x00"), 2) {
		if len(pair) != 2 {
			return fmt.Errorf("OACK %q", p)
		}
		d.oack[pair[0]] = pair[1]
	}
	if text, ok := d.oack["blksize"]; ok {
		n, err := strconv.Atoi(text)
		d.blksize = n
		return err
	}
	return nil
}

// get fetches a file.
func (d *device) get(name string) (content []byte, err error) {
	out, began := d.request(opRRQ, name), time.Now()
	for next := 1; ; {
		p, err := d.exchange(out, func(p []byte) bool {
			return p[1] == opDATA && uint16(blockOf(p)) == uint16(next) || p[1] == opOACK && next == 1 && d.oack == nil
		})
		if err != nil {
			return content, err
		}
		if d.answered == 0 {
			d.answered = time.Since(began)
		}
		if p[1] == opOACK {
			if err := d.agree(p); err != nil {
				return nil, err
			}
			out = packet(opACK, 0, nil)
			continue
		}
		content = append(content, p[4:]...)
		if d.step != nil && !d.step(next) {
			return content, errStopped
		}
		out = packet(opACK, next, nil)
		if len(p)-4 < d.blksize {
			return content, d.leave(out)
		}
		next++
	}
}

// leave sends the last ACK, and sends it again whenever the last DATA comes again.
func (d *device) leave(ack []byte) error {
	if err := d.send(ack); err != nil || d.dally == 0 {
		return err
	}
	for until := time.Now().Add(d.dally); ; {
		p, err := d.receive(until)
		if p == nil || err != nil {
			return err
		}
		if p[1] == opDATA && blockOf(p) == blockOf(ack) {
			if err := d.send(ack); err != nil {
				return err
			}
		}
	}
}

// put stores a file.
func (d *device) put(name string, content []byte) error {
	out, began := d.request(opWRQ, name), time.Now()
	for last := 0; ; last++ {
		p, err := d.exchange(out, func(p []byte) bool {
			return p[1] == opACK && uint16(blockOf(p)) == uint16(last) || p[1] == opOACK && last == 0
		})
		if err != nil {
			return err
		}
		if d.answered == 0 {
			d.answered = time.Since(began)
		}
		if p[1] == opOACK {
			if err := d.agree(p); err != nil {
				return err
			}
		}
		at := last * d.blksize
		if at > len(content) {
			return nil
		}
		if d.step != nil && !d.step(last+1) {
			return errStopped
		}
		out = packet(opDATA, last+1, content[at:min(at+d.blksize, len(content))])
	}
}
