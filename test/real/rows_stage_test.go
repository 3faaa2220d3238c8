//go:build real

package real

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tallyman"
	"tallyman/join"
	"tallyman/source/files"
	"tallyman/source/logs"
	"tallyman/source/wire"
)

// stage is an island with servers of others, and three witnesses who tell one join what they see.
type stage struct {
	*island
	root     string // the folders of all servers
	host     string
	port     uint16        // of all servers
	more     []uint16      // of those who take no other
	patience time.Duration // how long the witnesses may take
	tries    []string      // what is asked for while the witnesses begin; the log must tell of each

	live func(*wire.LiveConfig) // what packets are looked at, if not those of TFTP on lo
	ours func(netip.Addr) bool  // the addresses of the servers

	mu     sync.Mutex
	on     bool // before that the witnesses are only tried
	heard  []tallyman.Evidence
	join   *join.Join
	latest map[tallyman.UUID]*tallyman.Transfer
}

func newStage(t testing.TB, act int) *stage {
	t.Helper()
	host, err := os.Hostname() // the journal's word for this machine
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{host: host, port: uint16(10000 + os.Getpid()%5000*4 + act), patience: soon, join: join.New(join.Defaults()), latest: map[tallyman.UUID]*tallyman.Transfer{}}
	s.tries = []string{tryName}
	s.ours = netip.MustParsePrefix("127.77.0.0/16").Contains // those of another test may be of any family
	s.root = mkdir(t, t.TempDir(), "srv")
	for dir := s.root; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// address is that of a server. Each has its own, on the port of the stage, which no socket gets by itself (ip_local_port_range).
func (s *stage) address(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 77, byte(i), 1}), s.port)
}

// folder makes the root of one server. With a size it is a file system of its own, that small.
func (s *stage) folder(t testing.TB, name, size string) string {
	t.Helper()
	dir := mkdir(t, s.root, name)
	if size != "" {
		command(t, "mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir)
		t.Cleanup(func() { command(t, "umount", dir) })
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Record keeps the evidence, and hands it to the join as it comes.
func (s *stage) Record(batch ...tallyman.Evidence) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range batch {
		if !s.on {
			continue
		}
		e.Seen = tallyman.Clean(time.Now())
		e.ID = tallyman.ID{Epoch: 1, Seq: uint64(len(s.heard) + 1)}
		s.heard = append(s.heard, e)
		s.join.Add(e)
	}
	s.note(s.join.Changed())
}

// Commit is Record: nothing here survives the test.
func (s *stage) Commit(_ context.Context, batch ...tallyman.Evidence) error {
	s.Record(batch...)
	return nil
}

func (s *stage) note(changed []tallyman.Record) {
	for _, r := range changed {
		if tr, ok := r.(*tallyman.Transfer); ok {
			s.latest[tr.ID] = tr
		}
	}
}

// evidence is what was heard so far.
func (s *stage) evidence() []tallyman.Evidence {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.heard)
}

// records is what the join made of it, as it came in.
func (s *stage) records() []*tallyman.Transfer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.join.Advance(tallyman.Clean(time.Now()))
	s.note(s.join.Changed())
	var out []*tallyman.Transfer
	for _, tr := range s.latest {
		if tr.Merged.IsZero() {
			out = append(out, tr)
		}
	}
	return out
}

// launch starts a server in the island. The program and its libraries are those of peer.
func (s *stage) launch(program, libraries string, arg ...string) {
	s.t.Helper()
	cmd := exec.Command("nsenter", append([]string{"--mount", "--target", fmt.Sprint(s.pid), program}, arg...)...)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+libraries)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var said safeBuffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if s.t.Failed() && said.String() != "" {
			s.t.Logf("%s said: %s", filepath.Base(program), said.String())
		}
	})
}

// witness starts the three, and returns when each of them looks. tried asks a server for something that is not there, and by its line in the log is
// known that the log is followed.
func (s *stage) witness(roots []files.Root, text []logs.File, stall time.Duration, tried func()) {
	s.t.Helper()
	run := func(what string, source tallyman.Source, closing func() error) {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- source.Run(ctx, s) }()
		s.t.Cleanup(func() {
			cancel()
			if err := errors.Join(<-done, closing()); err != nil {
				s.t.Errorf("%s: %v", what, err)
			}
		})
	}
	none := func() error { return nil }
	f, err := files.Open(files.Defaults(s.host, roots...), slog.New(slog.DiscardHandler))
	if err != nil {
		s.t.Fatal(err)
	}
	run("files", f, func() error { f.Close(); return nil })

	log := newWitness(s.t, logs.Config{Journal: true, JournalDir: s.journal, Files: text})
	log.cfg.Host = s.host
	source, err := logs.New(log.cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	seen := make(chan struct{})
	run("logs", lookout{source, s, seen}, none)
	for open := true; open; {
		tried()
		select {
		case <-seen:
			open = false
		case <-time.After(50 * time.Millisecond):
		}
	}

	cfg := wire.LiveDefaults()
	cfg.Interfaces = []string{"lo"}
	cfg.Analyzer.Host, cfg.Analyzer.TFTPPorts, cfg.Analyzer.Stall, cfg.Analyzer.Flows = s.host, slices.Concat(s.more, []uint16{s.port}), stall, false
	if s.live != nil {
		s.live(&cfg)
	}
	ready := make(chan struct{})
	cfg.Ready = func() { close(ready) }
	run("wire", lookout{wire.NewLive(cfg), s, make(chan struct{})}, none)
	select {
	case <-ready:
	case <-time.After(soon):
		s.t.Fatal("the wire is not looked at")
	}
	s.mu.Lock()
	s.on = true
	s.mu.Unlock()
}

// tryName is what is asked for while the witnesses begin.
const tryName = "is-anybody-there"

// lookout passes on what a source tells, without what is told of the trial, and reports the first line of that.
type lookout struct {
	tallyman.Source
	to   *stage
	seen chan struct{}
}

func (l lookout) Run(ctx context.Context, _ tallyman.Recorder) error {
	return l.Source.Run(ctx, &sieve{to: l.to, seen: l.seen, missing: slices.Clone(l.to.tries)})
}

type sieve struct {
	to      *stage
	seen    chan struct{}
	mu      sync.Mutex
	missing []string
}

func (s *sieve) Record(batch ...tallyman.Evidence) {
	for _, e := range batch {
		if i := slices.IndexFunc(s.to.tries, func(name string) bool { return strings.HasSuffix(e.Name, name) || strings.HasSuffix(e.Path, name) }); i >= 0 {
			s.mu.Lock()
			open := len(s.missing) > 0
			s.missing = slices.DeleteFunc(s.missing, func(name string) bool { return name == s.to.tries[i] })
			if open && len(s.missing) == 0 {
				close(s.seen)
			}
			s.mu.Unlock()
			continue
		}
		if e.Witness == "wire" && e.Self.IsValid() && !s.to.ours(e.Self.Addr()) {
			continue // a server of another test
		}
		s.to.Record(e)
	}
}

func (s *sieve) Commit(_ context.Context, batch ...tallyman.Evidence) error {
	s.Record(batch...)
	return nil
}

// wait asks again and again, and ends the test when the answer never comes.
func (s *stage) wait(what func() string) {
	s.t.Helper()
	deadline := time.Now().Add(s.patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		missing := what()
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			for _, e := range s.evidence() {
				s.t.Logf("%s %s %s %s peer %s pid %d name %q path %q reason %s moved %d size %d %s", e.Time.Format("05.000000"), e.Witness, e.Kind, e.Op, e.Peer, e.Proc.PID, e.Name, e.Path, e.Reason, e.Moved, e.Size, e.Details)
			}
			s.t.Fatalf("never: %s", missing)
		}
		<-tick.C
	}
}

// player is the client of one row. Its methods end the goroutine of the row when the server does not do what it should.
type player struct {
	*stage
	name string // what is asked for
	root string
	at   netip.AddrPort // the server

	talkers []*talker
}

// talker is one socket of the client.
type talker struct {
	*net.UDPConn
	p     *player
	to    netip.AddrPort // where the answers go: the port that answered first
	found bool
}

func (p *player) fail(format string, arg ...any) {
	p.t.Errorf(format, arg...)
	runtime.Goexit()
}

// ask sends a request from a socket of its own.
func (p *player) ask(op byte, options ...string) *talker {
	here := netip.MustParseAddr("127.0.0.1")
	if p.at.Addr().Is6() {
		here = netip.IPv6Loopback()
	}
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(here, 0)))
	if err != nil {
		p.fail("open a socket: %v", err)
	}
	t := &talker{UDPConn: c, p: p, to: p.at}
	p.talkers = append(p.talkers, t)
	t.request(op, options...)
	return t
}

func (t *talker) request(op byte, options ...string) {
	packet := rrq(t.p.name, options...)
	packet[1] = op
	if _, err := t.WriteToUDPAddrPort(packet, t.p.at); err != nil {
		t.p.fail("%s: ask: %v", t.p.root, err)
	}
}

func (t *talker) port() uint16 { return t.LocalAddr().(*net.UDPAddr).AddrPort().Port() }

func (t *talker) send(op byte, block int, payload []byte) {
	if _, err := t.WriteToUDPAddrPort(append([]byte{0, op, byte(block >> 8), byte(block)}, payload...), t.to); err != nil {
		t.p.fail("%s: send: %v", t.p.root, err)
	}
}

// expect waits for a packet; what is repeated, or comes from another port than the first, is passed over. Block -1 is any.
func (t *talker) expect(op byte, block int) []byte {
	_ = t.SetReadDeadline(time.Now().Add(soon))
	b := make([]byte, 65536)
	for {
		n, from, err := t.ReadFromUDPAddrPort(b)
		if err != nil {
			t.p.fail("%s: no answer %d block %d: %v", t.p.root, op, block, err)
		}
		if from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port()); t.found && from != t.to {
			continue
		}
		t.to, t.found = from, true
		if n >= 4 && b[1] == op && (block < 0 || int(b[2])<<8|int(b[3]) == block) {
			return b[4:n]
		}
	}
}

// get reads on from the next block to the end.
func (t *talker) get(next int) {
	for {
		n := len(t.expect(opData, next))
		t.send(opAck, next, nil)
		if n < 512 {
			return
		}
		next++
	}
}

// put writes so many bytes from the first block on.
func (t *talker) put(size int) {
	t.expect(opAck, 0)
	for block := 1; ; block++ {
		n := min(512, size-(block-1)*512)
		t.send(opData, block, make([]byte, n))
		t.expect(opAck, block)
		if n < 512 {
			return
		}
	}
}

const (
	opRead  = 1
	opWrite = 2
	opData  = 3
	opAck   = 4
	opError = 5
	opOack  = 6
)
