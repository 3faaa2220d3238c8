package sftp

import (
	"io"
	"sync"
	"time"
)

// leastIn is how many bytes of a request that has begun must come in each stall.
const leastIn = 1 << 10

// pace counts what a client sends, and gives up on one that begins a request and then sends next to nothing of it: it would hold a buffer of 256 KiB and
// its place for as long as a byte comes now and then. Between requests nothing is expected of it here.
type pace struct {
	from   io.Reader
	stall  time.Duration
	giveUp func() // called once at the most, on another goroutine

	mu         sync.Mutex
	timer      *time.Timer
	begun      bool
	came, mark int64 // bytes in all; and when the stall began
}

// Read implements io.Reader.
func (p *pace) Read(b []byte) (int, error) {
	n, err := p.from.Read(b)
	p.mu.Lock()
	p.came += int64(n)
	p.mu.Unlock()
	return n, err
}

// begin says that a request has begun and is not here as a whole.
func (p *pace) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun, p.mark = true, p.came
	if p.timer == nil {
		p.timer = time.AfterFunc(p.stall, p.look)
		return
	}
	p.timer.Reset(p.stall)
}

// end says that it is.
func (p *pace) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun = false
	p.timer.Stop()
}

// look is called when a stall is over.
func (p *pace) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.begun:
	case p.came-p.mark < leastIn:
		p.begun = false
		p.giveUp()
	default:
		p.mark = p.came
		p.timer.Reset(p.stall)
	}
}
