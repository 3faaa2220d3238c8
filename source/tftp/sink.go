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
	largestChunk  = 256 << 10
	chunkWindows  = 8 // windows gathered before they are written, within these bounds
	// chunksWaiting is how many full chunks of one upload may wait for a writer.
	// Then the loop stops reading its lane until one is written: the client's
	// packets wait in the socket, and what does not fit there it sends again.
	chunksWaiting = 4
)

// sink gathers and digests what an upload brings. The loop fills it, a worker
// empties it. The loop digests, packet by packet, because it has the bytes at
// hand while the client is busy sending the next ones.
type sink struct {
	store   *store
	sum     hash.Hash
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

// store is the workers' side of an upload. It belongs to the worker that holds
// its job, else to nobody.
type store struct {
	upload Upload
}

func newSink(u Upload, text bool, windowBytes int) sink {
	s := sink{store: &store{upload: u}, sum: sha256.New(), size: min(max(chunkWindows*windowBytes, smallestChunk), largestChunk)}
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
	s.sum.Write(s.chunk[before:])
	s.bytes += int64(len(s.chunk) - before)
	s.last = last
	if len(s.chunk) >= s.size-len(payload) || last {
		s.full = append(s.full, s.chunk)
		s.chunk = nil
	}
}

// digest is that of all that was taken.
func (s *sink) digest() tallyman.Digest { return sumText([sha256.Size]byte(s.sum.Sum(nil))) }

// write brings chunks into the file.
func (s *store) write(chunks [][]byte) error {
	for _, c := range chunks {
		if _, err := s.upload.Write(c); err != nil {
			return err
		}
	}
	return nil
}

// finish makes the file stand under its name and its evidence on stable
// storage, in this order (promise 1 of the design).
func (s *store) finish(to tallyman.Recorder, closed *tallyman.Evidence) error {
	if err := s.upload.Commit(); err != nil {
		return err
	}
	closed.Time = tallyman.Clean(time.Now())
	if err := to.Commit(context.Background(), *closed); err != nil {
		return &Refusal{Reason: tallyman.DiskFull, Text: "stored, but the record of it is not: " + err.Error()}
	}
	return nil
}
