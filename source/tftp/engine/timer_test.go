package engine

import (
	"testing"
	"time"
)

func TestTimerFollowsTheMeasuredRoundTrip(t *testing.T) {
	c := newTimer(Grant{}, Defaults())
	f := func(want time.Duration) {
		t.Helper()
		if got := c.rto(); got != want {
			t.Errorf("timer is %v, want %v", got, want)
		}
	}
	f(time.Second)
	c.sample(100 * ms)
	f(300 * ms) // RFC 6298 section 2.2: R + 4 * R/2
	c.sample(100 * ms)
	f(250 * ms)
	for range 100 {
		c.sample(100 * ms)
	}
	if got := c.rto(); got < 100*ms || got > 101*ms {
		t.Errorf("on a steady path the timer is %v", got)
	}
	for range 100 {
		c.sample(time.Microsecond)
	}
	f(30 * ms) // the floor
	c.sample(0)
	f(30 * ms)
}

func TestTimerDoublesToItsCeilingUntilTheNextMeasurement(t *testing.T) {
	c := newTimer(Grant{}, Defaults())
	c.sample(20 * ms)
	for _, want := range []time.Duration{60, 120, 240, 480, 960, 1920, 3840, 4000, 4000, 4000, 4000} {
		if got := c.rto(); got != want*ms {
			t.Errorf("timer is %v, want %v", got, want*ms)
		}
		c.expire()
	}
	c.sample(20 * ms)
	if got := c.rto(); got != 50*ms {
		t.Errorf("after a measurement the timer is %v", got)
	}
}

func TestIntervalOfTheClientIsConstant(t *testing.T) {
	c := newTimer(Grant{Timeout: 7 * time.Second}, Defaults())
	c.sample(ms)
	c.expire()
	if got := c.rto(); got != 7*time.Second {
		t.Errorf("timer is %v", got)
	}
}

func TestOnlyPacketsSentOnceAreMeasured(t *testing.T) {
	s, r := reading(t, "RRQ f octet", 100_000, "DATA 1")
	f := func(want time.Duration) {
		t.Helper()
		if got := r.Outcome().RTT; got != want {
			t.Errorf("round trip is %v, want %v", got, want)
		}
	}
	f(0)
	s.tick("DATA 1")
	s.after(ms).ack(1, "DATA 2")
	f(0) // the ACK may be that of the first sending
	s.after(8*ms).ack(2, "DATA 3")
	f(8 * ms)
	s.tick("DATA 3")
	s.after(ms).ack(3, "DATA 4")
	f(8 * ms)

	s, r = reading(t, "RRQ f octet tsize=0", 100_000, "OACK")
	s.tick("OACK")
	s.after(ms).ack(0, "DATA 1")
	f(0)
}

func TestPathSlowerThanTheTimerIsLearnt(t *testing.T) {
	s, r := reading(t, "RRQ f octet", 1_000_000, "DATA 1")
	s.after(ms).ack(1, "DATA 2")
	for block := uint64(2); block < 8; block++ { // now each ACK needs 700 ms
		arrival := s.now + 700*ms
		for r.Deadline() < arrival {
			s.tick("DATA " + itoa(block))
		}
		s.now = arrival
		s.ack(block, "DATA "+itoa(block+1))
	}
	before := r.Outcome().Retransmits
	for block := uint64(8); block < 50; block++ {
		s.after(700*ms).ack(block, "DATA "+itoa(block+1))
		if r.Deadline() < s.now+700*ms {
			t.Fatalf("behind block %d the timer is %v", block, r.Deadline()-s.now)
		}
	}
	if r.Outcome().Retransmits != before {
		t.Error("repeated without need")
	}
}

func TestClientThatWasHardToReachBeginsWithTheFirstTimer(t *testing.T) {
	f := func(s *script) {
		t.Helper()
		if wait := s.m.Deadline() - s.now; wait != firstRTO {
			t.Errorf("waits %v", wait)
		}
	}
	s, _ := reading(t, "RRQ f octet tsize=0", 100_000, "OACK")
	s.tick("OACK")
	s.ack(0, "DATA 1")
	f(s)
	s, _ = writing(t, "WRQ f octet", "ACK 0")
	s.tick("ACK 0")
	s.data(1, 512, "STORE 512 ACK 1")
	f(s)
}

func TestUploadMeasuresFromAckToData(t *testing.T) {
	s, w := writing(t, "WRQ f octet windowsize=4", "OACK")
	s.after(10*ms).data(1, 512, "STORE 512")
	if got := w.Outcome().RTT; got != 10*ms {
		t.Errorf("round trip is %v", got)
	}
	s.after(90*ms).data(2, 512, "STORE 512")
	s.data(3, 512, "STORE 512")
	s.data(4, 512, "STORE 512 ACK 4")
	s.after(10*ms).data(5, 512, "STORE 512")
	if got := w.Outcome().RTT; got != 10*ms {
		t.Errorf("a pause inside a window was measured: %v", got)
	}
	s.data(6, 512, "STORE 512")
	s.data(7, 512, "STORE 512")
	s.data(8, 512, "STORE 512 ACK 8")
	s.tick("ACK 8")
	s.after(ms).data(9, 512, "STORE 512")
	if got := w.Outcome().RTT; got != 10*ms {
		t.Errorf("the answer to a repeated ACK was measured: %v", got)
	}
}
