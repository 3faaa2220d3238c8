package rule

import (
	"container/list"
	"time"

	"tallyman"
)

// recent is a table of at most so many keys. When it is full the one that was asked for longest ago goes, and is counted.
type recent[K comparable, V any] struct {
	most  int
	byKey map[K]*list.Element
	order *list.List // of entry[K, V], the newest first
	gone  int64
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

func newRecent[K comparable, V any](most int) *recent[K, V] {
	return &recent[K, V]{most: max(most, 1), byKey: map[K]*list.Element{}, order: list.New()}
}

// get returns what is kept under the key, if it is there.
func (r *recent[K, V]) get(k K) (*V, bool) {
	e, ok := r.byKey[k]
	if !ok {
		return nil, false
	}
	r.order.MoveToFront(e)
	return &e.Value.(*entry[K, V]).value, true
}

// open returns what is kept under the key, and keeps the zero value if there is nothing.
func (r *recent[K, V]) open(k K) *V {
	if v, ok := r.get(k); ok {
		return v
	}
	if len(r.byKey) >= r.most {
		oldest := r.order.Back()
		delete(r.byKey, oldest.Value.(*entry[K, V]).key)
		r.order.Remove(oldest)
		r.gone++
	}
	e := &entry[K, V]{key: k}
	r.byKey[k] = r.order.PushFront(e)
	return &e.value
}

func (r *recent[K, V]) forgotten() int64 { return r.gone }

// told remembers which keys were told.
type told struct {
	*recent[string, telling]
	quiet time.Duration
}

type telling struct {
	at time.Time
	id tallyman.UUID
}

func newTold(cfg Config) told { return told{newRecent[string, telling](cfg.Keys), cfg.Quiet} }

// again reports whether the key was told of this record, or not long before. Times may come in any order.
func (t told) again(key string, id tallyman.UUID, at time.Time) bool {
	if last, ok := t.get(key); ok && (last.id == id || at.Sub(last.at).Abs() < t.quiet) {
		if at.After(last.at) {
			last.at = at
		}
		return true
	}
	*t.open(key) = telling{at, id}
	return false
}

// recall implements detector.
func (t told) recall(f *tallyman.Finding) {
	if n := len(f.About); n > 0 {
		t.again(f.Key, f.About[n-1], f.At)
	}
}
