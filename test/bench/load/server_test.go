package load

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// server is a small TFTP server with windows and faults, the other side of each test.
type server struct {
	t        *testing.T
	conn     *net.UDPConn
	block    int                 // largest blksize granted
	window   int                 // largest windowsize granted
	options  bool                // answers options at all
	patience time.Duration       // before the server repeats what it sent
	drop     func(p []byte) bool // packets of the server that never leave
	lose     func(p []byte) bool // packets of the client that never arrive
	mu       sync.Mutex
	files    map[string][]byte
	sent     map[uint16]int // how often each DATA block went out
	ended    chan struct{}  // one for each transfer that is over
}

func start(t *testing.T) *server {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	none := func([]byte) bool { return false }
	s := &server{
		t: t, conn: conn, block: maxBlock, window: 64, options: true, patience: time.Minute, drop: none, lose: none,
		files: map[string][]byte{}, sent: map[uint16]int{}, ended: make(chan struct{}, 1<<16),
	}
	t.Cleanup(func() { conn.Close() })
	return s
}

func (s *server) run() netip.AddrPort {
	go func() {
		p := make([]byte, 2048)
		for {
			n, from, err := s.conn.ReadFromUDP(p)
			if err != nil {
				return
			}
			if !s.lose(p[:n]) {
				go s.serve(bytes.Clone(p[:n]), from)
			}
		}
	}()
	return s.conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// peer is one transfer as the server sees it.
type peer struct {
	*server
	conn   *net.UDPConn
	buffer []byte
}

func (p *peer) send(b []byte) {
	if b[1] == opData {
		p.mu.Lock()
		p.sent[binary.BigEndian.Uint16(b[2:])]++
		p.mu.Unlock()
	}
	if !p.drop(b) {
		p.conn.Write(b)
	}
}

// receive returns the next packet until the one after it, or nil after silence.
func (p *peer) receive() []byte {
	for {
		p.conn.SetReadDeadline(time.Now().Add(p.patience))
		n, err := p.conn.Read(p.buffer)
		if err != nil {
			return nil
		}
		if !p.lose(p.buffer[:n]) {
			return p.buffer[:n]
		}
	}
}

func (s *server) serve(request []byte, from *net.UDPAddr) {
	conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, from)
	if err != nil {
		s.t.Error(err)
		return
	}
	defer conn.Close()
	defer func() { s.ended <- struct{}{} }()
	p := &peer{s, conn, make([]byte, maxBlock+header)}
	fields := strings.Split(string(request[2:]), "\x00")
	block, window, oack := s.grant(fields[2:])
	s.mu.Lock()
	file, found := s.files[fields[0]]
	s.mu.Unlock()
	switch {
	case request[1] == opWrite:
		p.take(fields[0], block, window, oack)
	case !found:
		p.send(append([]byte{0, opError, 0, 1}, "no such file\x00"...))
	default:
		p.give(file, block, window, oack)
	}
}

func (s *server) grant(fields []string) (block, window int, oack []byte) {
	block, window = 512, 1
	for i := 0; s.options && i+1 < len(fields); i += 2 {
		n, _ := strconv.Atoi(fields[i+1])
		switch fields[i] {
		case "blksize":
			n = min(n, s.block)
			block = n
		case "windowsize":
			n = min(n, s.window)
			window = n
		}
		oack = append(oack, fields[i]+"\x00"+strconv.Itoa(n)+"\x00"...)
	}
	if oack != nil {
		oack = append([]byte{0, opOptions}, oack...)
	}
	return block, window, oack
}

func (p *peer) give(file []byte, block, window int, oack []byte) {
	if oack != nil {
		for p.send(oack); p.receive() == nil; {
			p.send(oack)
		}
	}
	last := len(file)/block + 1
	for base, silent, due := 0, 0, true; base < last && silent < 50; {
		for n := base + 1; due && n <= min(base+window, last); n++ {
			content := file[(n-1)*block : min(n*block, len(file))]
			p.send(append([]byte{0, opData, byte(n >> 8), byte(n)}, content...))
		}
		ack := p.receive()
		switch {
		case ack == nil:
			silent++
			due = true
		case ack[1] == opError:
			return
		default:
			ahead := int(int16(binary.BigEndian.Uint16(ack[2:]) - uint16(base)))
			due = ahead > 0 || ahead == 0 && p.patience == time.Minute // RFC 1123 section 4.2.3.1: where a timer repeats, a duplicate ACK does not
			base += max(ahead, 0)
		}
	}
}

func (p *peer) take(name string, block, window int, oack []byte) {
	reply := oack
	if reply == nil {
		reply = []byte{0, opAck, 0, 0}
	}
	p.send(reply)
	var content []byte
	next, run, silent, asked := uint16(1), 0, 0, false
	for silent < 50 {
		data := p.receive()
		if data == nil {
			silent++
			continue
		}
		if data[1] != opData {
			return
		}
		silent = 0
		ahead := int16(binary.BigEndian.Uint16(data[2:]) - next)
		due := ahead == 0
		last := due && len(data)-header < block
		if due {
			content = append(content, data[header:]...)
			next++
			run++
			asked = false
		}
		if last || run == window || ahead == -1 || ahead > 0 && !asked {
			run, asked = 0, ahead > 0
			p.send([]byte{0, opAck, byte((next - 1) >> 8), byte(next - 1)})
		}
		if last {
			p.mu.Lock()
			p.files[name] = content
			p.mu.Unlock()
			return
		}
	}
}

// touchable is a file whose times a test can watch.
func touchable(t *testing.T) string {
	path := t.TempDir() + "/file"
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
