//go:build root

package ring

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// to passes UDP over IPv4 to a port, but for the copies that leave.
func to(t *testing.T, port int) []bpf.RawInstruction {
	t.Helper()
	raw, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 4, SkipTrue: 5},
		bpf.LoadAbsolute{Off: 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 17, SkipTrue: 3},
		bpf.LoadAbsolute{Off: 22, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(port), SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 18},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func open(t *testing.T, cfg Config) *Ring {
	t.Helper()
	r, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// loop is a socket on the loopback that is sent to, and a function that sends.
func loop(t *testing.T) (port int, send func(payload string)) {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr().(*net.UDPAddr).Port, func(payload string) {
		t.Helper()
		if _, err := c.WriteTo([]byte(payload), c.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
}

// take reads n packets, and fails when they do not come.
func take(t *testing.T, r *Ring, n int) (got []string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); len(got) < n; {
		there, err := r.Wait(time.Second)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%d packets of %d: %v", len(got), n, err)
		}
		if there {
			r.Each(func(p *Packet) {
				if since := time.Since(p.Time); p.Length != len(p.Data) || since < 0 || since > time.Minute {
					t.Errorf("%+v", p)
				}
				got = append(got, string(p.Data[28:]))
			})
		}
	}
	return got
}

// The loopback may change the order of packets when their sender changes the processor.
func TestEveryPacketComesOnce(t *testing.T) {
	port, send := loop(t)
	r := open(t, Config{Interface: "lo", Filter: to(t, port), Size: 8 << 20, Retire: 100 * time.Millisecond})
	var want []string
	for i := range 3000 { // in more blocks than the ring has
		want = append(want, fmt.Sprintf("%04d", i)+strings.Repeat(" ", 1000))
		send(want[i])
		if i%300 == 299 {
			got := take(t, r, 300)
			if slices.Sort(got); !slices.Equal(got, want[i-299:]) {
				t.Fatalf("up to %d: other packets: %q", i, got)
			}
		}
	}
	if n, err := r.Drops(); n != 0 || err != nil {
		t.Errorf("%d dropped, %v", n, err)
	}
}

func TestWhatFindsNoRoomIsCounted(t *testing.T) {
	port, send := loop(t)
	r := open(t, Config{Interface: "lo", Filter: to(t, port), Size: 1, Retire: time.Hour})
	for range 100 {
		send(strings.Repeat("x", 60_000))
	}
	n, err := r.Drops()
	if n < 50 || n > 75 || err != nil {
		t.Errorf("of 100 packets of 60,000 bytes %d found no room in 2 MiB: %v", n, err)
	}
	if more, err := r.Drops(); more != 0 || err != nil {
		t.Errorf("%d are told twice: %v", more, err)
	}
}

func TestWakeEndsAWaitNowAndLater(t *testing.T) {
	port, _ := loop(t)
	r := open(t, Config{Interface: "lo", Filter: to(t, port), Retire: time.Second})
	began := time.Now()
	go r.Wake()
	for range 2 {
		if there, err := r.Wait(time.Minute); there || err != nil {
			t.Errorf("%v, %v", there, err)
		}
	}
	if d := time.Since(began); d > 30*time.Second {
		t.Errorf("it took %s", d)
	}
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %v: %v: %s", args, err, out)
	}
}

// inside runs do in a network namespace (setns(2)).
func inside(t *testing.T, ns string, do func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var places []int
	for _, at := range []string{"/var/run/netns/" + ns, "/proc/thread-self/ns/net"} {
		f, err := os.Open(at)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		places = append(places, int(f.Fd()))
	}
	if err := unix.Setns(places[0], unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setns(places[1], unix.CLONE_NEWNET); err != nil {
			panic(err) // the thread would spoil other tests
		}
	}()
	do()
}

func TestInterfaceThatGoesDownIsWaitedForAtRest(t *testing.T) {
	ns := fmt.Sprintf("tallyman-ring-%d", os.Getpid())
	ip(t, "netns", "add", ns)
	t.Cleanup(func() { ip(t, "netns", "del", ns) })
	ip(t, "-n", ns, "link", "add", "near", "type", "veth", "peer", "name", "far")
	ip(t, "-n", ns, "addr", "add", "192.0.2.1/24", "dev", "near")
	up := func() {
		ip(t, "-n", ns, "link", "set", "near", "up")
		ip(t, "-n", ns, "link", "set", "far", "up")
		ip(t, "-n", ns, "neigh", "replace", "192.0.2.2", "lladdr", "02:00:00:00:00:02", "dev", "near")
		for deadline := time.Now().Add(20 * time.Second); ; { // what is sent before the carrier is there is lost
			out, err := exec.Command("ip", "-n", ns, "link", "show", "up", "type", "veth").CombinedOutput()
			if strings.Count(string(out), " state UP ") == 2 {
				return
			}
			if err != nil || time.Now().After(deadline) {
				t.Fatalf("the link does not come up: %v: %s", err, out)
			}
		}
	}
	up()
	var r *Ring
	var c net.Conn
	inside(t, ns, func() {
		r = open(t, Config{Interface: "far", Filter: to(t, 9), Retire: 20 * time.Millisecond})
		var err error
		if c, err = net.Dial("udp4", "192.0.2.2:9"); err != nil {
			t.Fatal(err)
		}
	})
	defer c.Close()
	send := func(payload string) {
		t.Helper()
		if _, err := c.Write([]byte(payload)); err != nil {
			t.Fatal(err)
		}
	}
	send("before")
	got := take(t, r, 1)
	ip(t, "-n", ns, "link", "set", "far", "down")
	waits := 0
	for began := time.Now(); time.Since(began) < 500*time.Millisecond; waits++ {
		if there, err := r.Wait(100 * time.Millisecond); there || err != nil {
			t.Fatalf("%v, %v", there, err)
		}
	}
	if waits > 8 {
		t.Errorf("%d waits of 100 ms in 500 ms: it does not rest", waits)
	}
	up()
	send("after")
	send("later")
	if got = append(got, take(t, r, 2)...); strings.Join(got, " ") != "before after later" {
		t.Errorf("%q", got)
	}
}
