package tftp

import (
	"sync"

	"tallyman/source/tftp/content"
	"tallyman/source/tftp/engine"
	"tallyman/source/tftp/udp"
)

// mail is what others tell the loop: a job that a worker has done, or a
// transfer that a thread gives back and what is left to do for it.
type mail struct {
	job  content.Job
	back *transfer
	do   engine.Do
}

// mailbox is the loop's only entrance for other goroutines.
// Its length is bounded by the number of uploads and threads.
type mailbox struct {
	poll *udp.Poll
	mu   sync.Mutex
	in   []mail
	out  []mail
}

func (m *mailbox) put(letter mail) {
	m.mu.Lock()
	m.in = append(m.in, letter)
	m.mu.Unlock()
	m.poll.Wake()
}

// take empties the box; the slice is valid until the next take.
func (m *mailbox) take() []mail {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.out)
	m.in, m.out = m.out[:0], m.in
	return m.out
}
