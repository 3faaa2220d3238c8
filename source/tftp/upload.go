package tftp

import (
	"fmt"
	"time"

	"tallyman"
	"tallyman/source/tftp/content"
)

// mostUploads bounds uploads at one time: each has a socket, a temporary file and memory of its own.
const mostUploads = 4096

// A window of an upload comes packet by packet, and to be woken for each costs
// client and server more than the packet. When nothing else goes on the loop
// rests a while midway, as network cards do, and then takes what has come at once.
const (
	gatherFor  = 30 * time.Microsecond
	gatherFrom = 16 // packets that are still to come
)

// wide reports whether an upload's windows are worth gathering for.
func (t *transfer) wide() bool { return t.grant.Window >= 2*gatherFrom }

// gather makes use of the time that the rest of a window needs.
func (l *loop) gather(t *transfer) {
	if l.alone() {
		if t.grant.Window-t.flight >= gatherFrom {
			t.sink.Sum()
		}
		return
	}
	if t.flight > 0 && t.grant.Window-t.flight >= gatherFrom && l.windowed == l.active-l.settled {
		l.gathering = true
	}
}

// alone reports whether one upload of wide windows is all that goes on.
func (l *loop) alone() bool { return l.windowed == 1 && l.active-l.settled == 1 }

// take appends a payload to the upload.
func (l *loop) take(t *transfer, payload []byte, last bool) *Refusal {
	t.flight++
	t.sink.Take(payload, last)
	if size := t.sink.Size(); l.cfg.MaxSize > 0 && size > l.cfg.MaxSize {
		return l.tooLarge(size)
	}
	return nil
}

func (l *loop) tooLarge(size int64) *Refusal {
	return &Refusal{Reason: tallyman.Quota, Text: fmt.Sprintf("an upload of %d bytes is more than serve.tftp.max_size allows: %d", size, l.cfg.MaxSize)}
}

// pump hands the next job for an upload to a worker, and leaves the lane unread
// while too much waits.
func (l *loop) pump(t *transfer) {
	if l.alone() {
		t.sink.Sum()
	}
	if full := t.sink.Full(); full != t.paused && !t.ended {
		t.paused = full
		if full {
			l.poll.Remove(t.lane.Socket)
		} else if err := l.poll.Add(t.lane.Socket, t.lane.Token()); err != nil {
			l.log.Error("watch upload again", "error", err)
		}
	}
	if j, ok := t.sink.Next(t, func() *tallyman.Evidence { return l.stored(t) }); ok {
		l.workers.Give(j)
	}
}

// stored is the evidence of an upload that a worker is about to store. The
// last ACK waits for it to be on stable storage.
func (l *loop) stored(t *transfer) *tallyman.Evidence {
	a, end := t.about(), t.end()
	end.Reason, end.Size = tallyman.Stored, t.sink.Size()
	end.Outcome.LastAcked = end.Outcome.LastBlock // as soon as this is recorded
	if announced := t.grant.Announced; announced >= 0 && end.Outcome.Bytes > announced {
		end.Reason = tallyman.AnnouncedSize
	}
	e := l.scribe.Closed(&a, &end)
	return &e
}

// worked takes a job that a worker has done.
func (l *loop) worked(j *content.Job) {
	t := j.Of.(*transfer)
	t.sink.Back(j)
	switch {
	case j.Dropped():
		l.uploading--
	case t.ended:
		l.pump(t)
	case j.Err != nil:
		l.perform(t, t.refuse(l.now, content.RefusalOf(j.Err)))
	case j.Finished():
		t.stored = true
		l.settled++
		l.narrow(t)
		l.uploading--
		l.perform(t, t.write.Stored(l.now))
	default:
		l.pump(t)
	}
}

// endWrite ends an upload. One that was not stored is removed, and recorded if tell says so.
func (l *loop) endWrite(t *transfer, tell bool) {
	if t.stored {
		l.settled--
		return
	}
	l.narrow(t)
	if tell {
		a, end := t.about(), t.end()
		l.scribe.Ended(&a, &end, t.opened)
	}
	t.sink.Drop()
	l.pump(t)
}

// narrow ends the gathering for t.
func (l *loop) narrow(t *transfer) {
	if t.wide() {
		l.windowed--
	}
}
