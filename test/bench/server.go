package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The names of the servers; those of the peers are what script/peers calls them.
const (
	ours    = "tallyman"
	hpa     = "tftpd-hpa"
	atftpd  = "atftpd"
	dnsmasq = "dnsmasq"
)

// peer is a server of another maker.
type peer struct{ version, program, libraries string }

func findPeers(ctx context.Context) (map[string]peer, error) {
	out, err := exec.CommandContext(ctx, "script/peers").Output()
	if err != nil {
		return nil, fmt.Errorf("script/peers, from the root of the repository: %w", err)
	}
	peers := map[string]peer{}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if len(f) != 4 {
			return nil, fmt.Errorf("script/peers said %q", line)
		}
		peers[f[0]] = peer{version: f[1], program: f[2], libraries: f[3]}
	}
	return peers, nil
}

// server is a running server.
type server struct {
	name  string
	addr  netip.AddrPort
	cmd   *exec.Cmd
	ended chan struct{}
	*account
	*control // nil for a peer
}

// start runs the named server in namespace ns, or in ours when that is empty.
func (r *rig) start(name, ns string) (*server, error) {
	s := &server{name: name, ended: make(chan struct{})}
	args, ready, err := r.command(s)
	if err != nil {
		return nil, err
	}
	if ns != "" {
		args = append([]string{"ip", "netns", "exec", ns}, args...)
	}
	s.cmd = exec.CommandContext(r.ctx, args[0], args[1:]...)
	s.cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+r.peers[name].libraries)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var complaint strings.Builder
	s.cmd.Stderr = &complaint
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(s.ended)
		_ = s.cmd.Wait() // how it ended is asked where that matters
	}()
	if err := s.wait(ready); err != nil {
		s.stop()
		return nil, fmt.Errorf("start %s: %w: %s", name, err, complaint.String())
	}
	if r.pin != "" {
		if err := pin(s.cmd.Process.Pid); err != nil {
			s.stop()
			return nil, err
		}
	}
	if s.account, err = newAccount(s.cmd.Process.Pid); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// command is the command line of s, and the ready file it will write if it has one.
func (r *rig) command(s *server) (args []string, ready string, err error) {
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	s.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
	number, program := strconv.Itoa(int(port)), r.peers[s.name].program
	switch s.name {
	case ours:
		state, err := os.MkdirTemp(r.state, "")
		if err != nil {
			return nil, "", err
		}
		if r.ledger != nil {
			if err := r.ledger.ledgerOn(state); err != nil {
				return nil, "", err
			}
		}
		ready = filepath.Join(state, "ready")
		return []string{
			r.binary, "serve", r.root, "--state", state, "--tftp", s.addr.String(), "--web", "", "--ready-file", ready,
		}, ready, nil
	case hpa:
		return []string{program, "-L", "-a", s.addr.String(), "-s", "-c", "-u", "root", r.root}, "", nil
	case atftpd:
		return []string{
			program, "--daemon", "--no-fork", "--bind-address", "127.0.0.1", "--port", number, "--maxthread", "1000",
			"--user", "root", "--group", "root", "--verbose=0", "--logfile", "/dev/null", r.root,
		}, "", nil
	default: // dnsmasq has no option for the port, so that it gets an address of its own
		pid := os.Getpid()
		at := netip.AddrFrom4([4]byte{127, byte(pid>>16) | 64, byte(pid >> 8), byte(pid)})
		s.addr = netip.AddrPortFrom(at, 69)
		return []string{
			program, "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--enable-tftp", "--tftp-root=" + r.root,
			"--listen-address=" + at.String(), "--bind-interfaces", "--tftp-max=1000", "--user=root", "--quiet-tftp",
			"--log-facility=/dev/null", "--pid-file=",
		}, "", nil
	}
}

func freePort() (uint16, error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }() // for the server to take
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Port(), nil
}

// wait returns when the server answers.
func (s *server) wait(ready string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		select {
		case <-s.ended:
			return fmt.Errorf("it ended: %s", s.cmd.ProcessState)
		case <-tick.C:
		}
		if ready != "" {
			text, err := os.ReadFile(ready)
			if err != nil {
				continue
			}
			var said struct{ Socket string }
			if err := json.Unmarshal(text, &said); err != nil {
				return err
			}
			s.control = newControl(said.Socket)
			return nil
		}
		if listens(s.cmd.Process.Pid, s.addr) {
			return nil
		}
	}
	return errors.New("it is not ready after 20 s")
}

// listens reports whether a socket in the namespace of pid is bound to a.
func listens(pid int, a netip.AddrPort) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/udp", pid))
	b := a.Addr().As4()
	want := fmt.Sprintf(" %02X%02X%02X%02X:%04X 00000000:0000", b[3], b[2], b[1], b[0], a.Port())
	return err == nil && strings.Contains(string(text), want)
}

// stop ends the server and all its children.
func (s *server) stop() {
	if s.control != nil {
		s.control.close()
	}
	if s.account != nil {
		defer s.account.close()
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-s.ended:
	case <-time.After(10 * time.Second):
	}
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) // its children too; ESRCH when none is left
}
