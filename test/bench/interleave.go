package main

import (
	"fmt"
	"time"
)

// pass is how long a client works before the next contestant has its turn.
const pass = 500 * time.Millisecond

// shift is one contestant in passes. Each pass has a name of its own.
type shift struct {
	label string
	pass  func(name string) (turn, error)
}

// interleave measures all in short passes by turns, and makes one run of the passes of
// about four seconds. One client and one server are ten times faster where the scheduler
// lets them share a processor, and what else the machine does decides that; contestants
// that follow each other closely find the same.
func (r *rig) interleave(name string, of ...shift) (map[string][]sample, error) {
	got := map[string][]sample{}
	for run := range r.runs {
		sums := make([]turn, len(of))
		for n, open := 0, len(of); open > 0; n++ {
			open = 0
			for i, s := range of {
				if n > 0 && sums[i].over(r.seconds(4)) {
					continue
				}
				t, err := s.pass(fmt.Sprintf("%s-%s-%d-%d", name, s.label, run, n))
				if err != nil {
					return nil, fmt.Errorf("%s: %s: %w", name, s.label, err)
				}
				if err := r.ctx.Err(); err != nil {
					return nil, err
				}
				if sums[i].add(t); !sums[i].over(r.seconds(4)) {
					open++
				}
			}
		}
		for i, s := range of {
			figures := sums[i].figures()
			fmt.Fprintf(r.progress, "%s %d/%d %s: %s\n", name, run+1, r.runs, s.label, figures)
			got[s.label] = append(got[s.label], figures)
		}
	}
	return got, nil
}
