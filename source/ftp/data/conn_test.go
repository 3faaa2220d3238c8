package data

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// soon bounds each wait.
const soon = 20 * time.Second

// pair is both ends of a data connection on loopback.
func pair(t *testing.T) (ours, theirs *net.TCPConn) {
	t.Helper()
	here := netip.MustParseAddr("127.0.0.1")
	p, err := Listen(t.Context(), here, here, Range{}, func(who netip.AddrPort) { t.Errorf("%s is a stranger", who) })
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if theirs, err = Dial(t.Context(), here, netip.AddrPortFrom(here, p.Number()), soon); err != nil {
		t.Fatal(err)
	}
	if ours, err = p.Wait(t.Context(), soon); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ours.Close(); _ = theirs.Close() })
	_ = theirs.SetDeadline(time.Now().Add(soon))
	return ours, theirs
}

func noise(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(p)
	return p
}

// guarded is a pair under TLS.
func guarded(t *testing.T, version uint16) (c *Conn, peer *tls.Conn, tcp *net.TCPConn) {
	t.Helper()
	https := httptest.NewTLSServer(nil) // it has a certificate
	cfg := &tls.Config{Certificates: https.TLS.Certificates, MinVersion: tls.VersionTLS12}
	https.Close()
	ours, theirs := pair(t)
	peer = tls.Client(theirs, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
	shaken := make(chan error, 1)
	go func() { shaken <- peer.Handshake() }()
	c, err := Guard(t.Context(), ours, Bound(cfg), soon)
	if err = errors.Join(err, <-shaken); err != nil {
		t.Fatal(err)
	}
	return c, peer, theirs
}

// What was read ahead of a record is given to the next, and does not hide how the stream ended.
func TestUnderTLSAllThatCameIsReadAndTheEndIsTold(t *testing.T) {
	content := noise(3_000_017)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, notify := range []bool{true, false} {
			for _, each := range []int{700, 16 << 10, 512 << 10} {
				c, peer, tcp := guarded(t, version)
				sent := make(chan error, 1)
				go func() {
					_, err := peer.Write(content)
					if notify {
						err = errors.Join(err, peer.CloseWrite())
					}
					sent <- errors.Join(err, tcp.CloseWrite())
				}()
				var got bytes.Buffer
				if _, err := io.CopyBuffer(struct{ io.Writer }{&got}, struct{ io.Reader }{c}, make([]byte, each)); err != nil {
					t.Errorf("%x, notify %t, reads of %d: %v", version, notify, each, err)
				}
				if err := <-sent; err != nil {
					t.Error(err)
				}
				if !bytes.Equal(got.Bytes(), content) || c.Notified() != notify {
					t.Errorf("%x, notify %t, reads of %d: %d bytes of %d, notified %t", version, notify, each, got.Len(), len(content), c.Notified())
				}
				if each > 1<<10 && c.ear.memory == nil {
					t.Error("nothing was read ahead: the test shows nothing")
				}
			}
		}
	}
}

// Records are sent many at once, and none waits behind a Write that has returned.
func TestUnderTLSWhatWasWrittenHasLeft(t *testing.T) {
	c, peer, _ := guarded(t, tls.VersionTLS13)
	for _, n := range []int{1, 16 << 10, 100_000, behind, behind + 1, 1_000_001} {
		content := noise(n)
		got := make([]byte, n)
		read := make(chan error, 1)
		go func() {
			_, err := io.ReadFull(peer, got)
			read <- err
		}()
		if wrote, err := c.Write(content); wrote != n || err != nil {
			t.Errorf("wrote %d of %d: %v", wrote, n, err)
		}
		if err := <-read; err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes: %v", n, err)
		}
		if len(c.ear.out) != 0 {
			t.Errorf("%d bytes wait", len(c.ear.out))
		}
	}
	if cap(c.ear.out) < behind {
		t.Error("nothing was gathered: the test shows nothing")
	}
}

func TestAWriteThatFailsUnderTLSClaimsNothingThatWaited(t *testing.T) {
	c, _, tcp := guarded(t, tls.VersionTLS13)
	_ = tcp.SetLinger(0)
	_ = tcp.Close()
	for late := time.Now().Add(soon); ; { // until our kernel knows of the reset
		n, err := c.Write(make([]byte, 64<<10))
		if err != nil {
			if n != 0 {
				t.Errorf("%d bytes of 64 KiB are claimed: all may have waited", n)
			}
			return
		}
		if time.Now().After(late) {
			t.Fatal("no write fails")
		}
	}
}

func mark(t *testing.T, c *net.TCPConn) (n int) {
	t.Helper()
	control(t, c, func(fd int) (err error) {
		n, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT)
		return err
	})
	return n
}

func control(t *testing.T, c syscall.Conn, do func(fd int) error) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var done error
	if err := raw.Control(func(fd uintptr) { done = do(int(fd)) }); err != nil || done != nil {
		t.Fatal(err, done)
	}
}

// fast is a connection on which data has come so quickly that the kernel wakes us for much only.
func fast(t *testing.T, stall time.Duration) (c *Conn, peer *net.TCPConn) {
	t.Helper()
	ours, peer := pair(t)
	c = Plain(ours, stall)
	if mark(t, ours) != 1 {
		t.Fatalf("a mark of %d before there was reason", mark(t, ours))
	}
	piece, p := noise(64<<10), make([]byte, much)
	for late := time.Now().Add(soon); !c.raised; {
		if time.Now().After(late) {
			t.Fatal("it is never fast enough")
		}
		if _, err := peer.Write(piece); err != nil {
			t.Fatal(err)
		}
		for got := 0; got < len(piece); {
			n, err := c.Read(p[got:])
			if got += n; err != nil {
				t.Fatalf("%d, %v", got, err)
			}
		}
		if !bytes.Equal(p[:len(piece)], piece) {
			t.Fatal("other bytes")
		}
	}
	if mark(t, ours) != much {
		t.Fatalf("the mark is %d", mark(t, ours))
	}
	return c, peer
}

// Who waits for much is told of little after a moment, and does not wait for the stall. (Who asks when little is there already has it at once.)
func TestLittleBehindMuchIsReadSoon(t *testing.T) {
	c, peer := fast(t, soon)
	p := make([]byte, much)
	waited := false
	for late := time.Now().Add(soon); !waited; {
		read := make(chan error, 1)
		n := 0
		began := time.Now()
		go func() {
			var err error
			n, err = c.Read(p)
			read <- err
		}()
		<-time.After(hurry / 4) // it waits by now, most likely
		if _, err := peer.Write([]byte("little")); err != nil {
			t.Fatal(err)
		}
		if err := <-read; err != nil || string(p[:n]) != "little" {
			t.Fatalf("%q, %v", p[:n], err)
		}
		if waited = time.Since(began) >= hurry; !waited && time.Now().After(late) {
			t.Fatal("the kernel wakes us for little: the mark counts for nothing")
		}
	}
	if mark(t, c.TCP) != 1 || c.raised {
		t.Errorf("the mark is %d", mark(t, c.TCP))
	}
	if _, err := peer.Write([]byte("more")); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(p); string(p[:n]) != "more" || err != nil {
		t.Errorf("%q, %v", p[:n], err)
	}
}

func TestTheEndBehindMuchIsSeenAtOnce(t *testing.T) {
	c, peer := fast(t, soon)
	if _, err := peer.Write([]byte("the rest")); err != nil {
		t.Fatal(err)
	}
	_ = peer.CloseWrite()
	got, err := io.ReadAll(struct{ io.Reader }{c})
	if string(got) != "the rest" || err != nil || c.Notified() {
		t.Errorf("%q, %v", got, err)
	}
	c, peer = fast(t, soon)
	_ = peer.SetLinger(0)
	_ = peer.Close()
	if n, err := c.Read(make([]byte, 10)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%d, %v", n, err)
	}
}

func TestSilenceBehindMuchEndsWithTheStall(t *testing.T) {
	c, _ := fast(t, 3*hurry)
	if n, err := c.Read(make([]byte, 10)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d, %v", n, err)
	}
	c, _ = fast(t, soon)
	done := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 10))
		done <- err
	}()
	c.Halt()
	if err := <-done; err == nil || !c.Halted() {
		t.Error("a read goes on after Halt")
	}
}

// A byte now and then is not enough: less than leastIn in a stall is silence.
func TestATrickleIsSilence(t *testing.T) {
	const stall = 200 * time.Millisecond
	ours, peer := pair(t)
	c := Plain(ours, stall)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		tick := time.NewTicker(stall / 20)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				_, _ = peer.Write([]byte("x"))
			}
		}
	}()
	got, began := 0, time.Now()
	for {
		n, err := c.Read(make([]byte, 10))
		if got += n; errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil || time.Since(began) > soon {
			t.Fatalf("%d bytes, %v", got, err)
		}
	}
	if got == 0 || got >= leastIn {
		t.Errorf("%d bytes came", got)
	}
}
