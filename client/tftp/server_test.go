package tftp

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// server is a lockstep TFTP server on loopback with octet mode and the options blksize and tsize: as much as the client needs to be tried on
// real sockets. It shares no code with the client's machines.
type server struct {
	addr  netip.AddrPort
	port  *net.UDPConn
	tasks sync.WaitGroup

	mu       sync.Mutex
	files    map[string]string
	requests []string              // as they came
	refuse   map[string]string     // what a request that contains the key is answered with
	lose     func(packet int) bool // which packets of a transfer never leave
}

func serve(t *testing.T, host string) *server {
	t.Helper()
	port, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(net.JoinHostPort(host, "0"))))
	if err != nil {
		t.Fatal(err)
	}
	s := &server{port: port, addr: netip.MustParseAddrPort(port.LocalAddr().String()), files: map[string]string{}, refuse: map[string]string{}}
	s.tasks.Go(func() {
		buffer := make([]byte, 1<<16)
		for {
			n, from, err := port.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			request := string(buffer[:n])
			s.mu.Lock()
			s.requests = append(s.requests, request)
			s.mu.Unlock()
			s.tasks.Go(func() { s.answer(from, request) })
		}
	})
	t.Cleanup(func() { _ = port.Close(); s.tasks.Wait() })
	return s
}

// locked runs f while no transfer runs.
func (s *server) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// stored returns the file f.
func (s *server) stored() (text string) {
	s.locked(func() { text = s.files["f"] })
	return text
}

func (s *server) store(text string) { s.locked(func() { s.files["f"] = text }) }

// heard returns the requests.
func (s *server) heard() (requests []string) {
	s.locked(func() { requests = s.requests })
	return requests
}

func (s *server) request() Request {
	return Request{Host: s.addr.Addr().String(), Port: s.addr.Port(), Name: "f", GiveUp: 5 * time.Second}
}

func (s *server) answer(client netip.AddrPort, request string) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.addr.Addr(), 0)))
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	s.mu.Lock()
	defer s.mu.Unlock()
	p := peer{conn: conn, client: client, lose: s.lose}
	for word, reply := range s.refuse {
		if strings.Contains(request, word) {
			p.send(encode(reply))
			return
		}
	}
	fields := strings.Split(request[2:], "\x00")
	block, oack := 512, []byte{0, 6}
	for i := 2; i+1 < len(fields); i += 2 {
		if fields[i] == "blksize" {
			block, _ = strconv.Atoi(fields[i+1])
			oack = append(oack, "blksize\x00"+fields[i+1]+"\x00"...)
		}
	}
	if len(oack) == 2 {
		oack = nil
	}
	if request[1] == 1 {
		p.give(s.files[fields[0]], block, oack)
	} else if text, ok := p.take(block, oack); ok {
		s.files[fields[0]] = text
	}
}

// peer is one transfer of the server.
type peer struct {
	conn   *net.UDPConn
	client netip.AddrPort
	lose   func(int) bool
	count  int
}

func (p *peer) send(b []byte) {
	if p.count++; p.lose == nil || !p.lose(p.count) {
		_, _ = p.conn.WriteToUDPAddrPort(b, p.client)
	}
}

// ask sends until the answer is of that opcode and block.
func (p *peer) ask(b []byte, op byte, block uint16) ([]byte, bool) {
	buffer := make([]byte, 1<<16)
	for range 50 {
		p.send(b)
		_ = p.conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		for {
			n, _, err := p.conn.ReadFromUDPAddrPort(buffer)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil || n < 4 || buffer[1] == 5 {
				return nil, false
			}
			if buffer[1] == op && binary.BigEndian.Uint16(buffer[2:]) == block {
				return buffer[4:n], true
			}
		}
	}
	return nil, false
}

func (p *peer) give(text string, block int, oack []byte) {
	ok := true
	if oack != nil {
		_, ok = p.ask(oack, 4, 0)
	}
	for n := uint16(1); ok; n++ {
		part := text[:min(block, len(text))]
		text = text[len(part):]
		if _, ok = p.ask(append([]byte{0, 3, byte(n >> 8), byte(n)}, part...), 4, n); len(part) < block {
			return
		}
	}
}

func (p *peer) take(block int, oack []byte) (text string, ok bool) {
	reply := oack
	if reply == nil {
		reply = []byte{0, 4, 0, 0}
	}
	for n := uint16(1); ; n++ {
		part, ok := p.ask(reply, 3, n)
		if !ok {
			return "", false
		}
		text, reply = text+string(part), []byte{0, 4, byte(n >> 8), byte(n)}
		if len(part) < block {
			p.send(reply)
			return text, true
		}
	}
}
