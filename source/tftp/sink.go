package tftp

import (
	"context"
	"crypto/sha256"
	"hash"
	"time"

	"tallyman"
	"tallyman/source/tftp/netascii"
)

const (
	smallestChunk = 4 << 10
	largestChunk  = 128 << 10
	chunkWindows  = 8 // windows gathered before they are written, within these bounds
	// chunksWaiting is how many full chunks of one upload may wait for a writer.
	// Then the loop stops reading its lane until one is written: the client's
	// packets wait in the socket, and what does not fit there it sends again.
	chunksWaiting = 4
)

// sink gathers what an upload brings. The loop fills it; a worker empties it.
type sink struct {
	store   *store
	decoder *netascii.Decoder // of netascii
	chunk   []byte            // being filled
	size    int               // of a chunk
	full    [][]byte          // waiting for a writer
	spare   []byte            // written, to be filled again
	bytes   int64             // taken, as they go into the file
	busy    bool              // a worker has the store
	last    bool              // all is in
	drop    bool              // the transfer ended otherwise: remove the file
	paused  bool              // the lane is not read
}

// store is the workers' side of an upload: the file and the digest of what was
// written to it. It belongs to the worker that holds its job, else to nobody.
type store struct {
	upload Upload
	sum    hash.Hash
}

func newSink(u Upload, text bool, windowBytes int) sink {
	s := sink{store: &store{upload: u}, size: min(max(chunkWindows*windowBytes, smallestChunk), largestChunk)}
	if text {
		s.decoder = &netascii.Decoder{}
	}
	return s
}

// take appends a payload; last says that it is the final one.
func (s *sink) take(payload []byte, last bool) {
	if s.chunk == nil {
		s.chunk, s.spare = s.spare, nil
	}
	if s.chunk == nil {
		s.chunk = make([]byte, 0, s.size)
	}
	before := len(s.chunk)
	if s.decoder != nil {
		s.chunk = s.decoder.Append(s.chunk, payload)
		if last {
			s.chunk = s.decoder.Finish(s.chunk)
		}
	} else {
		s.chunk = append(s.chunk, payload...)
	}
	s.bytes += int64(len(s.chunk) - before)
	s.last = last
	if len(s.chunk) >= s.size-len(payload) || last {
		s.full = append(s.full, s.chunk)
		s.chunk = nil
	}
}

// write brings chunks into the file and digests them.
func (s *store) write(chunks [][]byte) error {
	if s.sum == nil {
		s.sum = sha256.New()
	}
	for _, c := range chunks {
		s.sum.Write(c)
		if _, err := s.upload.Write(c); err != nil {
			return err
		}
	}
	return nil
}

// finish makes the file stand under its name and its evidence on stable
// storage, in this order (promise 1 of the design). It fills in what only the
// file can tell.
func (s *store) finish(to tallyman.Recorder, closed *tallyman.Evidence) error {
	if err := s.upload.Commit(); err != nil {
		return err
	}
	closed.Time = tallyman.Clean(time.Now())
	closed.Digest = sumText([sha256.Size]byte(s.sum.Sum(nil)))
	if err := to.Commit(context.Background(), *closed); err != nil {
		return &Refusal{Reason: tallyman.DiskFull, Text: "stored, but the record of it is not: " + err.Error()}
	}
	return nil
}
