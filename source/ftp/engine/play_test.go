package engine

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tallyman"
)

// play drives a machine in virtual time and writes down what it does: "226" for a reply, "Open", "Finish reply-acknowledged" and so on.
type play struct {
	t    *testing.T
	m    *Machine
	now  time.Time
	log  []string
	last string // the whole of the last reply
	// state is what a look sees.
	state State
	// open is what Open gives; answer what Do gives.
	open   Opened
	answer Answer
	over   bool
	slow   bool // logins are not answered
}

var alive = State{Alive: true}

func start(t *testing.T, change func(*Config)) *play {
	cfg := Defaults()
	cfg.Client, cfg.Server = netip.MustParseAddrPort("10.0.0.7:4000"), netip.MustParseAddrPort("10.0.0.1:21")
	if change != nil {
		change(&cfg)
	}
	p := &play{t: t, now: time.Date(2026, 11, 27, 6, 0, 0, 0, time.UTC), state: alive, open: Opened{Path: "/srv/f", Size: 10}}
	p.m = New(cfg, p.now)
	p.drain()
	return p
}

// login begins a session of somebody who is logged in and uses binary.
func login(t *testing.T, change func(*Config)) *play {
	p := start(t, change)
	p.says("USER u", "PASS p", "TYPE I")
	p.log = nil
	return p
}

func (p *play) drain() {
	for {
		a, ok := p.m.Next()
		if !ok {
			return
		}
		p.perform(a)
	}
}

func (p *play) note(format string, args ...any) { p.log = append(p.log, fmt.Sprintf(format, args...)) }

func (p *play) perform(a Action) {
	if p.over {
		p.t.Errorf("%T after Hangup", a)
	}
	switch a := a.(type) {
	case Reply:
		p.last = string(a.Text)
		p.note("%s", p.last[:3])
	case Login:
		p.note("Login")
		if p.slow {
			return
		}
		var why *Refusal
		if a.Password == "wrong" {
			why = &Refusal{Reason: tallyman.LoginFailed, Text: "wrong password"}
		}
		p.m.LoggedIn(p.now, a.User, why)
	case Listen:
		p.m.Listening(p.now, 1025, nil)
	case Open:
		p.note("Open")
		p.m.Opened(p.now, p.open)
	case Do:
		p.note("Do %s %s", a.Verb, a.Name.Path())
		p.m.Did(p.now, p.answer)
	case Look:
		p.m.State(p.now, p.state)
	case Begin, Move, Halt, Store, Drop, Aim, Secure, Progress, Hangup:
		p.note("%s", strings.TrimPrefix(fmt.Sprintf("%T", a), "engine."))
		if _, ok := a.(Hangup); ok {
			p.over = true
		}
	case Finish:
		p.note("Finish %s", a.T.Reason)
		if !tallyman.Legal(a.T.Reason.Verdict(), a.T.Reason) {
			p.t.Errorf("%q is no reason", a.T.Reason)
		}
	case Refuse:
		p.note("Refuse %s", a.T.Reason)
	case Named:
		p.note("Named %s %s", a.Op, a.Name)
	case Event:
		p.note("Event %s %s", a.Kind, a.Reason)
	}
}

func (p *play) says(lines ...string) {
	for _, l := range lines {
		p.m.Line(p.now, []byte(l), p.state)
		p.drain()
	}
}

func (p *play) moved(e Ending) {
	e.Alive = true
	p.m.Moved(p.now, e)
	p.drain()
}

func (p *play) stored(s Stored) {
	p.m.Stored(p.now, s)
	p.drain()
}

// pass lets time pass, with each Tick that is due.
func (p *play) pass(d time.Duration) {
	until := p.now.Add(d)
	for n := 0; ; n++ {
		at := p.m.Deadline()
		if at.IsZero() || at.After(until) {
			break
		}
		if n > 10_000 {
			p.t.Fatalf("the deadline %s does not move", at)
		}
		if at.After(p.now) {
			p.now = at
		}
		p.m.Tick(p.now)
		p.drain()
	}
	p.now = until
}

// did compares what was done since the last time.
func (p *play) did(want string) {
	p.t.Helper()
	if got := strings.Join(p.log, ", "); got != want {
		p.t.Errorf("\ngot  %s\nwant %s", got, want)
	}
	p.log = nil
}
