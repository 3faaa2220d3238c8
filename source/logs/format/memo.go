package format

import "strings"

// memo remembers values by key, the last that were put in: at least half and at most twice half. When the young half is full, the old
// one is forgotten: a flood of forged lines costs old pairings, never memory.
type memo[K comparable, V any] struct {
	half       int
	young, old map[K]V
}

// remembered is the half of each memo: so many requests or sessions may run at once before a pairing is lost.
const remembered = 8192

// keep copies a name out of its line, so that a memo does not hold the line. What is longer than a path can be (PATH_MAX) is not remembered.
func keep(s string) string {
	if len(s) > 4096 {
		return ""
	}
	return strings.Clone(s)
}

func newMemo[K comparable, V any]() *memo[K, V] {
	return &memo[K, V]{half: remembered, young: map[K]V{}}
}

func (m *memo[K, V]) get(k K) (v V, ok bool) {
	if v, ok = m.young[k]; !ok {
		v, ok = m.old[k]
	}
	return v, ok
}

func (m *memo[K, V]) put(k K, v V) {
	if len(m.young) >= m.half {
		m.old, m.young = m.young, make(map[K]V, m.half)
	}
	m.young[k] = v
}

func (m *memo[K, V]) drop(k K) {
	delete(m.young, k)
	delete(m.old, k)
}
