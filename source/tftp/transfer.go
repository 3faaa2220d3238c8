package tftp

import (
	"net/netip"
	"time"

	"tallyman"
	"tallyman/source/tftp/engine"
	"tallyman/source/tftp/udp"
)

// transfer is one request and all that came of it. It belongs to the loop, or
// for a while to one thread. A slow reader costs one transfer, one open file
// and at most one lane.
type transfer struct {
	place place // in the wheel
	due   time.Duration

	lane   *lane
	peer   udp.Addr
	client netip.AddrPort
	route  udp.Route
	next   *transfer // of the same client address and port

	op      tallyman.Op
	raw     string // name as asked
	options string // as they came
	grant   engine.Grant
	read    engine.Read  // of a get
	write   engine.Write // of a put
	source  source       // of a get
	sink    sink         // of a put

	began  time.Time     // with both ends the name of the transfer
	tellAt time.Duration // when the Recorder is due a word
	opened bool          // the Recorder knows that it runs

	// Half-open transfers stand in the order of their requests.
	older, newer *transfer
	queue        *queue
	heard        bool // the client has answered: its address is not forged, its token is back

	strangers uint32   // packets of others on its lane
	refusal   *Refusal // what the server itself ran into
	thread    *thread  // that has the transfer, nil when the loop has it
	long      bool     // a lockstep read of many blocks
	stored    bool     // an upload that stands under its name
	ended     bool
}

// text reports whether the mode is netascii.
func (t *transfer) text() bool { return t.source.text != nil || t.sink.decoder != nil }

func (t *transfer) mode() string {
	if t.text() {
		return "netascii"
	}
	return "octet"
}

// packet hands a packet of the client to the machine.
func (t *transfer) packet(now time.Duration, p []byte) engine.Do {
	if t.op == tallyman.OpPut {
		return t.write.Packet(now, p)
	}
	return t.read.Packet(now, p)
}

func (t *transfer) tick(now time.Duration) engine.Do {
	if t.op == tallyman.OpPut {
		return t.write.Tick(now)
	}
	return t.read.Tick(now)
}

func (t *transfer) repeat(now time.Duration) engine.Do {
	if t.op == tallyman.OpPut {
		return t.write.Repeat(now)
	}
	return t.read.Repeat(now)
}

func (t *transfer) gone(now time.Duration) engine.Do {
	if t.op == tallyman.OpPut {
		return t.write.Gone(now)
	}
	return t.read.Gone(now)
}

func (t *transfer) stop(now time.Duration) engine.Do {
	if t.op == tallyman.OpPut {
		return t.write.Stop(now)
	}
	return t.read.Stop(now)
}

// refuse ends the transfer with an ERROR for a reason of the server's own.
func (t *transfer) refuse(now time.Duration, r *Refusal) engine.Do {
	if t.refusal == nil {
		t.refusal = r
	}
	said := wireError(r.Reason)
	if t.op == tallyman.OpPut {
		return t.write.Refuse(now, engine.Reason(r.Reason), said)
	}
	return t.read.Refuse(now, engine.Reason(r.Reason), said)
}

func (t *transfer) deadline() time.Duration {
	if t.op == tallyman.OpPut {
		return t.write.Deadline()
	}
	return t.read.Deadline()
}

// progress is when the client last brought the transfer forward.
func (t *transfer) progress() time.Duration {
	if t.op == tallyman.OpPut {
		return t.write.Progress()
	}
	return t.read.Progress()
}

// settled reports whether all is done but for the dally of an upload.
func (t *transfer) settled() bool { return t.op == tallyman.OpPut && t.write.Settled() }

func (t *transfer) outcome() engine.Outcome {
	if t.op == tallyman.OpPut {
		return t.write.Outcome()
	}
	return t.read.Outcome()
}

// table finds transfers by the client's address and port.
type table map[netip.AddrPort]*transfer

// on finds the client's transfer on a lane.
func (b table) on(client netip.AddrPort, a *lane) *transfer {
	t := b[client]
	for t != nil && t.lane != a {
		t = t.next
	}
	return t
}

// same finds the transfer that a repeated request means.
func (b table) same(client netip.AddrPort, op tallyman.Op, name string) *transfer {
	t := b[client]
	for t != nil && (t.op != op || t.raw != name) {
		t = t.next
	}
	return t
}

// all is every transfer of now; the table may change while they are gone through.
func (b table) all() []*transfer {
	var out []*transfer
	for _, t := range b {
		for ; t != nil; t = t.next {
			out = append(out, t)
		}
	}
	return out
}

func (b table) add(t *transfer) {
	t.next = b[t.client]
	b[t.client] = t
}

func (b table) remove(t *transfer) {
	first := b[t.client]
	if first == t {
		if t.next == nil {
			delete(b, t.client)
		} else {
			b[t.client] = t.next
		}
	} else {
		for first.next != t {
			first = first.next
		}
		first.next = t.next
	}
	t.next = nil
}
