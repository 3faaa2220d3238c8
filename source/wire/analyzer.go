package wire

import (
	"fmt"
	"hash"
	"net/netip"
	"time"

	"tallyman"
	"tallyman/source/wire/flow"
	"tallyman/source/wire/frame"
	"tallyman/source/wire/ftp"
	"tallyman/source/wire/tftp"
)

// Config says what an Analyzer looks at.
type Config struct {
	Host      string
	TFTPPorts []uint16
	FTPPorts  []uint16
	Stall     time.Duration // a TFTP transfer without progress for so long has failed
	Flows     bool          // tell the starts of network sessions
	SkipPorts []uint16      // of which no start is told
	Seed      uint64        // by which flows are remembered: secret where packets are not of the past
	Live      bool          // packets come from an interface that carries all of a transfer: what is absent is a gap
	Hash      func() hash.Hash
	Bounds    Bounds
}

// Ports says which servers are looked at.
type Ports struct {
	TFTP []uint16 // on which they take requests
	FTP  []uint16 // of control connections
	Data bool     // live: count the bytes of TCP data connections
}

// Bounds is how much an Analyzer remembers. What does not fit is dropped, oldest first, and counted in a gap evidence.
type Bounds struct {
	Transfers int // TFTP transfers at once
	Sessions  int // FTP control connections at once
	Flows     int // directions of network sessions, of IPv4 and of IPv6 apart
	Fragments frame.Limits
}

// Defaults returns the configuration for servers on their usual ports.
func Defaults() Config {
	return Config{
		TFTPPorts: []uint16{69}, FTPPorts: []uint16{21}, Stall: 65 * time.Second, Flows: true, SkipPorts: []uint16{53},
		Bounds: Bounds{Transfers: 16384, Sessions: 4096, Flows: 65536, Fragments: frame.DefaultLimits()},
	}
}

// Analyzer makes evidence of packets. It belongs to one goroutine; it starts none and reads no clock.
type Analyzer struct {
	cfg    Config
	out    func(tallyman.Evidence)
	frames *frame.Decoder
	flows  *flow.Table
	tftp   *tftp.Table
	ftp    *ftp.Table
	packet frame.Packet
	now    time.Time
	ticked time.Time
	due    time.Time    // a second after ticked
	told   frame.Counts // what of the losses was told
	lost   [2]uint64    // transfers and sessions dropped for want of room, as far as told
}

// NewAnalyzer returns an Analyzer that hands its evidence to out, in the order of the packets.
func NewAnalyzer(cfg Config, out func(tallyman.Evidence)) *Analyzer {
	t := tftp.Defaults()
	t.Host, t.Ports, t.Stall, t.Transfers = cfg.Host, cfg.TFTPPorts, cfg.Stall, cfg.Bounds.Transfers
	f := flow.Defaults()
	f.Host, f.Flows, f.Skip, f.Quiet, f.Seed = cfg.Host, cfg.Bounds.Flows, cfg.SkipPorts, !cfg.Flows, cfg.Seed
	c := ftp.Defaults()
	if cfg.Hash != nil {
		t.Hash, c.Hash = cfg.Hash, cfg.Hash
	}
	c.Host, c.Ports, c.Sessions, c.Live = cfg.Host, cfg.FTPPorts, cfg.Bounds.Sessions, cfg.Live
	a := &Analyzer{
		cfg: cfg, out: out, frames: frame.NewDecoder(cfg.Bounds.Fragments), flows: flow.New(f, out), tftp: tftp.New(t, out), ftp: ftp.New(c, out),
	}
	a.frames.Follows = a.follows
	return a
}

// follows reports whether a packet may be of a transfer; it may start a flow all the same.
func (a *Analyzer) follows(k frame.Kind, src, dst netip.AddrPort) bool {
	if k == frame.UDP {
		return a.tftp.Follows(src, dst)
	}
	return a.ftp.Follows(src, dst)
}

// Frame is one captured frame.
type Frame struct {
	Time   time.Time
	Number uint64 // its place in the capture; 0 = not known
	Place  uint32 // the interface, and whether it left or came
	Link   frame.Link
	Data   []byte // as far as it was captured
	Length int    // on the wire
}

// Packet takes one frame.
func (a *Analyzer) Packet(f *Frame) {
	if f.Time.After(a.now) {
		a.now = f.Time
	}
	if a.now.Before(a.ticked) || !a.now.Before(a.due) {
		a.Tick(a.now)
	}
	p := &a.packet
	p.Time, p.Number, p.Place = f.Time, f.Number, f.Place
	if !a.frames.Decode(p, f.Link, f.Data, f.Length) {
		return
	}
	switch p.Kind {
	case frame.Other: // Decode refuses it
	case frame.UDP:
		if a.flows.Packet(p) {
			a.tftp.Packet(p)
		}
	case frame.TCP:
		if a.flows.Packet(p) {
			a.ftp.Packet(p)
		}
	case frame.Unreachable:
		if p.Quoted == frame.UDP {
			a.tftp.Unreachable(p)
		}
	}
}

// Look has other ports looked at from the next packet on. What runs is followed on.
func (a *Analyzer) Look(p Ports) {
	a.tftp.Look(p.TFTP)
	a.ftp.Look(p.FTP)
}

// Tick tells how late it is, by the clock of the packets: what has stalled ends.
func (a *Analyzer) Tick(now time.Time) {
	a.tftp.Tick(now)
	a.ftp.Tick(now)
	if lost := a.frames.Counts.Lost - a.told.Lost; lost > 0 {
		a.told.Lost = a.frames.Counts.Lost
		a.gap(a.ticked, now, int64(lost), "fragments that never came together")
	}
	if n := a.tftp.Counts.Dropped - a.lost[0]; n > 0 {
		a.lost[0] = a.tftp.Counts.Dropped
		a.gap(a.ticked, now, -1, fmt.Sprintf("%d TFTP requests were dropped: more than %d at once", n, a.cfg.Bounds.Transfers))
	}
	if n := a.ftp.Counts.Dropped - a.lost[1]; n > 0 {
		a.lost[1] = a.ftp.Counts.Dropped
		a.gap(a.ticked, now, -1, fmt.Sprintf("%d FTP connections were dropped: more than %d at once", n, a.cfg.Bounds.Sessions))
	}
	a.ticked, a.due = now, now.Add(time.Second)
}

// Lost tells that packets were lost between two times.
func (a *Analyzer) Lost(from, to time.Time, packets int64, why string) {
	a.tftp.Blind()
	a.ftp.Blind()
	a.gap(from, to, packets, why)
}

func (a *Analyzer) gap(from, to time.Time, lost int64, why string) {
	e := tallyman.Unknown()
	e.Kind, e.Witness, e.Host = tallyman.KindGap, "wire", a.cfg.Host
	if from.IsZero() {
		from = to
	}
	e.Time, e.Began, e.Moved, e.Err = tallyman.Clean(to), tallyman.Clean(from), lost, why
	a.out(e)
}

// End closes what still runs: the capture is over.
func (a *Analyzer) End() {
	a.Tick(a.now)
	a.tftp.End(a.now)
	a.ftp.End(a.now)
}

// Counts says what became of the frames.
func (a *Analyzer) Counts() Counts {
	return Counts{Frames: a.frames.Counts, Flows: a.flows.Counts, TFTP: a.tftp.Counts, FTP: a.ftp.Counts}
}

// Counts is what the rooms below count.
type Counts struct {
	Frames frame.Counts
	Flows  flow.Counts
	TFTP   tftp.Counts
	FTP    ftp.Counts
}
