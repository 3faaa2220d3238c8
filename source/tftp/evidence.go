package tftp

import (
	"time"

	"tallyman"
	"tallyman/source/tftp/engine"
)

const (
	// quick reads are told of at their end, in one batch; a longer one is told
	// of as soon as it is this old, so that live pages see it.
	quick = 200 * time.Millisecond
	// progressEvery is how often a running transfer says how far it is.
	progressEvery = time.Second
)

// Evidence is signed with the name of the witness: our own server.
const (
	witness = "server"
	proto   = "tftp"
)

// wall is the time that evidence carries.
func wall() time.Time { return tallyman.Clean(time.Now()) }

// about is what all evidence of a transfer has in common.
func (l *loop) about(t *transfer, kind tallyman.Kind, at time.Time) tallyman.Evidence {
	e := tallyman.Evidence{
		Time: at, Began: t.began, Kind: kind,
		Host: l.host, Witness: witness, Proto: proto, Op: t.op, Proc: l.proc,
		Peer: t.client, Self: t.lane.self, Name: t.raw,
		Size: -1, Moved: -1, Expected: -1,
	}
	if t.op == tallyman.OpPut {
		e.Path, e.Expected = t.sink.store.upload.Path(), t.grant.Announced
		return e
	}
	e.Path, e.File, e.Size = t.source.file.Path(), t.source.file.Handle(), t.source.size
	e.Expected = t.source.wireSize()
	return e
}

// tellOpened says that the transfer runs.
func (l *loop) tellOpened(t *transfer) {
	l.batch[0], l.batch[1] = l.about(t, tallyman.KindRequest, t.began), l.about(t, tallyman.KindOpened, t.began)
	l.batch[1].Details = l.details.running(t)
	l.to.Record(l.batch[:]...)
	t.opened, t.tellAt = true, l.now+progressEvery
}

// tell says what is due: that a read has become a long one, or how far a
// transfer is. Of a client that has not answered yet, and may not exist, only the end is told.
func (l *loop) tell(t *transfer) {
	if !t.heard {
		t.tellAt = l.now + progressEvery
		return
	}
	if !t.opened {
		l.tellOpened(t)
		return
	}
	e := l.about(t, tallyman.KindProgress, wall())
	e.Moved = t.outcome().Bytes
	l.to.Record(e)
	t.tellAt = l.now + progressEvery
}

// closing is the evidence of the end; what the files know of it is left to the caller.
func (l *loop) closing(t *transfer, reason tallyman.Reason, out *engine.Outcome) tallyman.Evidence {
	e := l.about(t, tallyman.KindClosed, wall())
	e.Moved, e.Reason = out.Bytes, reason
	e.Details = l.details.closed(t, out)
	if out.ClientSaid {
		e.Err = out.ClientText
	}
	if t.refusal != nil {
		e.Err = t.refusal.Text
	}
	return e
}

// tellRead says how a read ended and lets its file go.
func (l *loop) tellRead(t *transfer) {
	out := t.read.Outcome()
	e := l.closing(t, tallyman.Reason(out.Reason), &out)
	whole := out.Reason == engine.FinalAck || out.Reason == engine.Unconfirmed
	digest, unchanged := t.source.close(whole)
	e.Digest = digest
	if !unchanged && e.Err == "" {
		e.Err = "the file changed while it was read"
	}
	l.tellEnd(t, e)
}

// tellWrite says how an upload ended that was not stored.
func (l *loop) tellWrite(t *transfer) {
	out := t.write.Outcome()
	l.tellEnd(t, l.closing(t, tallyman.Reason(out.Reason), &out))
}

// tellEnd records the end, and the beginning with it when that is not known yet.
func (l *loop) tellEnd(t *transfer, closed tallyman.Evidence) {
	if t.opened {
		l.to.Record(closed)
		return
	}
	l.batch[0], l.batch[1] = l.about(t, tallyman.KindRequest, t.began), closed
	l.to.Record(l.batch[:]...)
}

// stored is the evidence of an upload that a worker is about to store. The
// last ACK waits for it to be on stable storage.
func (l *loop) stored(t *transfer) *tallyman.Evidence {
	out := t.write.Outcome()
	reason := tallyman.Stored
	if t.grant.Announced >= 0 && out.Bytes > t.grant.Announced {
		reason = tallyman.AnnouncedSize
	}
	e := l.closing(t, reason, &out)
	e.Size = t.sink.bytes
	return &e
}

// tellRefused says that a request was refused, and why.
func (l *loop) tellRefused(q *ask, r *Refusal, silent bool) {
	e := tallyman.Unknown()
	e.Time = wall()
	e.Began, e.Kind = e.Time, tallyman.KindRefusal
	e.Host, e.Witness, e.Proto, e.Proc = l.host, witness, proto, l.proc
	e.Op, e.Peer, e.Self, e.Name = q.op, q.client, q.self, string(q.request.Name)
	e.Reason, e.Err = r.Reason, r.Text
	e.Details = l.details.refused(q.request, q.said, silent)
	l.to.Record(e)
}
