package sqlstore

// recent remembers the ids of the values that were used last. It holds at most twice max values: when young is full, old is forgotten.
type recent[K comparable] struct {
	max        int
	young, old map[K]int64
}

func newRecent[K comparable](most int) *recent[K] {
	return &recent[K]{max: most, young: make(map[K]int64)}
}

func (r *recent[K]) get(k K) (int64, bool) {
	if id, ok := r.young[k]; ok {
		return id, true
	}
	id, ok := r.old[k]
	if ok {
		r.put(k, id)
	}
	return id, ok
}

func (r *recent[K]) put(k K, id int64) {
	if len(r.young) >= r.max {
		r.old, r.young = r.young, make(map[K]int64, r.max)
	}
	r.young[k] = id
}

func (r *recent[K]) clear() {
	r.young, r.old = make(map[K]int64), nil
}
