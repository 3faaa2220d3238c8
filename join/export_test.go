package join

// Remembered counts the requests that are kept for boot searches.
func (j *Join) Remembered() int {
	n := 0
	for _, s := range j.clients {
		n += len(s.steps)
	}
	return n
}

// Sizes counts what is held, by where.
func (j *Join) Sizes() map[string]int {
	steps := 0
	for _, s := range j.clients {
		steps += len(s.steps)
	}
	return map[string]int{
		"clusters": len(j.clusters), "deeds": len(j.deeds), "clients": len(j.clients), "arrivals": len(j.arrival), "steps": j.steps, "steps of clients": steps, "open": len(j.open),
		"ended": len(j.ended), "dirty": len(j.dirty), "alone": len(j.alone), "gaps": len(j.gaps), "lanes": len(j.lanes), "stale": len(j.stale), "handles": len(j.handles), "renames": len(j.renames),
	}
}

// Held is the sum of them.
func (j *Join) Held() (n int) {
	for _, one := range j.Sizes() {
		n += one
	}
	return n
}
