package tftp

import (
	"errors"
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
)

// ask is a request under examination.
type ask struct {
	port    *udp.Port
	request packet.Request
	op      tallyman.Op
	peer    udp.Addr
	client  netip.AddrPort
	self    netip.AddrPort // the request port, at the address that was asked
	said    packet.Error   // what the client is told, when the reason does not say it all
}

// receiveRequests takes a batch of datagrams off a request port.
func (l *loop) receiveRequests(p *udp.Port) {
	if _, err := l.requests.Receive(p.Socket); err != nil {
		return
	}
	var in udp.Packet
	for l.requests.Next(&in) {
		l.datagram(p, &in)
	}
	l.opener.Forget()
}

// datagram looks at what came to a request port.
func (l *loop) datagram(p *udp.Port, in *udp.Packet) {
	l.counts.Requests.Add(1)
	q := ask{port: p, peer: *in.From, client: in.From.AddrPort(), op: tallyman.OpGet}
	if !in.Asked.IsValid() {
		in.Asked = p.At.Addr()
	}
	q.self = netip.AddrPortFrom(in.Asked, p.At.Port())
	var err error
	switch q.request, err = packet.ParseRequest(in.Payload); {
	case errors.Is(err, packet.ErrNoRequest):
		l.counts.Malformed.Add(1) // never answered: answering a stray ERROR with an ERROR would let two servers loop
	case err != nil || in.Cut:
		l.counts.Malformed.Add(1)
		l.illegible.Add(q.client, q.self)
	default:
		if q.request.Op == packet.WRQ {
			q.op = tallyman.OpPut
		}
		l.request(&q)
	}
}

// request answers a request: again, as the transfer that it begins, with an ERROR or not at all.
func (l *loop) request(q *ask) {
	name := string(q.request.Name)
	if t := l.table.same(q.client, q.op, name); t != nil && !l.anew(t, q) {
		if t.thread == nil {
			l.perform(t, t.machine().Repeat(l.now))
		}
		return
	}
	if l.cfg.SinglePort {
		l.supersede(q)
	}
	if ok, why, silent := l.gate(q.client.Addr()); !ok {
		if l.outsiders.Take(l.now) {
			l.refuse(q, &Refusal{Reason: tallyman.NotAllowed, Text: why}, silent)
		} else { // a flood, most likely of forged addresses: neither they nor the books shall have it
			l.counts.Refused.Add(1)
			l.outside.Add(q.client, q.self)
		}
		return
	}
	if !l.half.Free(q.client.Addr()) || l.active >= l.most || q.op == tallyman.OpPut && l.uploading >= mostUploads {
		l.counts.Limited.Add(1)
		l.limited.Add(q.client, q.self)
		return
	}
	t, r := l.begin(q, name)
	if r != nil {
		l.refuse(q, r, false)
		return
	}
	l.counts.Served.Add(1)
	l.active++
	t.token = halfopen.Entry[transfer]{Of: t, Client: q.client.Addr(), Upload: q.op == tallyman.OpPut}
	l.half.Take(&t.token)
	l.table.add(t)
	t.began = record.Wall()
	t.tellAt = l.now + quick
	l.start(t)
	if old := l.half.Excess(); old != nil {
		l.forget(old)
	}
}

// supersede ends what the client has under way from its port: on a single port
// its packets could mean that or what it asks for now.
func (l *loop) supersede(q *ask) {
	for t := l.table[q.client]; t != nil; {
		next := t.next
		switch {
		case t.lane.Self != q.self:
		case t.settled():
			l.perform(t, t.machine().Stop(l.now))
		default:
			l.perform(t, t.machine().Gone(l.now))
		}
		t = next
	}
}

// repeatSpan is how long after the last progress of a transfer its request is
// taken for one that was delayed on its way. After that the client has begun
// again: a boot ROM asks from the same port after each reset.
const repeatSpan = 2 * time.Second

// anew reports whether a request that names a transfer of its client means a
// new one, because the old one is over or stands still, or because the client
// has thought better of its options before it answered; it ends it then.
func (l *loop) anew(t *transfer, q *ask) bool {
	if !t.heard && (t.options != string(q.request.Options) || t.text() != (q.request.Mode() == packet.NetASCII)) {
		l.end(t, false) // the next one tells of it
		return true
	}
	if t.thread != nil { // it comes back, for the case that the client asks once more
		t.thread.recall.Store(true)
		return false
	}
	// What the client sent before this request waits on the lane, and may be its last ACK.
	// (On a single port it came before the request.)
	for a := t.lane; !a.Port && !t.ended && t.heard && t.thread == nil && l.receive(a, false); {
	}
	if !t.ended && t.heard && t.thread == nil && l.now-t.machine().Progress() > repeatSpan {
		if t.settled() {
			l.perform(t, t.machine().Stop(l.now))
		} else {
			l.perform(t, t.machine().Gone(l.now))
		}
	}
	return t.ended
}

// begin makes the transfer, or says why not.
func (l *loop) begin(q *ask, raw string) (*transfer, *Refusal) {
	if q.op == tallyman.OpGet && !l.cfg.Read {
		return nil, &Refusal{Reason: tallyman.Policy, Text: "this server is write-only (serve.tftp.read is false)"}
	}
	if q.op == tallyman.OpPut && !l.cfg.Write {
		return nil, &Refusal{Reason: tallyman.Policy, Text: "this server takes no uploads (serve.tftp.write is no)"}
	}
	if mode := q.request.Mode(); mode != packet.Octet && mode != packet.NetASCII {
		q.said = packet.Error{Code: packet.IllegalOperation, Text: "unknown transfer mode"}
		return nil, &Refusal{Reason: tallyman.BadRequest, Text: "unknown transfer mode " + tallyman.Escape(string(q.request.ModeName))}
	}
	wish := raw
	if l.cfg.TrimNames {
		wish = content.TrimName(raw)
	}
	name, err := tallyman.ParseName(wish)
	if err != nil {
		return nil, &Refusal{Reason: tallyman.BadRequest, Text: err.Error()}
	}
	t := &transfer{}
	t.timer.Of = t
	t.op, t.name, t.options = q.op, raw, string(q.request.Options)
	t.peer, t.client = q.peer, q.client
	if q.op == tallyman.OpPut {
		err = l.beginWrite(t, q, name)
	} else {
		err = l.beginRead(t, q, name)
	}
	if err != nil {
		return nil, content.RefusalOf(err)
	}
	t.lane.Enter(t)
	return t, nil
}

func (l *loop) beginRead(t *transfer, q *ask, name tallyman.Name) error {
	f, err := l.opener.Open(name)
	if err != nil {
		return err
	}
	t.source = content.NewReading(f, q.request.Mode() == packet.NetASCII)
	t.grant, _ = engine.Negotiate(q.request, l.engine, t.source.WireSize()) // the mode was looked at before
	t.lane, err = l.readLane(q)
	if err != nil {
		_ = f.Close()
	}
	return err
}

// readLane finds a lane for a reply, where the client has no other transfer.
func (l *loop) readLane(q *ask) (*lane.Lane[transfer], error) {
	if l.cfg.SinglePort {
		return l.lanes.Single(q.port.Socket, q.self.Addr())
	}
	return l.lanes.ForRead(q.self.Addr(), &q.peer, func(a *lane.Lane[transfer]) bool { return l.table.on(q.client, a) != nil })
}

func (l *loop) beginWrite(t *transfer, q *ask, name tallyman.Name) error {
	limits := l.engine
	limits.ReceiveBuffer = lane.MostRoom
	grant, _ := engine.Negotiate(q.request, limits, -1)
	if announced := grant.Announced; l.cfg.MaxSize > 0 && announced > l.cfg.MaxSize {
		return l.tooLarge(announced)
	}
	u, err := l.files.Create(name, grant.Announced, q.client.Addr())
	if err != nil {
		return err
	}
	a, room, err := l.writeLane(q, grant.Window*grant.BlockSize)
	if err != nil {
		u.Abort()
		return err
	}
	limits.ReceiveBuffer = room
	t.grant, _ = engine.Negotiate(q.request, limits, -1)
	t.lane = a
	t.sink = content.NewWriting(u, q.request.Mode() == packet.NetASCII, t.grant.Window*t.grant.BlockSize)
	return nil
}

// writeLane finds a lane for an upload with such a window, and what a window
// may be granted by.
func (l *loop) writeLane(q *ask, window int) (*lane.Lane[transfer], int, error) {
	if l.cfg.SinglePort {
		a, err := l.lanes.Single(q.port.Socket, q.self.Addr())
		return a, lane.PlainRoom, err
	}
	return l.lanes.ForUpload(q.self.Addr(), window)
}

// refuse answers with an ERROR that leaves from a transfer port, and records the refusal.
func (l *loop) refuse(q *ask, r *Refusal, silent bool) {
	l.counts.Refused.Add(1)
	if q.said.Text == "" {
		q.said = record.Answer(r.Reason)
	}
	if !silent {
		if a, err := l.readLane(q); err == nil {
			q.self = a.Self
			l.sendError(a, &q.peer, q.said)
			l.lanes.Pass(a, &q.peer)
		}
	}
	if !l.refusals.Take(l.now) {
		l.refused.Add(q.client, q.self)
		return
	}
	refused := record.Request{Op: q.op, Client: q.client, Server: q.self, Request: q.request}
	if !silent {
		refused.Answer = &q.said
	}
	l.scribe.Refused(&refused, r.Reason, r.Text)
}
