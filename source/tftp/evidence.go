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

// teller writes evidence. It belongs to one goroutine: it reuses its memory.
type teller struct {
	to      tallyman.Recorder
	host    string
	proc    tallyman.Proc
	details details
	batch   [2]tallyman.Evidence
}

// sign is evidence of our own about nothing yet.
func (w *teller) sign(kind tallyman.Kind, at, began time.Time) tallyman.Evidence {
	return tallyman.Evidence{
		Kind: kind, Time: at, Began: began,
		Host: w.host, Witness: witness, Proto: proto, Proc: w.proc,
		Size: -1, Moved: -1, Expected: -1,
	}
}

// about is what all evidence of a transfer has in common.
func (w *teller) about(t *transfer, kind tallyman.Kind, at time.Time) tallyman.Evidence {
	e := w.sign(kind, at, t.began)
	e.Op, e.Peer, e.Self, e.Name = t.op, t.client, t.lane.self, t.raw
	if t.op == tallyman.OpPut {
		u := t.sink.store.upload
		e.Path, e.File, e.Expected = u.Path(), u.Handle(), t.grant.Announced
		return e
	}
	e.Path, e.File, e.Size = t.source.file.Path(), t.source.file.Handle(), t.source.size
	e.Expected = t.source.wireSize()
	return e
}

// opened says that the transfer runs.
func (w *teller) opened(t *transfer, now time.Duration) {
	w.batch[0], w.batch[1] = w.about(t, tallyman.KindRequest, t.began), w.about(t, tallyman.KindOpened, t.began)
	w.batch[1].Details = w.details.running(t)
	w.to.Record(w.batch[:]...)
	t.opened, t.tellAt = true, now+progressEvery
}

// tell says what is due: that a read has become a long one, or how far a
// transfer is. Of a client that has not answered yet, and may not exist, only the end is told.
func (w *teller) tell(t *transfer, now time.Duration) {
	switch {
	case !t.heard:
		t.tellAt = now + progressEvery
	case !t.opened:
		w.opened(t, now)
	default:
		e := w.about(t, tallyman.KindProgress, wall())
		e.Moved = t.outcome().Bytes
		w.to.Record(e)
		t.tellAt = now + progressEvery
	}
}

// closing is the evidence of the end; what the files know of it is left to the caller.
func (w *teller) closing(t *transfer, reason tallyman.Reason, out *engine.Outcome) tallyman.Evidence {
	e := w.about(t, tallyman.KindClosed, wall())
	e.Moved, e.Reason = out.Bytes, reason
	e.Details = w.details.closed(t, out)
	if out.ClientSaid {
		e.Err = out.ClientText
	}
	if t.refusal != nil {
		e.Err = t.refusal.Text
	}
	return e
}

// ended records the end, and the beginning with it when that is not known yet.
func (w *teller) ended(t *transfer, closed tallyman.Evidence) {
	if t.opened {
		w.to.Record(closed)
		return
	}
	w.batch[0], w.batch[1] = w.about(t, tallyman.KindRequest, t.began), closed
	w.to.Record(w.batch[:]...)
}

// read says how a read ended and lets its file go.
func (w *teller) read(t *transfer) {
	out := t.read.Outcome()
	e := w.closing(t, tallyman.Reason(out.Reason), &out)
	whole := out.Reason == engine.FinalAck || out.Reason == engine.Unconfirmed
	digest, unchanged := t.source.close(whole)
	e.Digest = digest
	if !unchanged && e.Err == "" {
		e.Err = "the file changed while it was read"
	}
	w.ended(t, e)
}

// write says how an upload ended that was not stored.
func (w *teller) write(t *transfer) {
	out := t.write.Outcome()
	w.ended(t, w.closing(t, tallyman.Reason(out.Reason), &out))
}

// stored is the evidence of an upload that a worker is about to store. The
// last ACK waits for it to be on stable storage.
func (w *teller) stored(t *transfer) *tallyman.Evidence {
	out := t.write.Outcome()
	reason := tallyman.Stored
	if t.grant.Announced >= 0 && out.Bytes > t.grant.Announced {
		reason = tallyman.AnnouncedSize
	}
	e := w.closing(t, reason, &out)
	e.Size, e.Digest = t.sink.bytes, t.sink.digest()
	return &e
}

// refused says that a request was refused, and why.
func (w *teller) refused(q *ask, r *Refusal, silent bool) {
	now := wall()
	e := w.sign(tallyman.KindRefusal, now, now)
	e.Op, e.Peer, e.Self, e.Name = q.op, q.client, q.self, string(q.request.Name)
	e.Reason, e.Err = r.Reason, r.Text
	e.Details = w.details.refused(q.request, q.said, silent)
	w.to.Record(e)
}
