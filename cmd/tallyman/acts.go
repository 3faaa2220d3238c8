package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"tallyman"
	client "tallyman/client/tftp"
)

// acts are the scenes of the demo, in the order in which they are played.
var acts = []act{
	{"A client fetches a file", fetch("hello.txt", client.Request{Plain: true}), []wanted{{"hello.txt", tallyman.Complete, tallyman.FinalAck}}},
	{
		"A switch fetches 8 MiB of firmware, 16 blocks at a time", fetch("firmware.bin", client.Request{BlockSize: 1428, Window: 16}),
		[]wanted{{"firmware.bin", tallyman.Complete, tallyman.FinalAck}},
	},
	{"A router stores its configuration", store("router-confg", 3000), []wanted{{"router-confg", tallyman.Complete, tallyman.Stored}}},
	{"It stores it again: the old version is kept", store("router-confg", 3100), []wanted{{"router-confg", tallyman.Complete, tallyman.Stored}}},
	{"The network loses every fifth packet", lossy, []wanted{{"image.bin", tallyman.Complete, tallyman.FinalAck}}},
	{"A client breaks off in the middle", breakOff, []wanted{{"image.bin", tallyman.Aborted, tallyman.ClientError}}},
	{"A boot ROM asks for a size and wants no content", probe, []wanted{{"image.bin", tallyman.Probe, tallyman.SizeProbe}}},
	{"A client falls silent in the middle", vanish, []wanted{{"image.bin", tallyman.Failed, tallyman.ClientSilent}}},
	{"A client announces 5,000 bytes and sends 700", cut, []wanted{{"cut.bin", tallyman.Failed, tallyman.Truncated}}},
	{"The disk is full", fill, []wanted{{"tiny/dump.bin", tallyman.Failed, tallyman.DiskFull}}},
	{"Somebody asks for a file that is not there", refusedFetch("firmware.bni"), []wanted{{"firmware.bni", tallyman.Refused, tallyman.NotFound}}},
	{"Somebody tries to leave the folder", refusedFetch("../../etc/passwd"), []wanted{{"../../etc/passwd", tallyman.Refused, tallyman.BadRequest}}},
	{"A PXE client looks for its configuration until it finds one", search, []wanted{
		{"pxelinux.cfg/01-88-99-aa-bb-cc-dd", tallyman.Refused, tallyman.NotFound},
		{"pxelinux.cfg/C0A8025B", tallyman.Refused, tallyman.NotFound},
		{"pxelinux.cfg/default", tallyman.Complete, tallyman.FinalAck},
	}},
}

// fetch gets a file with the product's own client.
func fetch(name string, how client.Request) func(context.Context, *stage) error {
	return func(ctx context.Context, s *stage) error {
		r := s.request(name)
		r.Plain, r.BlockSize, r.Window = how.Plain, how.BlockSize, how.Window
		_, err := client.Get(ctx, r, io.Discard, nil)
		return err
	}
}

func store(name string, size int) func(context.Context, *stage) error {
	return func(ctx context.Context, s *stage) error {
		_, err := client.Put(ctx, s.request(name), content(size), int64(size), nil)
		return err
	}
}

// refusedFetch gets a file that the server must refuse.
func refusedFetch(name string) func(context.Context, *stage) error {
	return func(ctx context.Context, s *stage) error {
		_, err := client.Get(ctx, s.request(name), io.Discard, nil)
		if _, told := errors.AsType[*client.Failure](err); !told {
			return fmt.Errorf("“%s” was not refused: %w", name, err)
		}
		return nil
	}
}

func search(ctx context.Context, s *stage) error {
	for _, name := range []string{"pxelinux.cfg/01-88-99-aa-bb-cc-dd", "pxelinux.cfg/C0A8025B"} {
		if err := refusedFetch(name)(ctx, s); err != nil {
			return err
		}
	}
	return fetch("pxelinux.cfg/default", client.Request{Plain: true})(ctx, s)
}

// fill stores more than the folder takes.
func fill(ctx context.Context, s *stage) error {
	_, err := client.Put(ctx, s.request("tiny/dump.bin"), content(200_000), -1, nil)
	if _, told := errors.AsType[*client.Failure](err); !told {
		return fmt.Errorf("the full disk was not told: %w", err)
	}
	return nil
}

// puppet is a client that is moved by hand: it speaks what an act wants, right or wrong.
type puppet struct {
	conn   *net.UDPConn
	server netip.AddrPort
	buf    [2048]byte
}

// newPuppet sends a request; opcode 1 reads, 2 writes (RFC 1350).
func newPuppet(s *stage, opcode byte, words ...string) (*puppet, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.server.Addr(), 0)))
	if err != nil {
		return nil, err
	}
	p := &puppet{conn: conn, server: s.server}
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
func lossy(_ context.Context, s *stage) error {
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
func begin(s *stage, blocks int) (*puppet, error) {
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

func breakOff(_ context.Context, s *stage) error {
	p, err := begin(s, 3)
	if err != nil {
		return err
	}
	defer p.leave()
	return p.fail(3, "no space on flash")
}

// vanish keeps its port open and says nothing more, until the server gives up.
func vanish(_ context.Context, s *stage) error {
	p, err := begin(s, 2)
	if err != nil {
		return err
	}
	defer p.leave()
	quiet := time.Now().Add(demoGiveUp + 500*time.Millisecond)
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

func probe(_ context.Context, s *stage) error {
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
func cut(_ context.Context, s *stage) error {
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
