package demo

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
)

// puppet is a client that is moved by hand: it speaks what an act wants, right or wrong.
type puppet struct {
	conn   *net.UDPConn
	server netip.AddrPort
	buf    [2048]byte
}

// newPuppet sends a request; opcode 1 reads, 2 writes (RFC 1350).
func newPuppet(s *Stage, opcode byte, words ...string) (*puppet, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.Server.Addr(), 0)))
	if err != nil {
		return nil, err
	}
	p := &puppet{conn: conn, server: s.Server}
	packet := []byte{0, opcode}
	for _, w := range words {
		packet = append(append(packet, w...), 0)
	}
	return p, p.send(packet...)
}

func (p *puppet) send(packet ...byte) error {
	_, err := p.conn.WriteToUDPAddrPort(packet, p.server)
	return err
}

func (p *puppet) ack(block uint16) error { return p.send(0, 4, byte(block>>8), byte(block)) }

// leave closes its port. Nothing waits to be sent.
func (p *puppet) leave() { _ = p.conn.Close() }

// fail sends an ERROR.
func (p *puppet) fail(code byte, text string) error {
	return p.send(append(append([]byte{0, 5, 0, code}, text...), 0)...)
}

// hear waits for a packet, and from the first one on speaks to the port that sent it.
func (p *puppet) hear() (opcode, block uint16, payload int, err error) {
	if err := p.conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return 0, 0, 0, err
	}
	n, from, err := p.conn.ReadFromUDPAddrPort(p.buf[:])
	if err != nil {
		return 0, 0, 0, err
	}
	p.server = from
	if n < 4 {
		return 0, 0, 0, fmt.Errorf("a packet of %d bytes", n)
	}
	return binary.BigEndian.Uint16(p.buf[:]), binary.BigEndian.Uint16(p.buf[2:]), n - 4, nil
}

// lossy drops every fifth packet that it hears, as a bad link does.
func lossy(_ context.Context, s *Stage) error {
	p, err := newPuppet(s, 1, "image.bin", "octet")
	if err != nil {
		return err
	}
	defer p.leave()
	due := uint16(1)
	for heard := 1; ; heard++ {
		_, block, n, err := p.hear()
		if err != nil {
			return err
		}
		if heard%5 == 0 || block != due {
			continue
		}
		if err := p.ack(block); err != nil {
			return err
		}
		if due++; n < 512 {
			return nil
		}
	}
}

// begin reads the first blocks of a file.
func begin(s *Stage, blocks int) (*puppet, error) {
	p, err := newPuppet(s, 1, "image.bin", "octet")
	if err != nil {
		return nil, err
	}
	for range blocks {
		_, block, _, err := p.hear()
		if err == nil {
			err = p.ack(block)
		}
		if err != nil {
			p.leave()
			return nil, err
		}
	}
	return p, nil
}

func breakOff(_ context.Context, s *Stage) error {
	p, err := begin(s, 3)
	if err != nil {
		return err
	}
	defer p.leave()
	return p.fail(3, "no space on flash")
}

// vanish keeps its port open and says nothing more, until the server gives up.
func vanish(_ context.Context, s *Stage) error {
	p, err := begin(s, 2)
	if err != nil {
		return err
	}
	defer p.leave()
	quiet := time.Now().Add(GiveUp + 500*time.Millisecond)
	for {
		if err := p.conn.SetReadDeadline(quiet); err != nil {
			return err
		}
		if _, _, err := p.conn.ReadFromUDPAddrPort(p.buf[:]); errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func probe(_ context.Context, s *Stage) error {
	p, err := newPuppet(s, 1, "image.bin", "octet", "tsize", "0")
	if err != nil {
		return err
	}
	defer p.leave()
	if _, _, _, err := p.hear(); err != nil {
		return err
	}
	return p.fail(8, "User aborted the transfer")
}

// cut announces more than it sends.
func cut(_ context.Context, s *Stage) error {
	p, err := newPuppet(s, 2, "cut.bin", "octet", "tsize", "5000")
	if err != nil {
		return err
	}
	defer p.leave()
	for block, size := range []int{512, 188} {
		if _, _, _, err := p.hear(); err != nil {
			return err
		}
		if err := p.send(append([]byte{0, 3, 0, byte(block + 1)}, pattern(size)...)...); err != nil {
			return err
		}
	}
	opcode, _, _, err := p.hear()
	if err == nil && opcode != 5 {
		err = errors.New("the cut upload was acknowledged")
	}
	return err
}
