package entry

import "strings"

// Memo remembers values by key, the last that were put in: at least half and at most twice half. When the young half is full, the old
// one is forgotten: a flood of forged lines costs old pairings, never memory.
type Memo[K comparable, V any] struct {
	half       int
	young, old map[K]V
}

// Remembered is the half of each memo: so many requests or sessions may run at once before a pairing is lost.
const Remembered = 8192

// Keep copies a name out of its line, so that a memo does not hold the line. What is longer than a path can be (PATH_MAX) is not remembered.
func Keep(s string) string {
	if len(s) > 4096 {
		return ""
	}
	return strings.Clone(s)
}

// NewMemo returns one that remembers nothing.
func NewMemo[K comparable, V any]() *Memo[K, V] {
	return &Memo[K, V]{half: Remembered, young: map[K]V{}}
}

// Get returns what is remembered.
func (m *Memo[K, V]) Get(k K) (v V, ok bool) {
	if v, ok = m.young[k]; !ok {
		v, ok = m.old[k]
	}
	return v, ok
}

// Put remembers.
func (m *Memo[K, V]) Put(k K, v V) {
	if len(m.young) >= m.half {
		m.old, m.young = m.young, make(map[K]V, m.half)
	}
	m.young[k] = v
}

// Drop forgets.
func (m *Memo[K, V]) Drop(k K) {
	delete(m.young, k)
	delete(m.old, k)
}
