// Package stream puts one direction of a TCP connection together (RFC 9293): bytes in their order, each once.
//
//	segments --> Half --> bytes from offset 0, holes counted
//
// It promises offsets of 64 bits, so that sequence numbers may wrap; the first copy of a byte wins, and bytes that came in two versions before the
// receiver acknowledged one of them are counted, since which one it took cannot be known; what the receiver acknowledged and we never saw is counted as
// missing; what waits for its turn is bounded. It is pure. What the bytes mean it leaves to others.
package stream

import (
	"bytes"
	"slices"
	"time"

	"tallyman/source/wire/frame"
)

// What a Half keeps until its turn. When it is full, the hole before is given up and counted as missing.
const (
	mostSegments = 1024
	mostBytes    = 1 << 20
	ahead        = 64 << 20               // a segment further ahead is none of this connection
	patience     = 200 * time.Millisecond // how long after its acknowledgement a segment may still come
	mostRecent   = 1 << 20                // bytes that were taken and not acknowledged; when more come, the oldest are forgotten, and Unsure counts
)

// Taker takes the next n bytes, of which data were captured. It must not keep data.
type Taker func(data []byte, n int)

// farther is where the stream stands as its ends say, more than ahead beyond what is due.
type farther struct {
	segment *frame.Packet // nil: the sender has not said
	at      int64         // of the segment
	acked   int64         // 0: the receiver has not said
}

// segment waits for its turn.
type segment struct {
	at, n int64
	data  []byte
}

// Half is one direction of a connection. The zero Half waits for its first segment.
type Half struct {
	// Patience is how long after its acknowledgement a segment may still come, where packets are captured out of their order.
	Patience time.Duration

	Started bool
	Whole   bool  // the SYN was seen: offset 0 is the first byte
	Next    int64 // the offset that is due
	Acked   int64 // up to where the receiver confirmed
	Missing int64 // bytes that were never seen
	Again   int64 // bytes that came again
	Differ  int64 // bytes that came again with another content before they were acknowledged
	Unsure  int64 // bytes that came again before they were acknowledged, and could not be compared any more
	Fin     bool  // the FIN was reached, after all that went before
	Reset   bool
	FinSeen bool // a FIN came, perhaps before its turn
	TwoEnds bool // there is more behind the FIN, or another one: where the stream ends is not known

	base   uint32 // the sequence number of offset 0
	finAt  int64
	early  []segment
	held   int64
	holeAt time.Time // since when an acknowledged hole waits
	far    farther
	recent []byte // the last bytes that were taken, up to Next, as far as they are not acknowledged
	forgot bool   // recent is not all of these
}

// Segment takes a segment of this direction.
func (h *Half) Segment(p *frame.Packet, take Taker) {
	if p.Has(frame.SYN) {
		if h.Started {
			return
		}
		h.Started, h.Whole, h.base = true, true, p.Seq+1
		if p.Length > 0 { // RFC 7413: data on the SYN
			h.insert(0, p, take)
		}
		return
	}
	if !h.Started {
		if p.Length == 0 && !p.Has(frame.FIN) && !p.Has(frame.RST) {
			// A bare acknowledgement tells where the stream stands.
			h.Started, h.base = true, p.Seq
			return
		}
		h.Started, h.base = true, p.Seq
	}
	at := h.offset(p.Seq)
	if at > h.Next+ahead && !p.Has(frame.RST) {
		q := *p
		q.Payload = bytes.Clone(p.Payload)
		h.far.segment, h.far.at = &q, at
		h.follow(take)
		return
	}
	if p.Has(frame.RST) {
		// RFC 5961: only a reset at the place that is due is believed; one that is near may answer data that we have not seen.
		if at >= h.Next-mostBytes && at <= h.Next+mostBytes {
			h.Reset = true
		}
		return
	}
	if at < h.Next-1<<30 {
		return
	}
	end := at + int64(p.Length)
	switch {
	case p.Has(frame.FIN) && !h.FinSeen:
		h.FinSeen, h.finAt, h.TwoEnds = true, end, h.Next > end
	case h.FinSeen && h.Acked <= h.finAt && (p.Length > 0 && end > h.finAt || p.Has(frame.FIN) && end != h.finAt):
		h.TwoEnds = true
	}
	if p.Length > 0 && (!h.FinSeen || at < h.finAt) {
		h.insert(at, p, take)
	}
	h.finish()
}

// offset returns the 64-bit offset that is nearest to what is due.
func (h *Half) offset(seq uint32) int64 {
	return h.Next + int64(int32(seq-(h.base+uint32(h.Next))))
}

// follow goes on where both ends say that the stream stands, far ahead: many packets were not captured. What one of them says alone may be forged.
func (h *Half) follow(take Taker) {
	f := h.far
	if f.segment == nil || f.acked == 0 || max(f.at, f.acked)-min(f.at, f.acked) > ahead {
		return
	}
	h.far = farther{}
	for len(h.early) > 0 {
		h.giveUp(take)
	}
	h.skip(min(f.at, f.acked), take)
	h.Acked = max(h.Acked, f.acked)
	h.Segment(f.segment, take)
}

func (h *Half) finish() {
	if h.FinSeen && !h.Fin && h.Next >= h.finAt {
		h.Fin = true
	}
}

func (h *Half) insert(at int64, p *frame.Packet, take Taker) {
	data, n := p.Payload, int64(p.Length)
	if h.FinSeen {
		n = min(n, h.finAt-at)
		data = data[:min(int64(len(data)), n)]
	}
	if at < h.Next {
		skip := min(h.Next-at, n)
		h.Again += skip
		h.compare(at, data[:min(skip, int64(len(data)))])
		at, n, data = at+skip, n-skip, data[min(skip, int64(len(data))):]
	}
	if n == 0 {
		return
	}
	if at == h.Next && len(h.early) == 0 {
		h.give(data, n, take)
		return
	}
	h.wait(at, n, data)
	h.drain(take)
	for len(h.early) > mostSegments || h.held > mostBytes {
		h.giveUp(take)
	}
}

// give hands over the next n bytes, and keeps them until they are acknowledged.
func (h *Half) give(data []byte, n int64, take Taker) {
	h.trim()
	h.Next += n
	switch {
	case int64(len(data)) < n: // of bytes that were not captured no second version is noticed
		h.recent = h.recent[:0]
	case h.Acked < h.Next:
		h.recent = append(h.recent, data[max(0, n-(h.Next-h.Acked)):]...)
		if len(h.recent) > 2*mostRecent {
			h.recent = append(h.recent[:0], h.recent[len(h.recent)-mostRecent:]...)
			h.forgot = true
		}
	}
	take(data, int(n))
}

// trim forgets what was acknowledged: of that the receiver takes no other version.
func (h *Half) trim() {
	switch open := h.Next - h.Acked; {
	case open <= 0:
		h.recent, h.forgot = h.recent[:0], false
	case open < int64(len(h.recent))/2:
		h.recent = append(h.recent[:0], h.recent[int64(len(h.recent))-open:]...)
	}
}

// compare counts what of bytes that came again, from at on, is not what was taken.
func (h *Half) compare(at int64, again []byte) {
	if from := max(h.Next-int64(len(h.recent)), h.Acked); at < from {
		if h.forgot && h.Acked < from {
			h.Unsure += min(from-max(at, h.Acked), int64(len(again)))
		}
		again, at = again[min(from-at, int64(len(again))):], from
	}
	if len(again) > 0 {
		h.Differ += different(h.recent[int64(len(h.recent))-(h.Next-at):], again)
	}
}

// different is how many bytes differ, as far as both go.
func different(a, b []byte) (n int64) {
	size := min(len(a), len(b))
	if bytes.Equal(a[:size], b[:size]) {
		return 0
	}
	for i := range size {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}

// wait keeps what of the segment is new, in order and without overlap.
func (h *Half) wait(at, n int64, data []byte) {
	i, _ := slices.BinarySearchFunc(h.early, at, func(s segment, at int64) int {
		if s.at+s.n <= at {
			return -1
		}
		return 1
	})
	for n > 0 {
		end := at + n
		if i < len(h.early) {
			next := h.early[i]
			if next.at <= at { // the first copy wins
				skip := min(next.at+next.n-at, n)
				h.Again += skip
				h.Differ += different(next.data[min(at-next.at, int64(len(next.data))):], data[:min(skip, int64(len(data)))])
				at, n, data = at+skip, n-skip, data[min(skip, int64(len(data))):]
				i++
				continue
			}
			end = min(end, next.at)
		}
		size := end - at
		kept := data[:min(size, int64(len(data)))]
		h.early = slices.Insert(h.early, i, segment{at, size, slices.Clone(kept)})
		h.held += int64(len(kept))
		at, n, data = end, n-size, data[len(kept):]
		if int64(len(kept)) < size {
			data = nil
		}
		i++
	}
}

func (h *Half) drain(take Taker) {
	for len(h.early) > 0 && h.early[0].at <= h.Next {
		s := h.early[0]
		h.early = slices.Delete(h.early, 0, 1)
		h.held -= int64(len(s.data))
		h.give(s.data, s.n, take)
	}
	if len(h.early) == 0 {
		h.holeAt = time.Time{}
	}
}

// giveUp counts the hole before the first early segment as missing.
func (h *Half) giveUp(take Taker) {
	if len(h.early) == 0 {
		return
	}
	h.skip(h.early[0].at, take)
	h.drain(take)
}

func (h *Half) skip(to int64, take Taker) {
	if n := to - h.Next; n > 0 {
		h.Missing += n
		h.give(nil, n, take)
	}
}

// Acknowledge takes the acknowledgement number of the receiver. What it confirms and we have not seen is missing, once patience has run out.
func (h *Half) Acknowledge(p *frame.Packet, take Taker) {
	if !p.Has(frame.ACK) || p.Has(frame.RST) {
		return
	}
	if !h.Started {
		h.Started, h.base = true, p.Ack
		return
	}
	at := h.offset(p.Ack)
	if at > h.Next+ahead {
		h.far.acked = at
		h.follow(take)
		return
	}
	if at < h.Next-1<<30 {
		return
	}
	h.Acked = max(h.Acked, at)
	h.trim()
	if h.FinSeen && h.Acked > h.finAt {
		h.TwoEnds = h.TwoEnds || at > h.finAt+1 // the receiver has taken more
		at = h.finAt
	}
	if at <= h.Next {
		return
	}
	if h.holeAt.IsZero() {
		h.holeAt = p.Time
	}
	if p.Time.Sub(h.holeAt) >= h.Patience {
		h.Close(take)
	}
}

// Close gives up all holes that were acknowledged: nothing more comes.
func (h *Half) Close(take Taker) {
	h.holeAt = time.Time{}
	end := h.Acked
	if h.FinSeen {
		end = min(end, h.finAt)
	}
	for h.Next < end {
		to := end
		if len(h.early) > 0 {
			to = min(to, h.early[0].at)
		}
		h.skip(to, take)
		h.drain(take)
	}
	h.finish()
}

// Confirmed reports whether the receiver acknowledged all up to the FIN.
func (h *Half) Confirmed() bool { return h.Fin && h.Acked >= h.finAt }

// Hole reports whether bytes are known to be missing or still wait.
func (h *Half) Hole() bool { return h.Missing > 0 || len(h.early) > 0 }

// Other reports whether a SYN begins another connection than the one that is followed.
func (h *Half) Other(p *frame.Packet) bool {
	return h.Started && (!h.Whole || h.base != p.Seq+1)
}
