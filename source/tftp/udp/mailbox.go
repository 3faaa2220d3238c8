package udp

import "sync"

// Mailbox is how other goroutines reach the one that waits in a Poll. Its length
// is bounded by what there is to put in: nobody waits.
type Mailbox[T any] struct {
	poll *Poll
	mu   sync.Mutex
	in   []T
	out  []T
}

// NewMailbox makes an empty one that wakes p.
func NewMailbox[T any](p *Poll) *Mailbox[T] { return &Mailbox[T]{poll: p} }

// Put adds a letter and wakes the Poll. Any goroutine may call it, until the Poll is closed.
func (m *Mailbox[T]) Put(letter T) {
	m.mu.Lock()
	m.in = append(m.in, letter)
	m.mu.Unlock()
	m.poll.Wake()
}

// Take empties the box; the slice is valid until the next Take.
func (m *Mailbox[T]) Take() []T {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.out)
	m.in, m.out = m.out[:0], m.in
	return m.out
}
