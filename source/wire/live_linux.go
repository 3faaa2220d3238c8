package wire

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/bpf"

	"tallyman"
	"tallyman/source/wire/dial"
	"tallyman/source/wire/digest"
	"tallyman/source/wire/frame"
	"tallyman/source/wire/ring"
)

// LiveConfig says what a Live looks at.
type LiveConfig struct {
	Analyzer   Config
	Interfaces []string    // empty: all
	Data       bool        // count the bytes of TCP data connections: needed where FTP is watched
	Ring       int         // bytes of the ring in the kernel
	Ready      func()      // is called once packets are being captured; may be nil
	Processes  bool        // ask the kernel which process sends them; where it does not tell, evidence names none
	Blind      func(error) // is told when the kernel does not tell; may be nil
}

// LiveDefaults returns the configuration for all interfaces. A ring of 12 MiB lost nothing at 360,000 packets/s.
func LiveDefaults() LiveConfig {
	c := LiveConfig{Analyzer: Defaults(), Data: true, Ring: 12 << 20, Processes: true}
	c.Analyzer.Live = true
	return c
}

// Live is the source that captures from interfaces. It needs CAP_NET_RAW.
type Live struct {
	cfg   LiveConfig
	batch []tallyman.Evidence
	ports atomic.Pointer[Ports] // to be looked at from the next packet on; nil: as before

	mu   sync.Mutex
	ring *ring.Ring // that is open; nil: none is
}

// NewLive returns a Live. It opens nothing.
func NewLive(cfg LiveConfig) *Live { return &Live{cfg: cfg} }

// Look has a Live that runs look at other ports from here on. It loses no packet and forgets no transfer: the ring stays, and the kernel changes the filter
// of a socket from one packet to the next (SO_ATTACH_FILTER, socket(7)). When it fails, all stays as it was. Any goroutine may call it.
func (l *Live) Look(p Ports) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ring == nil {
		return errors.New("look at other ports: no packets are captured now")
	}
	program, err := l.filter(p)
	if err == nil {
		err = l.ring.Filter(program)
	}
	if err != nil {
		return fmt.Errorf("look at other ports: %w", err)
	}
	l.ports.Store(&p)
	return nil
}

// hold makes the ring known to Look; nil takes it away.
func (l *Live) hold(r *ring.Ring) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring = r
}

// ErrNotAllowed is wrapped by the error of Run when the process may not capture.
var ErrNotAllowed = errors.New("capturing packets needs root or CAP_NET_RAW (setcap cap_net_raw+ep)")

const (
	waitFor   = 500 * time.Millisecond
	retireFor = 200 * time.Millisecond // how long a packet may wait for its block to be full, and with it what it proves
)

// Run captures until ctx ends. What the kernel dropped is a gap. It looks at the clock only while no packet comes: packets carry their own time.
func (l *Live) Run(ctx context.Context, to tallyman.Recorder) error {
	r, err := l.open()
	if err != nil {
		return fmt.Errorf("capture packets: %w", err)
	}
	defer r.Close()
	l.hold(r)
	defer l.hold(nil)
	defer context.AfterFunc(ctx, r.Wake)()
	pool := digest.NewPool()
	go pool.Run()
	defer pool.Close()
	cfg := l.cfg.Analyzer
	cfg.Hash, cfg.Seed = pool.New, rand.Uint64() //nolint:gosec // math/rand/v2 draws it from ChaCha8, whose seed is the kernel's
	collect := func(e tallyman.Evidence) { l.batch = append(l.batch, e) }
	who, drain, closing := l.processes()
	defer closing()
	var missed uint64 // dials, as far as told
	l.batch = make([]tallyman.Evidence, 0, mostBatch+mostBatch/4)
	a := NewAnalyzer(cfg, func(e tallyman.Evidence) {
		if e.Kind.Alone() { // of no process, and by far the most
			l.batch = append(l.batch, e)
			return
		}
		who.sign(e, collect)
	})
	if l.cfg.Ready != nil {
		l.cfg.Ready()
	}
	var (
		f      = Frame{Link: frame.Raw}
		looked = time.Now()
		wanted = l.wanted()
	)
	packet := func(p *ring.Packet) {
		if wanted != nil && !wanted[p.Interface] {
			return
		}
		f.Time, f.Place, f.Data, f.Length = p.Time, uint32(p.Interface), p.Data, p.Length
		a.Packet(&f)
		if len(l.batch) >= mostBatch {
			l.flush(to)
		}
	}
	for ctx.Err() == nil {
		there, err := r.Wait(waitFor)
		if err != nil {
			return fmt.Errorf("capture packets: %w", err)
		}
		drain() // a packet that an answer is in comes behind the note of who sent it
		if p := l.ports.Swap(nil); p != nil {
			a.Look(*p)
		}
		now := time.Now()
		if there {
			r.Each(packet)
		} else {
			a.Tick(now)
		}
		if now.Sub(looked) >= time.Second || now.Before(looked) {
			l.drops(a, r, looked, now)
			missed = l.unnoted(a, who, missed, looked, now)
			looked = now
		}
		l.flush(to)
	}
	l.drops(a, r, looked, time.Now())
	l.unnoted(a, who, missed, looked, time.Now())
	l.flush(to)
	return nil
}

// mostDials bounds what is remembered of processes, about 100 bytes each: a request that nobody answers is told after 65 s.
const mostDials = 16384

// processes begins to note which process turns a socket to whom.
func (l *Live) processes() (who *takers, drain, closing func()) {
	who = newTakers(mostDials, l.cfg.Analyzer.SkipPorts)
	if !l.cfg.Processes {
		return who, func() {}, func() {}
	}
	w, err := dial.Open()
	if err != nil {
		if l.cfg.Blind != nil {
			l.cfg.Blind(err)
		}
		return who, func() {}, func() {}
	}
	var lost uint64
	drain = func() {
		var first time.Time // the ring was empty then: it had been drained before
		w.Drain(func(d dial.Dial) {
			if first.IsZero() {
				first = d.At
			}
			who.add(d)
		})
		if n := w.Lost(); n != lost {
			who.miss(first, time.Now(), n-lost)
			lost = n
		}
	}
	return who, drain, w.Close
}

// unnoted tells which dials were missed since it was last told. Packets were not, so no transfer is proven less: its log and files are found by order.
func (l *Live) unnoted(a *Analyzer, who *takers, told uint64, from, to time.Time) uint64 {
	if n := who.missed - told; n > 0 {
		a.gap(from, to, int64(n), "which process turned a socket to whom was not noted: too many at once; no packet was lost")
	}
	return who.missed
}

// Named reports why the kernel would not name the process of a packet here; nil means that it does.
func Named() error {
	w, err := dial.Open()
	if err != nil {
		return err
	}
	w.Close()
	return nil
}

// mostBatch bounds the evidence that waits to be recorded: at most as long as a block of the ring is read.
const mostBatch = 256

func (l *Live) flush(to tallyman.Recorder) {
	if len(l.batch) > 0 {
		to.Record(l.batch...)
		clear(l.batch)
		l.batch = l.batch[:0]
	}
}

// drops tells what the kernel lost since it was last asked.
func (l *Live) drops(a *Analyzer, r *ring.Ring, from, to time.Time) {
	if n, err := r.Drops(); err == nil && n > 0 {
		a.Lost(from, to, n, "the kernel dropped packets: the ring was full")
	}
}

// wanted returns the interfaces that are looked at, by index; nil for all. An interface that is not there yet is an error of open.
func (l *Live) wanted() map[int]bool {
	if len(l.cfg.Interfaces) < 2 {
		return nil
	}
	out := map[int]bool{}
	for _, name := range l.cfg.Interfaces {
		if i, err := net.InterfaceByName(name); err == nil {
			out[i.Index] = true
		}
	}
	return out
}

// above reports whether the interface stands on others that are captured too (Documentation/ABI/testing/sysfs-class-net).
func above(name string) bool {
	text, err := os.ReadFile("/sys/class/net/" + name + "/uevent")
	if err != nil {
		return false
	}
	for _, kind := range []string{"bridge", "bond", "vlan"} {
		if strings.Contains(string(text), "DEVTYPE="+kind+"\n") {
			return true
		}
	}
	return false
}

// open makes the ring.
func (l *Live) open() (*ring.Ring, error) {
	for _, name := range l.cfg.Interfaces {
		if _, err := net.InterfaceByName(name); err != nil {
			return nil, fmt.Errorf("interface %s: %w", name, err)
		}
	}
	program, err := l.filter(Ports{FTP: l.cfg.Analyzer.FTPPorts, Data: l.cfg.Data})
	if err != nil {
		return nil, err
	}
	cfg := ring.Config{Filter: program, Size: l.cfg.Ring, Retire: retireFor}
	if len(l.cfg.Interfaces) == 1 {
		cfg.Interface = l.cfg.Interfaces[0]
	}
	r, err := ring.Open(cfg)
	if errors.Is(err, os.ErrPermission) {
		err = fmt.Errorf("%w: %w", ErrNotAllowed, err)
	}
	return r, err
}

// filter is the program that lets through what these ports need.
func (l *Live) filter(p Ports) ([]bpf.RawInstruction, error) {
	c := filterConfig{skip: l.cfg.Analyzer.SkipPorts, control: p.FTP, data: p.Data}
	list, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	for _, i := range list {
		if i.Flags&net.FlagLoopback != 0 {
			c.loopback = uint32(i.Index)
		}
		if len(l.cfg.Interfaces) == 0 && above(i.Name) {
			c.above = append(c.above, i.Index)
		}
	}
	program, err := filter(c)
	if err != nil {
		return nil, err
	}
	raw, err := bpf.Assemble(program)
	if err != nil {
		return nil, fmt.Errorf("assemble the kernel filter: %w", err)
	}
	return raw, nil
}
