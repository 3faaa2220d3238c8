package tftp

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"net/netip"
	"slices"
	"time"

	"tallyman"
	"tallyman/source/wire/frame"
)

// Config says how a Table follows transfers.
type Config struct {
	Host      string
	Ports     []uint16         // where servers take requests
	Stall     time.Duration    // without progress for so long a transfer has failed
	Hash      func() hash.Hash // of contents
	Transfers int              // how many are followed at once; when full, what is worth least is dropped and counted, unanswered requests first
}

// Defaults returns the configuration for servers on port 69. tftpd-hpa gives up after 63 s.
func Defaults() Config {
	return Config{Ports: []uint16{69}, Stall: 65 * time.Second, Transfers: 16384, Hash: sha256.New}
}

// lingers is how long a transfer that ended is remembered, so that its last packets are not taken for something new, and how many of one client.
const (
	lingers       = 30 * time.Second
	mostOfClient  = 8
	mostLanes     = 4
	goneAfter     = 2 * time.Second // a closed port may belong to a lane that nobody wanted
	repeatsWithin = 2 * time.Second
)

// Counts says what a Table did.
type Counts struct {
	Requests uint64 // packets
	Dropped  uint64 // requests that were dropped unanswered, because the table was full
}

// Table follows all transfers. It belongs to one goroutine.
type Table struct {
	Counts  Counts
	cfg     Config
	out     func(tallyman.Evidence)
	clients map[netip.AddrPort][]*transfer // newest last
	ports   [mostPorts]uint16              // how many clients have a port with that remainder: most packets are of none
	open    []*transfer                    // in the order in which they began; those that ended are swept out
	running int
	ticked  time.Time
}

const mostPorts = 4096

// known reports whether a client may have the port.
func (t *Table) known(port uint16) bool { return t.ports[port%mostPorts] > 0 }

// keep puts the list of a client into its place, or takes the client out when the list is empty.
func (t *Table) keep(client netip.AddrPort, list []*transfer) {
	_, there := t.clients[client]
	n := &t.ports[client.Port()%mostPorts]
	switch {
	case len(list) > 0:
		if !there {
			*n++
		}
		t.clients[client] = list
	case there:
		*n--
		delete(t.clients, client)
	}
}

// New returns a Table that gives its evidence to out.
func New(cfg Config, out func(tallyman.Evidence)) *Table {
	return &Table{cfg: cfg, out: out, clients: map[netip.AddrPort][]*transfer{}}
}

// Open returns how many transfers run.
func (t *Table) Open() int { return t.running }

// Look has requests to these ports followed from here on; what runs is followed on.
func (t *Table) Look(ports []uint16) { t.cfg.Ports = ports }

// Follows reports whether a UDP packet with these ends may belong to a transfer; most do not.
func (t *Table) Follows(src, dst netip.AddrPort) bool {
	return slices.Contains(t.cfg.Ports, dst.Port()) || t.known(src.Port()) || t.known(dst.Port())
}

// Packet takes a UDP packet and reports whether it belongs to a transfer.
func (t *Table) Packet(p *frame.Packet) bool {
	if slices.Contains(t.cfg.Ports, p.Dst.Port()) && t.request(p) {
		return true
	}
	if !t.known(p.Src.Port()) && !t.known(p.Dst.Port()) {
		return false
	}
	if list := t.clients[p.Src]; list != nil {
		for _, x := range slices.Backward(list) {
			if l := x.lane(p.Dst); l != nil || p.Dst == x.asked {
				x.fromClient(t, l, p)
				return true
			}
		}
	}
	list := t.clients[p.Dst]
	if list == nil {
		return false
	}
	for _, x := range slices.Backward(list) {
		l := x.lane(p.Src)
		if l == nil && !x.ended && p.Src == x.asked {
			l = x.answer(t, p) // a server of one port answers all requests from it, also of transfers before
		}
		if l != nil {
			x.fromServer(t, l, p)
			return true
		}
	}
	for _, x := range slices.Backward(list) {
		if x.ended {
			continue
		}
		if l := x.answer(t, p); l != nil {
			x.fromServer(t, l, p)
			return true
		}
		if p.Src.Addr() == x.asked.Addr() || isTFTP(p.Payload) {
			x.strangers++
			return true
		}
	}
	return false
}

func isTFTP(b []byte) bool {
	return len(b) >= 4 && b[0] == 0 && b[1] >= opDATA && b[1] <= opOACK
}

// request takes a packet to a request port.
func (t *Table) request(p *frame.Packet) bool {
	r, ok := parseRequest(p.Payload)
	if !ok {
		return false
	}
	t.Counts.Requests++
	list := t.clients[p.Src]
	var before *transfer
	for _, x := range slices.Backward(list) {
		if x.asked.Addr() != p.Dst.Addr() {
			continue
		}
		if !x.ended && x.repeated(&r) {
			x.requests++
			x.last = p.Time
			x.count(p)
			return true
		}
		before = x
		break
	}
	began := tallyman.Clean(p.Time)
	if n := len(list); n > 0 && !began.After(list[n-1].began) {
		began = list[n-1].began.Add(time.Microsecond) // the time names the transfer
	}
	if before != nil && !before.ended {
		before.superseded(t, p, &r)
	}
	x := &transfer{
		client: p.Src, asked: p.Dst, req: r, began: began, last: p.Time, requests: 1, packets: 1, seen: p.Time, place: p.Number,
		text: r.mode == "netascii",
		held: before != nil && before.reason == tallyman.FinalAck && before.req.same(&r) && p.Time.Sub(before.endedAt) < repeatsWithin,
	}
	if len(list) >= mostOfClient {
		t.forgetOne(p.Src)
	}
	t.keep(p.Src, append(t.clients[p.Src], x))
	t.open = append(t.open, x)
	t.running++
	t.shrink()
	return true
}

// forgetOne drops the oldest of a client's transfers that ended, or the oldest of all.
func (t *Table) forgetOne(client netip.AddrPort) {
	list := t.clients[client]
	at := max(0, slices.IndexFunc(list, func(x *transfer) bool { return x.ended }))
	x := list[at]
	if !x.ended {
		x.giveUp(t, x.last, "too many requests of one client port")
	}
	t.keep(client, slices.Delete(list, at, at+1))
}

// shrink keeps the table within its bound. What goes is counted.
func (t *Table) shrink() {
	for len(t.open) > 2*t.cfg.Transfers || t.running > t.cfg.Transfers {
		at := t.leastWorth(t.running > t.cfg.Transfers)
		x := t.open[at]
		if !x.ended {
			t.Counts.Dropped++
			if len(x.lanes) > 0 {
				x.close(t, x.last, tallyman.InGap, "too many transfers at once")
			} else {
				x.stop(t, x.last, "")
			}
		}
		t.open = slices.Delete(t.open, at, at+1)
		t.remove(x)
	}
}

// leastWorth is the place in open of the transfer that goes first: of those that ended, the oldest; of those that run, the oldest that nobody answered, else
// the oldest to which its client never spoke again, as nobody does who forges the address of somebody else; else the one that stood still longest.
func (t *Table) leastWorth(running bool) int {
	if !running {
		if at := slices.IndexFunc(t.open, func(x *transfer) bool { return x.ended }); at >= 0 {
			return at
		}
	}
	if at := slices.IndexFunc(t.open, func(x *transfer) bool { return !x.ended && len(x.lanes) == 0 }); at >= 0 {
		return at
	}
	if at := slices.IndexFunc(t.open, func(x *transfer) bool { return !x.ended && x.chosen == nil }); at >= 0 {
		return at
	}
	least := 0
	for at, x := range t.open {
		if !x.ended && (t.open[least].ended || x.chosen.moved.Before(t.open[least].chosen.moved)) {
			least = at
		}
	}
	return least
}

func (t *Table) remove(x *transfer) {
	t.keep(x.client, slices.DeleteFunc(t.clients[x.client], func(y *transfer) bool { return y == x }))
}

// Unreachable takes an ICMP message: the packet that it quotes did not arrive.
func (t *Table) Unreachable(p *frame.Packet) {
	for _, x := range t.clients[p.Dst] {
		if l := x.lane(p.Src); l != nil && !x.ended {
			x.gone(t, l, p, true)
		}
	}
	for _, x := range t.clients[p.Src] {
		if x.ended {
			continue
		}
		if l := x.lane(p.Dst); l != nil || p.Dst == x.asked {
			x.gone(t, l, p, false)
		}
	}
}

// Blind tells that packets were lost: what is absent from now on proves nothing for the transfers that run.
func (t *Table) Blind() {
	for _, x := range t.open {
		x.blind = true
		for _, l := range x.lanes {
			l.blind = true
		}
	}
}

// Tick ends what has stalled and forgets what ended long ago. It looks once a second.
func (t *Table) Tick(now time.Time) {
	if d := now.Sub(t.ticked); d >= 0 && d < time.Second {
		return
	}
	t.ticked = now
	keep := t.open[:0]
	for _, x := range t.open {
		if !x.ended {
			x.tick(t, now)
		}
		if d := now.Sub(x.endedAt); x.ended && (d > lingers || d < -lingers) {
			t.remove(x)
			continue
		}
		keep = append(keep, x)
	}
	clear(t.open[len(keep):])
	t.open = keep
}

// End closes what still runs: the capture is over.
func (t *Table) End(now time.Time) {
	for _, x := range t.open {
		if !x.ended {
			x.tick(t, now)
		}
		if !x.ended {
			x.giveUp(t, now, "the capture ended")
		}
	}
	t.open = nil
	clear(t.clients)
	clear(t.ports[:])
}

// firstAnswer reports whether a server begins with such a packet.
func firstAnswer(b []byte, write bool) bool {
	if len(b) < 4 {
		return false
	}
	op, n := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	return op == opOACK || op == opERROR || op == opDATA && !write && n >= 1 || op == opACK && write && n == 0
}
