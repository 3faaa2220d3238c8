//go:build real

package real

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// pair is two network namespaces with a cable between them: servers in one, clients in the other.
type pair struct {
	t                testing.TB
	servers, clients string
	server, client   netip.Addr
}

// newPair makes the namespaces. name has at most six letters: the kernel cuts names of interfaces at 15 bytes.
func newPair(t testing.TB, name string) *pair {
	t.Helper()
	base := fmt.Sprintf("tm%d%s", os.Getpid(), name)
	p := &pair{t: t, servers: base + "s", clients: base + "c", server: netip.MustParseAddr("10.77.0.1"), client: netip.MustParseAddr("10.77.0.2")}
	for _, ns := range []string{p.servers, p.clients} {
		command(t, "ip", "netns", "add", ns)
		t.Cleanup(func() { command(t, "ip", "netns", "del", ns) })
	}
	command(t, "ip", "-n", p.servers, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", p.clients)
	for ns, addr := range map[string]netip.Addr{p.servers: p.server, p.clients: p.client} {
		command(t, "ip", "-n", ns, "addr", "add", addr.String()+"/24", "dev", "cable")
		command(t, "ip", "-n", ns, "link", "set", "cable", "up")
		command(t, "ip", "-n", ns, "link", "set", "lo", "up")
	}
	return p
}

// serve starts a server in its namespace.
func (p *pair) serve(tftp string) *server {
	p.t.Helper()
	s := newServer(p.t)
	s.netns, s.listen, s.tftp = p.servers, p.server.String()+":69", tftp
	s.start()
	p.t.Cleanup(s.stop)
	return s
}

// lose drops so many of a thousand UDP packets on their way in, on both sides.
func (p *pair) lose(perMille int) {
	p.t.Helper()
	for _, ns := range []string{p.servers, p.clients} {
		rules := filepath.Join(p.t.TempDir(), "rules")
		text := fmt.Sprintf("flush ruleset\ntable inet loss {\n chain in {\n  type filter hook input priority 0;\n"+
			"  meta l4proto udp numgen random mod 1000 < %d counter drop\n }\n}\n", perMille)
		if err := os.WriteFile(rules, []byte(text), 0o600); err != nil {
			p.t.Fatal(err)
		}
		command(p.t, "ip", "netns", "exec", ns, "nft", "-f", rules)
	}
}

// inside runs do with the namespace's network: sockets that it makes belong to the namespace (setns(2)).
func inside(t testing.TB, netns string, do func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ours, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	other, err := os.Open(filepath.Join("/var/run/netns", netns))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := unix.Setns(int(other.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	do()
	if err := unix.Setns(int(ours.Fd()), unix.CLONE_NEWNET); err != nil {
		panic(err) // the thread would spoil other tests
	}
}

// device is a client in its namespace.
func (p *pair) device(s *server) *device {
	p.t.Helper()
	var d *device
	inside(p.t, p.clients, func() { d = newDevice(p.t, s.addr, p.client.String()) })
	return d
}
