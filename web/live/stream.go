package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"tallyman"
)

const (
	mostStreams = 256                    // one more is answered with 503
	mostResumed = 1000                   // records that a resume reads from the ledger; beyond it the viewer starts again
	pace        = 250 * time.Millisecond // between two batches: at most four a second
	heartbeat   = 5 * time.Second        // between two system events
)

// ErrFull says that as many streams are open as may be.
var ErrFull = fmt.Errorf("%d live streams are open, which is the most: close a page", mostStreams)

// Stream is what one viewer wants, and what the stream needs for it.
type Stream struct {
	Where   tallyman.Expr // which transfers; nil = all
	Last    uint64        // begin with so many of the newest records
	Match   func(tallyman.Expr, *tallyman.Transfer) bool
	Ledger  tallyman.Ledger // for a viewer that comes back after the ring has gone on
	System  func() any      // how the program is doing; sent every five seconds as JSON
	Allowed func() error    // asked every five seconds; an error ends the stream
	Now     func() time.Time
	// Patience is how long a viewer may take nothing before it is disconnected.
	Patience time.Duration
}

// Serve sends records as they come, until the viewer goes, may no longer watch, takes nothing, or the feed is closed. The events are transfer, event, gap,
// finding, system, `leave` (a transfer no longer matches Where) and `resync` (the viewer has missed records: load the lists again). ErrFull comes
// before anything is written; any other error says how a stream ended that had begun.
func (f *Feed) Serve(w http.ResponseWriter, r *http.Request, s Stream) error {
	sub, ok := f.subscribe(s.Last)
	if !ok {
		return ErrFull
	}
	defer f.unsubscribe(sub)
	v := &viewer{Stream: s, feed: f, request: r, sub: sub, to: w, control: http.NewResponseController(w)}
	err := v.run()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		f.tally.slow.Inc()
	}
	return err
}

// viewer is one open stream.
type viewer struct {
	Stream
	feed    *Feed
	request *http.Request
	sub     *subscription
	to      http.ResponseWriter
	control *http.ResponseController
	out     bytes.Buffer
}

func (v *viewer) run() error {
	ctx := v.request.Context()
	h := v.to.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx: do not collect the answer
	_ = v.control.SetReadDeadline(time.Time{})
	v.out.WriteString("retry: 2000\n\n")
	v.putSystem()
	if err := v.resume(ctx, v.request.Header.Get("Last-Event-ID")); err != nil {
		return err
	}
	if err := v.flush(); err != nil {
		return err
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-v.feed.closed:
			return nil
		case <-beat.C:
			if err := v.Allowed(); err != nil {
				return err
			}
			v.putSystem()
			if err := v.flush(); err != nil {
				return err
			}
		case <-v.sub.wake:
			if err := v.putBatch(); err != nil {
				return err
			}
			if err := v.flush(); err != nil {
				return err
			}
			if !v.rest(ctx, pace) {
				return ctx.Err()
			}
		}
	}
}

// rest waits until the next batch is due.
func (v *viewer) rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-v.feed.closed:
		return true
	case <-ctx.Done():
		return false
	}
}

func (v *viewer) flush() error {
	if v.out.Len() == 0 {
		return nil
	}
	// Servers that cannot set a deadline (tests) keep none.
	_ = v.control.SetWriteDeadline(time.Now().Add(v.Patience))
	_, err := v.to.Write(v.out.Bytes())
	v.out.Reset()
	if v.out.Cap() > 1<<20 {
		v.out = bytes.Buffer{}
	}
	if err != nil {
		return err
	}
	return v.control.Flush()
}

// putBatch writes what is new, only the newest revision of each transfer.
func (v *viewer) putBatch() error {
	batch, first, lost := v.feed.take(v.sub)
	low := v.feed.since(v.Now())
	if lost {
		v.put("resync", v.eventID(first-1, low), []byte(`{"why":"this viewer was too slow"}`))
	}
	newest := make(map[tallyman.UUID]int, len(batch))
	for i, e := range batch {
		if t, ok := e.record.(*tallyman.Transfer); ok {
			newest[t.ID] = i
		}
	}
	for i, e := range batch {
		if t, ok := e.record.(*tallyman.Transfer); ok && newest[t.ID] != i {
			continue
		}
		if err := v.putRecord(e.record, e.encoded, v.eventID(first+uint64(i), low)); err != nil {
			return err
		}
	}
	return nil
}

// putRecord writes one record. A transfer that does not match is left away, or said to leave the list if an earlier revision may be in it.
func (v *viewer) putRecord(r tallyman.Record, encoded func() ([]byte, error), id string) error {
	name := ""
	switch r := r.(type) {
	case *tallyman.Transfer:
		name = "transfer"
		if v.Where != nil && r.Merged.IsZero() && !v.Match(v.Where, r) {
			if r.Rev > 1 {
				v.put("leave", id, fmt.Appendf(nil, `{"id":%q,"rev":%d}`, r.ID, r.Rev))
			}
			return nil
		}
	case *tallyman.Event:
		name = "event"
	case *tallyman.Gap:
		name = "gap"
	case *tallyman.Finding:
		name = "finding"
	}
	line, err := encoded()
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	v.put(name, id, line)
	return nil
}

func (v *viewer) putSystem() {
	line, err := json.Marshal(v.System())
	if err != nil {
		line = []byte(`{}`)
	}
	v.put("system", "", line)
}

// put writes one event. JSON has no line breaks, so one data line holds it.
func (v *viewer) put(name, id string, line []byte) {
	v.out.WriteString("event: " + name + "\n")
	if id != "" {
		v.out.WriteString("id: " + id + "\n")
	}
	v.out.WriteString("data: ")
	v.out.Write(line)
	v.out.WriteString("\n\n")
}

// eventID names a place: start of the program, number in its ring, and the time from which the ledger holds the rest.
func (v *viewer) eventID(seq uint64, low time.Time) string {
	return fmt.Sprintf("%s.%d.%d", v.feed.boot, seq, low.UnixMicro())
}

// resume goes on behind the last event that the viewer had: from the ring, or else from the ledger.
func (v *viewer) resume(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	part := strings.Split(id, ".")
	if len(part) != 3 {
		v.put("resync", "", []byte(`{"why":"the Last-Event-ID is none of ours"}`))
		return nil
	}
	seq, errSeq := strconv.ParseUint(part[1], 10, 64)
	micro, errLow := strconv.ParseInt(part[2], 10, 64)
	if errSeq != nil || errLow != nil {
		v.put("resync", "", []byte(`{"why":"the Last-Event-ID is none of ours"}`))
		return nil
	}
	if v.feed.rewind(v.sub, part[0], seq) {
		return nil
	}
	return v.replay(ctx, time.UnixMicro(micro).UTC())
}

// replay sends what the ledger holds since then, oldest first. What the ring holds comes after it: a viewer that sees a revision twice drops it.
func (v *viewer) replay(ctx context.Context, from time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, v.Patience)
	defer cancel()
	var found []tallyman.Record
	for t, err := range v.Ledger.Transfers(ctx, tallyman.Query{From: from, Limit: mostResumed + 1}) {
		if err != nil {
			return fmt.Errorf("read transfers: %w", err)
		}
		found = append(found, t)
	}
	for r, err := range v.Ledger.Events(ctx, tallyman.Query{From: from, Limit: mostResumed + 1}) {
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		found = append(found, r)
	}
	if len(found) > mostResumed {
		v.put("resync", "", []byte(`{"why":"more has happened than a stream repeats"}`))
		return nil
	}
	place := fmt.Sprintf("%s.%d.%d", v.feed.boot, 0, from.UnixMicro())
	for _, r := range slices.Backward(found) {
		if err := v.putRecord(r, func() ([]byte, error) { return json.Marshal(r) }, place); err != nil {
			return err
		}
	}
	return nil
}
