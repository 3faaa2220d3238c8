package tftp

import (
	"tallyman"
)

// mostUploads bounds uploads at one time: each has a socket, a temporary file and memory of its own.
const mostUploads = 4096

// take appends a payload to the upload.
func (l *loop) take(t *transfer, payload []byte, last bool) *Refusal {
	s := &t.sink
	s.take(payload, last)
	if l.cfg.MaxSize > 0 && s.bytes > l.cfg.MaxSize {
		return l.tooLarge(s.bytes)
	}
	l.pump(t)
	return nil
}

func (l *loop) tooLarge(size int64) *Refusal {
	return &Refusal{Reason: tallyman.Quota, Text: "an upload of " + bytesText(size) + " is more than serve.tftp.max_size allows: " + bytesText(l.cfg.MaxSize)}
}

// pump hands the next work for an upload to a worker, and keeps the lane unread
// while too much waits.
func (l *loop) pump(t *transfer) {
	s := &t.sink
	if paused := len(s.full) >= chunksWaiting && !s.last; paused != s.paused {
		s.paused = paused
		if paused {
			l.poll.Remove(t.lane.socket)
		} else if err := l.poll.Add(t.lane.socket, t.lane.token()); err != nil {
			l.log.Error("watch upload again", "error", err)
		}
	}
	if s.busy {
		return
	}
	j := job{t: t, store: s.store, chunks: s.full}
	switch {
	case s.drop:
		j.act, j.chunks = dropping, nil
	case s.last:
		j.act, j.closed = finishing, l.tell.stored(t)
	case len(s.full) == 0:
		return
	}
	s.full, s.busy = nil, true
	l.workers.give(j)
}

// worked takes the answer of a worker.
func (l *loop) worked(j *job) {
	t, s := j.t, &j.t.sink
	s.busy = false
	switch {
	case j.act == dropping:
		l.uploading--
	case t.ended:
		l.pump(t)
	case j.err != nil:
		l.perform(t, t.refuse(l.now, refusalOf(j.err)))
	case j.act == finishing:
		t.stored = true
		l.settled++
		l.uploading--
		l.perform(t, t.write.Stored(l.now))
	default:
		if s.spare == nil {
			s.spare = j.chunks[0][:0]
		}
		l.pump(t)
	}
}

// endWrite records an upload that was not stored and removes what it left.
func (l *loop) endWrite(t *transfer, tell bool) {
	if t.stored {
		l.settled--
		return
	}
	if tell {
		l.tell.write(t)
	}
	t.sink.drop, t.sink.full, t.sink.paused = true, nil, false
	t.sink.last = false
	if !t.sink.busy {
		l.pump(t)
	}
}
