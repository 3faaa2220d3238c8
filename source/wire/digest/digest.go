// Package digest hashes large contents beside the capture, so that a packet does not wait for the hash of the one before it.
//
// It promises the same digests as SHA-256 in one goroutine. Memory is bounded by the buffers of the Pool: who finds none free waits until one is hashed, and
// hashes himself when other contents hold all of them.
// What is hashed, and when a digest counts, it leaves to others.
package digest

import (
	"crypto/sha256"
	"hash"
)

// What a Pool holds: 64 buffers of 64 KiB. SHA-256 in hardware takes 2 ms for them. Contents of less than aside are not worth a buffer.
const (
	buffers    = 64
	bufferSize = 64 << 10
	aside      = 256 << 10
)

// job is a piece of one content, or the wish to be told when all before it is done.
type job struct {
	of   hash.Hash
	buf  []byte
	done chan struct{}
}

// Pool is one goroutine that hashes. Its hashes belong to another goroutine, all to the same one.
type Pool struct {
	jobs  chan job
	free  chan []byte
	held  int // buffers that hashes fill: those that are neither held nor free are on their way to become free
	ended chan struct{}
}

// NewPool returns a Pool. It starts nothing.
func NewPool() *Pool {
	p := &Pool{jobs: make(chan job, buffers+1), free: make(chan []byte, buffers), ended: make(chan struct{})}
	for range buffers {
		p.free <- nil
	}
	return p
}

// Run hashes until Close.
func (p *Pool) Run() {
	defer close(p.ended)
	for j := range p.jobs {
		if j.done != nil {
			close(j.done)
			continue
		}
		j.of.Write(j.buf)
		p.free <- j.buf[:0]
	}
}

// Close ends Run and waits for it. No hash of the pool may be used any more.
func (p *Pool) Close() {
	close(p.jobs)
	<-p.ended
}

// Free returns how many buffers nobody holds.
func (p *Pool) Free() int { return len(p.free) }

// New returns a SHA-256 to which bytes are added, and which is summed at the end or given back by Release.
func (p *Pool) New() hash.Hash { return &sum{Hash: sha256.New(), pool: p} }

// Release gives back what a hash holds that nobody will sum.
func Release(h hash.Hash) {
	if s, ok := h.(*sum); ok {
		s.wait()
		s.back()
	}
}

// sum collects a buffer before it gives it away.
type sum struct {
	hash.Hash
	pool  *Pool
	buf   []byte
	given bool // Run may be at work on it
	n     int64
}

// Write never fails.
func (s *sum) Write(b []byte) (int, error) {
	n := len(b)
	s.n += int64(n)
	for len(b) > 0 {
		if s.buf == nil && !s.take() {
			s.wait()
			s.Hash.Write(b)
			return n, nil
		}
		size := min(len(b), bufferSize-len(s.buf))
		s.buf, b = append(s.buf, b[:size]...), b[size:]
		if len(s.buf) == bufferSize {
			s.give()
		}
	}
	return n, nil
}

// take gets a buffer. When Run is behind it waits for the next one: to wait for all that was given, and hash meanwhile, would leave Run idle afterwards.
func (s *sum) take() bool {
	if s.n < aside || s.pool.held == buffers {
		return false
	}
	s.pool.held++
	if s.buf = <-s.pool.free; s.buf == nil {
		s.buf = make([]byte, 0, bufferSize)
	}
	return true
}

func (s *sum) give() {
	s.pool.jobs <- job{of: s.Hash, buf: s.buf}
	s.buf, s.given = nil, true
	s.pool.held--
}

// wait returns when Run has done all that was given.
func (s *sum) wait() {
	if s.given {
		done := make(chan struct{})
		s.pool.jobs <- job{done: done}
		<-done
		s.given = false
	}
}

// Sum waits until all is hashed. The buffer goes back: nothing more is expected.
func (s *sum) Sum(b []byte) []byte {
	s.wait()
	if s.buf != nil {
		s.Hash.Write(s.buf)
		s.back()
	}
	return s.Hash.Sum(b)
}

// back gives the buffer back.
func (s *sum) back() {
	if s.buf != nil {
		s.pool.free <- s.buf[:0]
		s.buf = nil
		s.pool.held--
	}
}
