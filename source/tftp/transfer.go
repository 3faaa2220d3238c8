package tftp

import (
	"net/netip"
	"time"

	"tallyman"
	"tallyman/source/tftp/content"
	"tallyman/source/tftp/engine"
	"tallyman/source/tftp/halfopen"
	"tallyman/source/tftp/lane"
	"tallyman/source/tftp/packet"
	"tallyman/source/tftp/record"
	"tallyman/source/tftp/udp"
	"tallyman/source/tftp/wheel"
)

// transfer is one request and all that came of it. It belongs to the loop, or
// for a while to one thread. A slow reader costs one transfer, one open file
// and at most one lane.
type transfer struct {
	timer wheel.Entry[transfer]
	token halfopen.Entry[transfer]

	lane   *lane.Lane[transfer]
	peer   udp.Addr
	client netip.AddrPort
	route  udp.Route
	next   *transfer // of the same client address and port

	op      tallyman.Op
	name    string // as asked
	options string // as they came
	grant   engine.Grant
	read    engine.Read     // of a get
	write   engine.Write    // of a put
	source  content.Reading // of a get
	sink    content.Writing // of a put

	began     time.Time     // with both ends the name of the transfer
	tellAt    time.Duration // when the Recorder is due a word
	opened    bool          // the Recorder knows that it runs
	heard     bool          // the client has answered: its address is not forged, its token is back
	strangers uint32        // packets of others on its lane
	refusal   *Refusal      // what the server itself ran into

	thread *thread // that has the transfer, nil when the loop has it
	paused bool    // an upload whose lane is not read
	flight int     // DATA of an upload since its last ACK
	long   bool    // a lockstep read of many blocks
	stored bool    // an upload that stands under its name
	ended  bool
}

// machine is what both machines of package engine can do.
type machine interface {
	Packet(now time.Duration, p []byte) engine.Do
	Tick(now time.Duration) engine.Do
	Repeat(now time.Duration) engine.Do
	Gone(now time.Duration) engine.Do
	Stop(now time.Duration) engine.Do
	Refuse(now time.Duration, reason engine.Reason, e packet.Error) engine.Do
	Deadline() time.Duration
	Progress() time.Duration
	Outcome() engine.Outcome
}

// machine is the one that serves the transfer.
func (t *transfer) machine() machine {
	if t.op == tallyman.OpPut {
		return &t.write
	}
	return &t.read
}

// refuse ends the transfer with an ERROR for a reason of the server's own.
func (t *transfer) refuse(now time.Duration, r *Refusal) engine.Do {
	if t.refusal == nil {
		t.refusal = r
	}
	return t.machine().Refuse(now, engine.Reason(r.Reason), record.Answer(r.Reason))
}

// settled reports whether all is done but for the dally of an upload.
func (t *transfer) settled() bool { return t.op == tallyman.OpPut && t.write.Settled() }

// text reports whether the mode is netascii.
func (t *transfer) text() bool { return t.source.Text() || t.sink.Text() }

// about is what evidence tells of the transfer.
func (t *transfer) about() record.About {
	a := record.About{
		Op: t.op, Client: t.client, Server: t.lane.Self, Began: t.began, Name: t.name,
		Options: t.options, Text: t.text(), Grant: t.grant, Strangers: t.strangers,
	}
	if t.op == tallyman.OpPut {
		a.Path, a.Handle, a.Size, a.Expected = t.sink.Upload.Path(), t.sink.Upload.Handle(), -1, t.grant.Announced
	} else {
		a.Path, a.Handle, a.Size, a.Expected = t.source.File.Path(), t.source.File.Handle(), t.source.Size, t.source.WireSize()
	}
	return a
}

// end is what evidence tells of its end, but for size and digest.
func (t *transfer) end() record.End {
	end := record.End{Outcome: t.machine().Outcome(), Size: -1}
	end.Reason = tallyman.Reason(end.Outcome.Reason)
	if t.refusal != nil {
		end.Err = t.refusal.Text
	}
	return end
}

// table finds transfers by the client's address and port.
type table map[netip.AddrPort]*transfer

// on finds the client's transfer on a lane.
func (b table) on(client netip.AddrPort, a *lane.Lane[transfer]) *transfer {
	t := b[client]
	for t != nil && t.lane != a {
		t = t.next
	}
	return t
}

// same finds the transfer that a repeated request means.
func (b table) same(client netip.AddrPort, op tallyman.Op, name string) *transfer {
	t := b[client]
	for t != nil && (t.op != op || t.name != name) {
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
	switch {
	case first != t:
		for first.next != t {
			first = first.next
		}
		first.next = t.next
	case t.next == nil:
		delete(b, t.client)
	default:
		b[t.client] = t.next
	}
	t.next = nil
}
