package content

import (
	"crypto/sha256"
	"hash"
	"slices"

	"tallyman"
	"tallyman/source/tftp/netascii"
)

const (
	smallestChunk = 4 << 10
	largestChunk  = 512 << 10
	chunkWindows  = 8 // windows gathered before they are written, within these bounds
	// chunksWaiting is how many full chunks of one upload may wait for a worker, two of the largest.
	// Then Full asks not to bring more: the client's packets wait in the socket,
	// and what does not fit there it sends again.
	chunksWaiting = 4
	bytesWaiting  = 2 * largestChunk
)

// Writing gathers what an upload brings: filled where packets arrive, emptied by
// workers. They digest it too, because it costs about as much as all the rest and
// the thread that takes packets is the one that clients wait for. When that one
// has nothing else to do it calls Sum, and the workers have that much less.
type Writing struct {
	Upload Upload

	sum     hash.Hash         // a worker's while lent, else of who calls
	decoder *netascii.Decoder // of netascii
	chunk   []byte            // being filled
	summed  int               // how much of it is digested; 0 while a full one is not
	lent    bool              // a worker digests what it was given
	size    int               // of a chunk
	most    int               // chunks that may wait for a worker, and of spare ones
	full    []piece           // waiting for a worker
	spare   [][]byte          // written, to be filled again
	bytes   int64             // taken, as they go into the file
	busy    bool              // a worker has the Upload
	last    bool              // all is in
	drop    bool              // to be removed
}

// piece is a full chunk, digested up to summed.
type piece struct {
	bytes  []byte
	summed int
}

// digest digests the rest, and returns how many bytes.
func (p *piece) digest(sum hash.Hash) int {
	rest := p.bytes[p.summed:]
	if len(rest) > 0 { // else the hash may be in other hands
		sum.Write(rest)
	}
	p.summed = len(p.bytes)
	return len(rest)
}

// NewWriting begins an upload whose client sends windows of so many bytes;
// ascii says that they are netascii.
func NewWriting(u Upload, ascii bool, window int) Writing {
	size := min(max(chunkWindows*window, smallestChunk), largestChunk)
	w := Writing{Upload: u, sum: sha256.New(), size: size, most: min(chunksWaiting, bytesWaiting/size)}
	if ascii {
		w.decoder = &netascii.Decoder{}
	}
	return w
}

// Text reports whether the client sends netascii.
func (w *Writing) Text() bool { return w.decoder != nil }

// Size is how many bytes of the file were taken.
func (w *Writing) Size() int64 { return w.bytes }

// Take appends a payload, which is not kept; last says that it is the final one.
func (w *Writing) Take(payload []byte, last bool) {
	if n := len(w.spare); w.chunk == nil && n > 0 {
		w.chunk, w.spare = w.spare[n-1], w.spare[:n-1]
	} else if w.chunk == nil {
		w.chunk = make([]byte, 0, w.size)
	}
	before := len(w.chunk)
	if w.decoder != nil {
		w.chunk = w.decoder.Append(w.chunk, payload)
		if last {
			w.chunk = w.decoder.Finish(w.chunk)
		}
	} else {
		w.chunk = append(w.chunk, payload...)
	}
	w.bytes += int64(len(w.chunk) - before)
	w.last = last
	if len(w.chunk) >= w.size-len(payload) || last {
		w.full = append(w.full, piece{w.chunk, w.summed})
		w.chunk, w.summed = nil, 0
	}
}

// Sum digests what was taken, unless a worker is at it, and returns how many bytes.
func (w *Writing) Sum() (n int) {
	if w.lent {
		return 0
	}
	for i := range w.full {
		n += w.full[i].digest(w.sum)
	}
	p := piece{w.chunk, w.summed}
	n += p.digest(w.sum)
	w.summed = p.summed
	return n
}

// Full asks not to Take more for now.
func (w *Writing) Full() bool { return len(w.full) >= w.most && !w.last && !w.drop }

// Drop ends the upload: what is left to do is to remove it.
func (w *Writing) Drop() { w.full, w.last, w.drop = nil, false, true }

// Next is the next job for a worker, false when there is none or one is under
// way. of comes back with it. closed is asked for the evidence of a whole upload.
func (w *Writing) Next(of any, closed func() *tallyman.Evidence) (Job, bool) {
	j := Job{Of: of, upload: w.Upload, sum: w.sum, pieces: w.full}
	switch {
	case w.busy:
		return Job{}, false
	case w.drop:
		j.act = dropping
	case w.last:
		j.act, j.closed = finishing, closed()
	case len(w.full) == 0:
		return Job{}, false
	}
	w.lent = slices.ContainsFunc(w.full, func(p piece) bool { return p.summed < len(p.bytes) })
	w.full, w.busy = nil, true
	return j, true
}

// Back takes a job that a worker has done.
func (w *Writing) Back(j *Job) {
	w.busy, w.lent = false, false
	w.last = w.last && j.act != finishing
	w.drop = w.drop && j.act != dropping
	for _, p := range j.pieces {
		if len(w.spare) < w.most {
			w.spare = append(w.spare, p.bytes[:0])
		}
	}
}
