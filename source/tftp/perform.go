package tftp

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/source/tftp/content"
	"tallyman/source/tftp/engine"
	"tallyman/source/tftp/lane"
	"tallyman/source/tftp/packet"
	"tallyman/source/tftp/udp"
)

// start sends the first reply.
func (l *loop) start(t *transfer) {
	if t.op == tallyman.OpPut {
		l.uploading++
		if t.wide() {
			l.windowed++
		}
		l.perform(t, t.write.Start(l.now, t.grant, l.engine))
		return
	}
	do := t.read.Start(l.now, t.grant, l.engine)
	if size := t.source.WireSize(); size >= 0 {
		t.read.Final(t.grant.LastBlock(size))
	}
	l.perform(t, do)
}

// perform does what a machine asks for, and what that leads to.
func (l *loop) perform(t *transfer, do engine.Do) {
	if t.op == tallyman.OpPut && (do.Store != nil || do.Last) {
		if r := l.take(t, do.Store, do.Last); r != nil {
			do = t.refuse(l.now, r)
		}
	}
	if do.Count > 0 {
		if r := l.sendBlocks(t, do.From, do.Count); r != nil {
			do = t.refuse(l.now, r)
		}
	}
	switch {
	case do.OACK:
		l.send(t, t.grant.AppendOACK(l.packet[:0]))
	case do.Ack:
		t.flight = 0
		l.send(t, packet.AppendAck(l.packet[:0], do.AckBlock))
	case do.SendError:
		l.sendError(t.lane, &t.peer, do.Error)
	}
	if t.op == tallyman.OpPut && !do.Done && (do.Ack || do.Last || t.sink.Full()) {
		l.pump(t) // while the client sends its next window
	}
	if do.Done {
		l.end(t, true)
		return
	}
	l.schedule(t)
	if do.Count == 1 && t.grant.Window == 1 && do.From%longRead == 0 && t.op == tallyman.OpGet && !t.text() {
		l.promote(t)
	}
}

// send sends a small packet to the client. A fault of an earlier packet stops
// it once.
func (l *loop) send(t *transfer, p []byte) {
	err := t.lane.Socket.Send(p, &t.peer)
	if l.told(t, err) {
		err = t.lane.Socket.Send(p, &t.peer)
	}
	if err != nil {
		l.counts.Unsent.Add(1)
	}
}

// told reports whether err only tells of an earlier packet, to this client or
// another one on its lane, so that sending is worth another try.
func (l *loop) told(t *transfer, err error) bool {
	errno, ok := errors.AsType[unix.Errno](err)
	if !ok || !slices.Contains(tidings[:], errno) {
		return false
	}
	l.noteFaults(t.lane)
	return true
}

// tidings is what the kernel makes of ICMP errors (net/ipv4/icmp.c, icmp_err_convert).
var tidings = [...]unix.Errno{
	unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EPROTO, unix.ENOPROTOOPT, unix.EMSGSIZE, unix.EACCES,
	unix.EOPNOTSUPP, unix.EHOSTDOWN, unix.ENONET,
}

// sendError sends an ERROR. If it is lost, nobody waits for it.
func (l *loop) sendError(a *lane.Lane[transfer], to *udp.Addr, e packet.Error) {
	var buf [128]byte
	if err := a.Socket.Send(packet.AppendError(buf[:0], e), to); err != nil {
		if a.Socket.Send(packet.AppendError(buf[:0], e), to) != nil {
			l.counts.Unsent.Add(1)
		}
	}
}

// sendBlocks sends DATA from..from+count-1, read from the file: what is sent
// again is read again, so that a slow reader holds no buffer.
func (l *loop) sendBlocks(t *transfer, from uint64, count int) *Refusal {
	size := t.grant.BlockSize
	acked := int64(t.read.Acked()) * int64(size)
	for count > 0 {
		n := min(count, packetBatch, len(l.scratch)/size)
		data, err := t.source.Load(l.scratch[:n*size], int64(from-1)*int64(size), acked)
		if err != nil {
			return content.RefusalOf(err)
		}
		if len(data) < n*size { // the content ends here: with a short block, maybe an empty one
			n = len(data)/size + 1
			count = n
			if t.text() {
				t.read.Final(from+uint64(n)-1, len(data)%size)
			}
		}
		l.flush(t, data, from, n)
		t.source.Sum(data, int64(from-1)*int64(size))
		from += uint64(n)
		count -= n
	}
	return nil
}

// flush sends what is in the outbox. What the kernel does not take is lost as
// on the wire: the client asks for it again.
func (l *loop) flush(t *transfer, data []byte, from uint64, n int) {
	l.fill(t, data, from, 0, n)
	sent, err := l.outbox.Flush(t.lane.Socket, &t.peer, &t.route, false)
	if l.told(t, err) {
		l.fill(t, data, from, sent, n)
		var more int
		more, err = l.outbox.Flush(t.lane.Socket, &t.peer, &t.route, false)
		sent += more
	}
	if err != nil {
		l.counts.Unsent.Add(uint64(n - sent))
	}
}

// fill puts the DATA of data into the outbox: n blocks less those before first.
func (l *loop) fill(t *transfer, data []byte, from uint64, first, n int) {
	size := t.grant.BlockSize
	for i := first; i < n; i++ {
		low := min(i*size, len(data))
		number := uint16(from + uint64(i)) // 65535 is followed by 0
		l.outbox.Add(uint32(packet.DATA)<<16|uint32(number), data[low:min(low+size, len(data))])
	}
}

// forget ends a half-open transfer that has to make room. Its client may
// never have existed: it is counted with those that were refused for the same reason.
func (l *loop) forget(t *transfer) {
	l.counts.Limited.Add(1)
	l.limited.Add(t.client, t.lane.Self)
	l.end(t, false)
}

// end ends a transfer: it is recorded, if tell says so, and forgotten.
func (l *loop) end(t *transfer, tell bool) {
	t.ended = true
	l.wheel.Remove(&t.timer)
	l.table.remove(t)
	l.active--
	if t.long {
		l.long--
	}
	if !t.heard {
		l.half.Give(&t.token, false)
	}
	if t.op == tallyman.OpPut {
		l.endWrite(t, tell)
		l.lanes.Leave(t.lane, t, &t.peer)
		return // a worker may have its store
	}
	if tell {
		l.tellRead(t)
	} else {
		t.source.Close(false)
	}
	l.lanes.Leave(t.lane, t, &t.peer)
}
