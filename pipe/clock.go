package pipe

import (
	"time"

	"tallyman"
)

// clockStep is how far the clock may go from the time that passed before it counts as set: NTP slews by less.
const clockStep = 2 * time.Second

// clock remembers a moment by both clocks of the system.
type clock struct{ wall, steady time.Time }

// watchClock records a gap when the clock was set since it was last asked, or the machine slept: what was seen around that moment has times that do
// not tell in which order it happened.
func (p *Pipe) watchClock() {
	now := clock{p.now(), time.Now()}
	before := p.clock
	p.clock = now
	if before.wall.IsZero() {
		return
	}
	step := now.wall.Round(0).Sub(before.wall.Round(0)) - now.steady.Sub(before.steady)
	var why string
	switch {
	case step > clockStep:
		why = "the clock was set forward by " + step.Round(time.Second).String() + ", or the machine slept"
	case step < -clockStep:
		why = "the clock was set back by " + (-step).Round(time.Second).String()
	default:
		return
	}
	p.log.Warn("clock was set", "by", step.Round(time.Second).String())
	e := tallyman.Unknown()
	e.Time, e.Host, e.Witness, e.Kind, e.Moved, e.Err = tallyman.Clean(now.wall), p.host, "server", tallyman.KindGap, 0, why
	e.Began = e.Time
	if step > 0 {
		e.Began = tallyman.Clean(before.wall)
	}
	p.Record(e)
}
