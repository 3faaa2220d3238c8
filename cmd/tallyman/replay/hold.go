package replay

import (
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
	// mostTold bounds how many verdicts that were told are remembered, for the counts. Of older ones a revision counts as a new record.
	mostTold = 1 << 16
)

// hold keeps transfers back until they have settled.
type hold struct {
	rules *rule.Set
	tell  Tell
	held  map[tallyman.UUID]*held
	queue []place // in the order in which they changed; of one transfer the last place counts
	told  map[tallyman.UUID]tallyman.Verdict
	order []tallyman.UUID // of told
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
	return h.release(func(p place) bool { return now.Sub(p.at) >= settled || len(h.held) > mostHeld })
}

// keep puts a revision in the place of the one before it. A record that was united with another and never told is not told at all.
func (h *hold) keep(t *tallyman.Transfer, now time.Time) error {
	if !t.Merged.IsZero() {
		delete(h.held, t.ID)
		if was, ok := h.told[t.ID]; ok {
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
	slices.SortStableFunc(list, func(a, b *tallyman.Transfer) int {
		if c := a.Start.Compare(b.Start); c != 0 {
			return c
		}
		return a.ID.Compare(b.ID)
	})
	for _, t := range list {
		was, again := h.told[t.ID]
		h.told[t.ID] = t.Judgement.Verdict
		if !again {
			if h.order = append(h.order, t.ID); len(h.order) > mostTold {
				delete(h.told, h.order[0])
				h.order = h.order[1:]
			}
		}
		if err := h.out(t, was); err != nil {
			return err
		}
	}
	return nil
}

// end tells all that is left.
func (h *hold) end() error {
	if err := h.release(func(place) bool { return true }); err != nil {
		return err
	}
	var running []*tallyman.Transfer
	for _, one := range h.held {
		running = append(running, one.t)
	}
	return h.each(running)
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
