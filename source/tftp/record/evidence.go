// Package record writes the evidence of the TFTP server, as the witness "server":
//
//	quick read             Request and Closed, in one batch at the end
//	longer read, upload    Request and Opened, Progress each second, Closed
//	refused request        Refusal
//	flood of refusals      one Refusal with a count, at once and then each ten seconds
//
// It promises that evidence of one transfer carries the same ends and the same
// beginning, which together name it, and that details are canonical JSON whatever
// a client sends. When to say what, and what it proves, it leaves to the server and to the join.
package record

import (
	"net/netip"
	"time"

	"tallyman"
	"tallyman/source/tftp/engine"
	"tallyman/source/tftp/packet"
)

// The signature of our own server.
const (
	witness = "server"
	proto   = "tftp"
)

// Wall is the time of evidence that is written now.
func Wall() time.Time { return tallyman.Clean(time.Now()) }

// About is a transfer as its evidence tells it. Numbers are -1 when they are not known.
type About struct {
	Op             tallyman.Op
	Client, Server netip.AddrPort
	Began          time.Time
	Name           string // as asked
	Path, Handle   string
	Size, Expected int64
	Options        string // as they came
	Text           bool   // netascii
	Grant          engine.Grant
	Strangers      uint32 // packets of others on its port
}

// End is how a transfer ended.
type End struct {
	Outcome engine.Outcome
	Reason  tallyman.Reason
	Size    int64 // of an upload's file, -1 to leave it as it was
	Digest  tallyman.Digest
	Err     string // what went wrong on our side, if anything
}

// Request is a request that was refused.
type Request struct {
	Op             tallyman.Op
	Client, Server netip.AddrPort
	Request        packet.Request
	Answer         *packet.Error // nil: silence
}

// Scribe writes evidence. It belongs to one goroutine: it reuses its memory.
type Scribe struct {
	to      tallyman.Recorder
	host    string
	proc    tallyman.Proc
	details details
	batch   [2]tallyman.Evidence
}

// New makes a Scribe that signs with host and proc.
func New(to tallyman.Recorder, host string, proc tallyman.Proc) *Scribe {
	return &Scribe{to: to, host: host, proc: proc}
}

// Another makes a Scribe for another goroutine.
func (w *Scribe) Another() *Scribe { return New(w.to, w.host, w.proc) }

// sign is evidence of ours about nothing yet.
func (w *Scribe) sign(kind tallyman.Kind, at, began time.Time) tallyman.Evidence {
	return tallyman.Evidence{
		Kind: kind, Time: at, Began: began,
		Host: w.host, Witness: witness, Proto: proto, Proc: w.proc,
		Size: -1, Moved: -1, Expected: -1,
	}
}

func (w *Scribe) about(a *About, kind tallyman.Kind, at time.Time) tallyman.Evidence {
	e := w.sign(kind, at, a.Began)
	e.Op, e.Peer, e.Self, e.Name = a.Op, a.Client, a.Server, a.Name
	e.Path, e.File, e.Size, e.Expected = a.Path, a.Handle, a.Size, a.Expected
	return e
}

// Opened says that a transfer runs.
func (w *Scribe) Opened(a *About) {
	w.batch[0], w.batch[1] = w.about(a, tallyman.KindRequest, a.Began), w.about(a, tallyman.KindOpened, a.Began)
	w.batch[1].Details = w.details.running(a)
	w.to.Record(w.batch[:]...)
}

// Progress says how far it is.
func (w *Scribe) Progress(a *About, moved int64) {
	e := w.about(a, tallyman.KindProgress, Wall())
	e.Moved = moved
	w.to.Record(e)
}

// Closed is the evidence of the end, for somebody else to record.
func (w *Scribe) Closed(a *About, end *End) tallyman.Evidence {
	e := w.about(a, tallyman.KindClosed, Wall())
	e.Moved, e.Reason, e.Digest, e.Err = end.Outcome.Bytes, end.Reason, end.Digest, end.Err
	if end.Size >= 0 {
		e.Size = end.Size
	}
	if e.Err == "" && end.Outcome.ClientSaid {
		e.Err = end.Outcome.ClientText
	}
	e.Details = w.details.closed(a, &end.Outcome)
	return e
}

// Ended records the end; of a transfer that was not told of before (Opened) the request with it.
func (w *Scribe) Ended(a *About, end *End, opened bool) {
	w.batch[1] = w.Closed(a, end)
	if opened {
		w.to.Record(w.batch[1:]...)
		return
	}
	w.batch[0] = w.about(a, tallyman.KindRequest, a.Began)
	w.to.Record(w.batch[:]...)
}

// Refused says that a request was refused, and why.
func (w *Scribe) Refused(q *Request, reason tallyman.Reason, why string) {
	now := Wall()
	e := w.sign(tallyman.KindRefusal, now, now)
	e.Op, e.Peer, e.Self, e.Name = q.Op, q.Client, q.Server, string(q.Request.Name)
	e.Reason, e.Err = reason, why
	e.Details = w.details.refused(q.Request, q.Answer)
	w.to.Record(e)
}
