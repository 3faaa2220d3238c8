package join

// Remembered counts the requests that are kept for boot searches.
func (j *Join) Remembered() int {
	n := 0
	for _, s := range j.clients {
		n += len(s.steps)
	}
	return n
}
