package tftp

import (
	"math/bits"
	"time"
)

// A wheel turns once in about four seconds. A deadline further away waits at
// the far side and is put in again.
const (
	wheelSlots = 1024
	wheelTick  = 4 * time.Millisecond
)

// wheel holds deadlines of many transfers: setting one later, which every
// packet does, costs a comparison, because an entry moves only when its slot
// comes up. Precision is one tick, late.
type wheel struct {
	slots [wheelSlots]*transfer // doubly linked rings without a head
	used  [wheelSlots / 64]uint64
	at    int64 // the tick whose slot comes next
}

// place is where a transfer stands in the wheel.
type place struct {
	prev, next *transfer
	tick       int64 // of its slot; valid while next is set
}

// set makes sure that t comes up not later than at its due time and a tick.
func (w *wheel) set(t *transfer) {
	tick := min(int64((t.due+wheelTick-1)/wheelTick), w.at+wheelSlots-1)
	tick = max(tick, w.at)
	if t.place.next != nil {
		if t.place.tick <= tick {
			return
		}
		w.remove(t)
	}
	slot := tick % wheelSlots
	t.place.tick = tick
	if first := w.slots[slot]; first == nil {
		t.place.prev, t.place.next = t, t
		w.slots[slot] = t
		w.used[slot/64] |= 1 << (slot % 64)
	} else {
		last := first.place.prev
		t.place.prev, t.place.next = last, first
		last.place.next, first.place.prev = t, t
	}
}

// remove takes t out, if it is in.
func (w *wheel) remove(t *transfer) {
	if t.place.next == nil {
		return
	}
	slot := t.place.tick % wheelSlots
	if t.place.next == t {
		w.slots[slot] = nil
		w.used[slot/64] &^= 1 << (slot % 64)
	} else {
		t.place.prev.place.next, t.place.next.place.prev = t.place.next, t.place.prev
		if w.slots[slot] == t {
			w.slots[slot] = t.place.next
		}
	}
	t.place = place{}
}

// next takes out a transfer whose slot has come by now, nil when there is none
// left. Its due time may still be to come: then it is set again.
func (w *wheel) next(now time.Duration) *transfer {
	target := int64(now / wheelTick)
	w.at = max(w.at, target-wheelSlots) // after a long rest: no slot is passed by that has not been emptied
	for ; w.at <= target; w.at++ {
		if t := w.slots[w.at%wheelSlots]; t != nil {
			w.remove(t)
			return t
		}
	}
	return nil
}

// wait is how long after now the next used slot comes, at least 0; below 0 when the wheel is empty.
func (w *wheel) wait(now time.Duration) time.Duration {
	for ahead := int64(0); ahead < wheelSlots; {
		slot := (w.at + ahead) % wheelSlots
		if word := w.used[slot/64] >> (slot % 64); word != 0 {
			ahead += int64(bits.TrailingZeros64(word))
			if ahead >= wheelSlots {
				break
			}
			return max(0, time.Duration(w.at+ahead)*wheelTick-now)
		}
		ahead += 64 - slot%64
	}
	return -1
}
