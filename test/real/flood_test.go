//go:build real

package real

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// forger sends UDP packets whose source address is made up (raw(7): the sender writes the IP header).
type forger struct {
	t  testing.TB
	fd int
	to netip.AddrPort
}

func (p *pair) forger(to netip.AddrPort) *forger {
	p.t.Helper()
	f := &forger{t: p.t, to: to}
	inside(p.t, p.clients, func() {
		var err error
		if f.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW); err != nil {
			p.t.Fatal(err)
		}
	})
	p.t.Cleanup(func() { _ = unix.Close(f.fd) })
	return f
}

// send sends one payload as if from the address. The kernel fills in the IP checksum; a UDP checksum of 0 is none (RFC 768).
func (f *forger) send(from netip.AddrPort, payload []byte) {
	b := make([]byte, 28, 28+len(payload))
	b[0], b[8], b[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(b[2:], uint16(28+len(payload)))
	copy(b[12:], from.Addr().AsSlice())
	copy(b[16:], f.to.Addr().AsSlice())
	binary.BigEndian.PutUint16(b[20:], from.Port())
	binary.BigEndian.PutUint16(b[22:], f.to.Port())
	binary.BigEndian.PutUint16(b[24:], uint16(8+len(payload)))
	err := unix.Sendto(f.fd, append(b, payload...), 0, &unix.SockaddrInet4{Addr: f.to.Addr().As4()})
	if err != nil && err != unix.ENOBUFS {
		f.t.Errorf("send a forged packet: %v", err)
	}
}

// half opens n TCP connections to a port, each from another address, and goes on with none (RFC 9293, section 3.1).
func (f *forger) half(n, first int) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := range n {
		if i%250 == 0 {
			<-tick.C
		}
		b := make([]byte, 40)
		b[0], b[8], b[9] = 0x45, 64, unix.IPPROTO_TCP
		binary.BigEndian.PutUint16(b[2:], 40)
		binary.BigEndian.PutUint32(b[12:], uint32(10)<<24|1<<23|uint32(first+i))
		copy(b[16:], f.to.Addr().AsSlice())
		binary.BigEndian.PutUint16(b[20:], uint16(1024+i%60000))
		binary.BigEndian.PutUint16(b[22:], f.to.Port())
		binary.BigEndian.PutUint32(b[24:], uint32(i))
		b[32], b[33], b[34] = 5<<4, 2, 0xff // SYN
		sum := uint32(unix.IPPROTO_TCP + 20)
		for at := 12; at < 40; at += 2 {
			sum += uint32(binary.BigEndian.Uint16(b[at:]))
		}
		for sum > 0xffff {
			sum = sum>>16 + sum&0xffff
		}
		binary.BigEndian.PutUint16(b[36:], ^uint16(sum))
		if err := unix.Sendto(f.fd, b, 0, &unix.SockaddrInet4{Addr: f.to.Addr().As4()}); err != nil && err != unix.ENOBUFS {
			f.t.Errorf("send a forged packet: %v", err)
		}
	}
}

// flood sends n read requests for a file, each from another address of 10.128.0.0/9, about as fast as the server can read them: what its socket
// throws away proves nothing.
func (f *forger) flood(n, first int, name string) {
	request := []byte("\x00\x01" + name + "\x00octet\x00")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := range n {
		if i%250 == 0 {
			<-tick.C
		}
		host := uint32(10)<<24 | 1<<23 | uint32(first+i)
		f.send(netip.AddrPortFrom(netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, host))), uint16(1024+i%60000)), request)
	}
}

// memory is the resident memory of a process in bytes (proc(5)), 0 for one that has ended.
func memory(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(b), "VmRSS:")
	words := strings.Fields(after)
	if len(words) == 0 {
		return 0
	}
	kb, _ := strconv.ParseInt(words[0], 10, 64)
	return kb << 10
}

// gauge looks at the memory of a process again and again, and returns a function that stops and tells the most that it saw.
func gauge(t testing.TB, pid int) (most func() int64) {
	stop, done := make(chan struct{}), make(chan int64, 1)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		peak := int64(0)
		for {
			select {
			case <-stop:
				done <- peak
				return
			case <-tick.C:
				peak = max(peak, memory(pid))
			}
		}
	}()
	most = sync.OnceValue(func() int64 { close(stop); return <-done })
	t.Cleanup(func() { most() })
	return most
}

func TestAFloodOfForgedRequestsCostsNoMemoryAndShutsNobodyOut(t *testing.T) {
	p := newPair(t, "flood")
	s := p.serve("give_up: 10s")
	command(t, "ip", "-n", p.servers, "route", "add", "default", "via", p.client.String())
	content := noise(1, 20_000)
	s.file("boot.bin", content)
	var peaks []int64
	before := int64(0)
	waves := []struct {
		name   string
		forged int
	}{{"boot.bin", 100_000}, {"boot.bin", 100_000}, {"boot.bin", 100_000}, {"missing.bin", 50_000}}
	for i, wave := range waves {
		f, most := p.forger(s.addr), gauge(t, s.pid())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			f.flood(wave.forged, i*100_000, wave.name)
		}()
		served := serveMeanwhile(t, p, s, content, ended)
		peaks = append(peaks, most())
		if served < 100 {
			t.Errorf("%d real clients were served", served)
		}
		requests := s.systemNow().Counters["tftp_requests_total"]
		t.Logf("%d forged requests for %s, %d requests read: %d real clients served meanwhile, memory up to %d MiB",
			wave.forged, wave.name, requests-before, served, peaks[i]>>20)
		if requests-before < int64(wave.forged)/2 {
			t.Errorf("only %d requests have come", requests-before)
		}
		before = requests
	}
	if grown := peaks[2] - peaks[1]; grown > 24<<20 {
		t.Errorf("the third wave of requests took %d MiB more than the second", grown>>20)
	}
	if peaks[3] > 256<<20 { // each refusal is a record: the ledger works on them
		t.Errorf("requests for a missing file took %d MiB", peaks[2]>>20)
	}
}

// serveMeanwhile lets four real clients fetch a file again and again until the flood has ended, and counts the transfers.
func serveMeanwhile(t *testing.T, p *pair, s *server, content []byte, ended <-chan struct{}) (served int) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				d := p.device(s) // from a new port: what comes late belongs to no other transfer
				b, err := d.get("boot.bin")
				d.close()
				if err != nil || !bytes.Equal(b, content) {
					t.Errorf("a real client gets %d bytes, %v", len(b), err)
				}
				mu.Lock()
				served++
				mu.Unlock()
				select {
				case <-ended:
					return
				default:
				}
			}
		})
	}
	all.Wait()
	return served
}
