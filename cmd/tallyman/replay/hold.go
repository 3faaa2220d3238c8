package replay

import (
	"cmp"
	"slices"
	"time"

	"tallyman"
	"tallyman/rule"
)

const (
	// settled is how long, by the times of the evidence, a transfer waits for a newer revision: as long as the join may wait for evidence (Linger, Settle).
	settled = 80 * time.Second
	// mostHeld bounds the transfers that wait. When there are more, the one that changed longest ago is told.
	mostHeld = 8192
	// mostRunning bounds those that wait and those that run. When there are more, the older half of those that run is told as active. So many are transfers whose
	// end nobody will tell: the tables of wire follow fewer.
	mostRunning = 1 << 15
	// leastTold is of how many transfers at least the verdict that was told is remembered, for the counts; twice as many at the most. Of older ones a
	// revision counts as a new record.
	leastTold = 1 << 15
)

// hold keeps transfers back until they have settled. What it holds is bounded by mostRunning, and by twice leastTold for the verdicts.
type hold struct {
	rules *rule.Set
	tell  Tell
	held  map[tallyman.UUID]*held
	queue []place                            // in the order in which they changed; of one transfer the last place counts
	told  map[tallyman.UUID]tallyman.Verdict // the newest; when it is full it becomes the old one, and the old one is forgotten: no map is ever deleted from,
	old   map[tallyman.UUID]tallyman.Verdict // for one that always loses as much as it wins grows to twice its size
}

type held struct {
	t    *tallyman.Transfer
	turn uint64
}

type place struct {
	id   tallyman.UUID
	turn uint64
	at   time.Time
}

func newHold(rules *rule.Set, tell Tell) *hold {
	return &hold{rules: rules, tell: tell, held: map[tallyman.UUID]*held{}, told: map[tallyman.UUID]tallyman.Verdict{}}
}

// take takes what changed, tells what stands alone at once, and the transfers that have settled.
func (h *hold) take(records []tallyman.Record, now time.Time) error {
	for _, r := range records {
		t, ok := r.(*tallyman.Transfer)
		if !ok {
			if err := h.out(r, tallyman.NoVerdict); err != nil {
				return err
			}
			continue
		}
		if err := h.keep(t, now); err != nil {
			return err
		}
	}
	if err := h.release(func(p place) bool { return now.Sub(p.at) >= settled || len(h.held) > mostHeld }); err != nil || len(h.held) <= mostRunning {
		return err
	}
	running := h.running()
	slices.SortFunc(running, inOrder)
	running = running[:(len(running)+1)/2]
	for _, t := range running {
		delete(h.held, t.ID)
	}
	return h.each(running)
}

// running lists the transfers that have not ended.
func (h *hold) running() (out []*tallyman.Transfer) {
	for _, one := range h.held {
		if one.t.Judgement.Verdict == tallyman.Active {
			out = append(out, one.t)
		}
	}
	return out
}

// inOrder sorts transfers by when they began.
func inOrder(a, b *tallyman.Transfer) int {
	return cmp.Or(a.Start.Compare(b.Start), a.ID.Compare(b.ID))
}

// keep puts a revision in the place of the one before it. A record that was united with another and never told is not told at all.
func (h *hold) keep(t *tallyman.Transfer, now time.Time) error {
	if !t.Merged.IsZero() {
		delete(h.held, t.ID)
		if was := h.was(t.ID); was != tallyman.NoVerdict {
			return h.out(t, was)
		}
		return nil
	}
	one := h.held[t.ID]
	if one == nil {
		one = new(held)
		h.held[t.ID] = one
	}
	one.t = t
	one.turn++
	h.queue = append(h.queue, place{t.ID, one.turn, now})
	return nil
}

// release tells the transfers at the front that are due, in the order in which they began.
func (h *hold) release(due func(place) bool) error {
	var out []*tallyman.Transfer
	for len(h.queue) > 0 {
		p := h.queue[0]
		one := h.held[p.id]
		switch {
		case one == nil || one.turn != p.turn: // it went, or changed again
		case !due(p):
			return h.each(out)
		case one.t.Judgement.Verdict == tallyman.Active: // its next revision takes a new place
		default:
			out = append(out, one.t)
			delete(h.held, p.id)
		}
		h.queue = h.queue[1:]
	}
	return h.each(out)
}

func (h *hold) each(list []*tallyman.Transfer) error {
	slices.SortFunc(list, inOrder)
	for _, t := range list {
		was := h.was(t.ID)
		if len(h.told) >= leastTold {
			h.told, h.old = make(map[tallyman.UUID]tallyman.Verdict, leastTold), h.told
		}
		h.told[t.ID] = t.Judgement.Verdict
		if err := h.out(t, was); err != nil {
			return err
		}
	}
	return nil
}

// was is the verdict that was told of the transfer last, NoVerdict if none was, or it is forgotten.
func (h *hold) was(id tallyman.UUID) tallyman.Verdict {
	if v, ok := h.told[id]; ok {
		return v
	}
	return h.old[id]
}

// end tells all that is left.
func (h *hold) end() error {
	if err := h.release(func(place) bool { return true }); err != nil {
		return err
	}
	return h.each(h.running()) // all that is left
}

// out tells a record, and what the rules find about it.
func (h *hold) out(r tallyman.Record, was tallyman.Verdict) error {
	if err := h.tell(r, was); err != nil {
		return err
	}
	for _, f := range h.rules.Take(r) {
		if err := h.tell(f, tallyman.NoVerdict); err != nil {
			return err
		}
	}
	return nil
}
