package tftp

import (
	"time"

	"tallyman/source/tftp/engine"
	"tallyman/source/tftp/record"
)

const (
	// quick reads are told of at their end, in one batch; a longer one is told
	// of as soon as it is this old, so that live pages see it.
	quick = 200 * time.Millisecond
	// progressEvery is how often a running transfer says how far it is.
	progressEvery = time.Second
)

// tell says what is due: that a transfer runs, or how far it is. Of a client
// that has not answered yet, and may not exist, only the end is told; of an
// upload that is stored and dallies, nothing more.
func (t *transfer) tell(w *record.Scribe, now time.Duration) {
	t.tellAt = now + progressEvery
	if !t.heard || t.stored {
		return
	}
	a := t.about()
	if t.opened {
		w.Progress(&a, t.machine().Outcome().Bytes)
		return
	}
	w.Opened(&a)
	t.opened = true
}

// tellRead says how a read ended and lets its file go.
func (l *loop) tellRead(t *transfer) {
	a, end := t.about(), t.end()
	whole := end.Outcome.Reason == engine.FinalAck || end.Outcome.Reason == engine.Unconfirmed
	digest, unchanged := t.source.Close(whole)
	end.Digest = digest
	if !unchanged && end.Err == "" {
		end.Err = "the file changed while it was read"
	}
	l.scribe.Ended(&a, &end, t.opened)
}

// tellFloods records the floods that are due, or all.
func (l *loop) tellFloods(all bool) {
	for _, f := range [...]*record.Flood{&l.limited, &l.illegible, &l.outside, &l.refused} {
		l.scribe.Flood(f, l.now, all)
	}
}
