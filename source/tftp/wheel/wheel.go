// Package wheel keeps the deadlines of many transfers:
//
//	Set ──> slots of 4 ms, one turn in about 4 s ──> Next
//
// Setting a deadline later, which every packet does, costs a comparison,
// because an entry moves only when its slot comes up; a deadline beyond the
// turn waits at the far side and is set again. It promises that no entry comes
// up later than its due time and one Tick. It has no clock: time is an argument.
package wheel

import (
	"math/bits"
	"time"
)

// Tick is the precision.
const Tick = 4 * time.Millisecond

const slots = 1024

// Entry is one deadline of something. It is put into one wheel at a time.
type Entry[T any] struct {
	Of  *T            // whose deadline it is
	Due time.Duration // set before Set

	prev, next *Entry[T]
	tick       int64 // of its slot; valid while next is set
}

// Wheel is empty and stands at time 0 when it is made.
type Wheel[T any] struct {
	slots [slots]*Entry[T] // doubly linked rings without a head
	used  [slots / 64]uint64
	at    int64 // the tick whose slot comes next
}

// Set makes sure that e comes up not later than at its due time and a Tick.
func (w *Wheel[T]) Set(e *Entry[T]) {
	tick := min(int64((e.Due+Tick-1)/Tick), w.at+slots-1)
	tick = max(tick, w.at)
	if e.next != nil {
		if e.tick <= tick {
			return
		}
		w.Remove(e)
	}
	slot := tick % slots
	e.tick = tick
	first := w.slots[slot]
	if first == nil {
		e.prev, e.next = e, e
		w.slots[slot] = e
		w.used[slot/64] |= 1 << (slot % 64)
		return
	}
	last := first.prev
	e.prev, e.next = last, first
	last.next, first.prev = e, e
}

// Remove takes e out, if it is in.
func (w *Wheel[T]) Remove(e *Entry[T]) {
	if e.next == nil {
		return
	}
	slot := e.tick % slots
	if e.next == e {
		w.slots[slot] = nil
		w.used[slot/64] &^= 1 << (slot % 64)
	} else {
		e.prev.next, e.next.prev = e.next, e.prev
		if w.slots[slot] == e {
			w.slots[slot] = e.next
		}
	}
	e.prev, e.next = nil, nil
}

// Next takes out an entry whose slot has come by now, nil when there is none
// left. Its due time may still be to come: then it is for the caller to set it again.
func (w *Wheel[T]) Next(now time.Duration) *T {
	target := int64(now / Tick)
	w.at = max(w.at, target-slots) // after a long rest: every slot is passed once
	for ; w.at <= target; w.at++ {
		if e := w.slots[w.at%slots]; e != nil {
			w.Remove(e)
			return e.Of
		}
	}
	return nil
}

// Wait is how long after now the next used slot comes, at least 0; below 0 when the wheel is empty.
func (w *Wheel[T]) Wait(now time.Duration) time.Duration {
	for ahead := int64(0); ahead < slots; {
		slot := (w.at + ahead) % slots
		if word := w.used[slot/64] >> (slot % 64); word != 0 {
			ahead += int64(bits.TrailingZeros64(word))
			if ahead >= slots {
				break
			}
			return max(0, time.Duration(w.at+ahead)*Tick-now)
		}
		ahead += 64 - slot%64
	}
	return -1
}
