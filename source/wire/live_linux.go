package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/gopacket/gopacket/afpacket"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/source/wire/dial"
	"tallyman/source/wire/digest"
	"tallyman/source/wire/frame"
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

// LiveDefaults returns the configuration for all interfaces. A ring of 16 MiB lost nothing at 360,000 packets/s.
func LiveDefaults() LiveConfig {
	c := LiveConfig{Analyzer: Defaults(), Data: true, Ring: 16 << 20, Processes: true}
	c.Analyzer.Live = true
	return c
}

// Live is the source that captures from interfaces. It needs CAP_NET_RAW.
type Live struct {
	cfg   LiveConfig
	batch []tallyman.Evidence
}

// NewLive returns a Live. It opens nothing.
func NewLive(cfg LiveConfig) *Live { return &Live{cfg: cfg} }

// ErrNotAllowed is wrapped by the error of Run when the process may not capture.
var ErrNotAllowed = errors.New("capturing packets needs root or CAP_NET_RAW (setcap cap_net_raw+ep)")

const (
	blockSize = 1 << 20
	frameSize = 1 << 16
	pollFor   = 500 * time.Millisecond
	retireFor = 200 * time.Millisecond // how long a packet may wait for its block to be full; each wake costs 100 naps of Go's sysmon
)

// ring is one socket.
type ring struct {
	*afpacket.TPacket
	drops uint
}

// Run captures until ctx ends. What the kernel dropped is a gap. It looks at the clock only while no packet comes: packets carry their own time.
func (l *Live) Run(ctx context.Context, to tallyman.Recorder) error {
	r, err := l.open()
	if err != nil {
		return fmt.Errorf("capture packets: %w", err)
	}
	defer r.Close()
	pool := digest.NewPool()
	go pool.Run()
	defer pool.Close()
	cfg := l.cfg.Analyzer
	cfg.Hash = pool.New
	collect := func(e tallyman.Evidence) { l.batch = append(l.batch, e) }
	who, drain, closing := l.processes()
	defer closing()
	a := NewAnalyzer(cfg, func(e tallyman.Evidence) { who.sign(e, collect) })
	if l.cfg.Ready != nil {
		l.cfg.Ready()
	}
	var (
		f      = Frame{Link: frame.Raw}
		last   = time.Now()
		looked = last
		wanted = l.wanted()
		count  int
	)
	for ctx.Err() == nil {
		data, ci, err := r.ZeroCopyReadPacketData()
		drain() // a packet that an answer is in comes behind the note of who sent it
		switch {
		case errors.Is(err, afpacket.ErrTimeout):
			last = time.Now()
			a.Tick(last)
		case errors.Is(err, afpacket.ErrPoll), errors.Is(err, unix.EINTR), errors.Is(err, unix.ENETDOWN):
			// An interface that goes down is told once; the others go on.
			continue
		case err != nil:
			return fmt.Errorf("capture packets: %w", err)
		case wanted == nil || wanted[ci.InterfaceIndex]:
			f.Time, f.Place, f.Data, f.Length = ci.Timestamp, uint32(ci.InterfaceIndex), data, ci.Length
			last = ci.Timestamp
			a.Packet(&f)
		}
		if count++; count%1024 == 0 || err != nil {
			if now := time.Now(); now.Sub(looked) >= time.Second || now.Before(looked) {
				l.drops(a, r, looked, now)
				looked = now
			}
		}
		if len(l.batch) >= mostBatch || err != nil || count%64 == 0 {
			l.flush(to)
		}
	}
	l.drops(a, r, looked, time.Now())
	l.flush(to)
	return nil
}

// mostDials bounds what is remembered of processes, about 100 bytes each: a request that nobody answers is told after 65 s.
const mostDials = 16384

// processes begins to note which process turns a socket to whom.
func (l *Live) processes() (who *takers, drain, closing func()) {
	who = newTakers(mostDials)
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
	return who, func() { w.Drain(who.add) }, w.Close
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

// mostBatch bounds the evidence that waits to be recorded: at most 64 packets long, or until the ring is empty.
const mostBatch = 256

func (l *Live) flush(to tallyman.Recorder) {
	if len(l.batch) > 0 {
		to.Record(l.batch...)
		clear(l.batch)
		l.batch = l.batch[:0]
	}
}

// drops tells what the kernel lost since it was last asked.
func (l *Live) drops(a *Analyzer, r *ring, from, to time.Time) {
	_, stats, err := r.SocketStats()
	if err != nil {
		return
	}
	if n := stats.Drops() - r.drops; n > 0 {
		r.drops = stats.Drops()
		a.Lost(from, to, int64(n), "the kernel dropped packets: the ring was full")
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

// open makes the ring. The socket hands over packets from their IP header on, whatever the interface, with the VLAN tag taken off.
func (l *Live) open() (*ring, error) {
	blocks := max(l.cfg.Ring/blockSize, 2)
	options := []any{
		afpacket.SocketDgram, afpacket.TPacketVersion3, afpacket.OptBlockSize(blockSize), afpacket.OptFrameSize(frameSize), afpacket.OptNumBlocks(blocks),
		afpacket.OptPollTimeout(pollFor), afpacket.OptBlockTimeout(retireFor),
	}
	c := filterConfig{skip: l.cfg.Analyzer.SkipPorts, control: l.cfg.Analyzer.FTPPorts, data: l.cfg.Data}
	for _, name := range l.cfg.Interfaces {
		if _, err := net.InterfaceByName(name); err != nil {
			return nil, fmt.Errorf("interface %s: %w", name, err)
		}
	}
	if len(l.cfg.Interfaces) == 1 {
		options = append(options, afpacket.OptInterface(l.cfg.Interfaces[0]))
	}
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
	t, err := afpacket.NewTPacket(options...)
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			err = fmt.Errorf("%w: %w", ErrNotAllowed, err)
		}
		return nil, err
	}
	if err := t.SetBPF(raw); err != nil {
		t.Close()
		return nil, fmt.Errorf("attach the filter: %w", err)
	}
	// What came before the filter was there is unfiltered, and counted too.
	if err := t.InitSocketStats(); err != nil {
		t.Close()
		return nil, fmt.Errorf("read the counters: %w", err)
	}
	return &ring{TPacket: t}, nil
}
