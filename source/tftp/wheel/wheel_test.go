package wheel

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

type job struct{ entry Entry[job] }

func TestWheelMissesNoDeadline(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var w Wheel[job]
		var now time.Duration
		waiting := map[*job]time.Duration{}
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			switch rapid.IntRange(0, 2).Draw(r, "what") {
			case 0:
				x := &job{}
				x.entry.Of, x.entry.Due = x, now+time.Duration(rapid.Int64Range(0, 10e9).Draw(r, "due"))
				waiting[x] = x.entry.Due
				w.Set(&x.entry)
			case 1:
				for x := range waiting { // a packet came: another deadline
					x.entry.Due = now + time.Duration(rapid.Int64Range(0, 10e9).Draw(r, "new due"))
					waiting[x] = x.entry.Due
					w.Set(&x.entry)
					break
				}
			case 2:
				for x := range waiting {
					w.Remove(&x.entry)
					delete(waiting, x)
					break
				}
			}
			if d := w.Wait(now); len(waiting) > 0 && d < 0 || len(waiting) == 0 && d >= 0 {
				r.Fatalf("%d wait, the wheel waits %v", len(waiting), d)
			}
			now += time.Duration(rapid.Int64Range(0, 3e9).Draw(r, "pass"))
			for x := w.Next(now); x != nil; x = w.Next(now) {
				if x.entry.Due > now {
					w.Set(&x.entry)
					continue
				}
				delete(waiting, x)
			}
			for x, due := range waiting {
				if due+Tick <= now {
					r.Fatalf("a deadline of %v has not come up at %v", due, now)
				}
				if x.entry.next == nil {
					r.Fatal("a deadline was lost")
				}
			}
			if d := w.Wait(now); len(waiting) > 0 {
				earliest := 10 * time.Hour
				for _, due := range waiting {
					earliest = min(earliest, due)
				}
				if now+d > earliest+Tick {
					r.Fatalf("the wheel sleeps until %v, due is %v", now+d, earliest)
				}
			}
		}
	})
}

func TestEntriesOfOneSlotComeUpInTheirOrder(t *testing.T) {
	var w Wheel[job]
	var jobs [5]job
	for i := range jobs {
		jobs[i].entry.Of, jobs[i].entry.Due = &jobs[i], 10*Tick
		w.Set(&jobs[i].entry)
	}
	w.Remove(&jobs[2].entry)
	if x := w.Next(9 * Tick); x != nil {
		t.Error("one came up early")
	}
	for _, i := range []int{0, 1, 3, 4} {
		if x := w.Next(10 * Tick); x != &jobs[i] {
			t.Errorf("%v came up in place of %d", x, i)
		}
	}
	if x := w.Next(time.Hour); x != nil || w.Wait(time.Hour) >= 0 {
		t.Error("the wheel is not empty at the end")
	}
}

func TestWheelThatRestedLongGoesOn(t *testing.T) {
	var w Wheel[job]
	var late job
	late.entry.Of, late.entry.Due = &late, time.Second
	w.Set(&late.entry)
	if x := w.Next(1000 * time.Hour); x != &late {
		t.Fatal("an entry was passed by")
	}
	late.entry.Due = 1000*time.Hour + time.Second
	w.Set(&late.entry)
	if d := w.Wait(1000 * time.Hour); d < time.Second || d > time.Second+Tick {
		t.Errorf("the wheel waits %v", d)
	}
}
