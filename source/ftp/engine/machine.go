package engine

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"tallyman"
	"tallyman/source/ftp/command"
	"tallyman/source/ftp/listing"
)

// TLS says whether a session may be, or must be, encrypted.
type TLS uint8

// The modes of serve.ftp.tls.
const (
	None TLS = iota
	Explicit
	Required
)

// Config bounds a session. Client and Server are the ends of the control connection.
type Config struct {
	Client, Server netip.AddrPort
	TLS            TLS
	Implicit       bool // TLS from the first byte
	Active         bool // PORT and EPRT
	Passive        bool // PASV and EPSV
	Public         netip.Addr
	Greeting       string
	LoginWithin    time.Duration
	Idle           time.Duration
	Tries          int           // wrong passwords
	Settle         time.Duration // without a reset, after the final reply was acknowledged
	Parting        time.Duration // the same when the client has closed its side
	AckWithin      time.Duration // how long the acknowledgement of a final reply is waited for
}

// Defaults bounds a session as a server on the Internet does.
func Defaults() Config {
	return Config{
		TLS: Explicit, Passive: true, Greeting: "Tallyman ready", LoginWithin: 30 * time.Second, Idle: 5 * time.Minute, Tries: 3,
		Settle: time.Second, Parting: 100 * time.Millisecond, AckWithin: 10 * time.Second,
	}
}

// mostWaiting is how many commands may wait behind a running transfer or a login. The next one ends the session with 421.
const mostWaiting = 256

// progressEvery is how often a running transfer says how far it is.
const progressEvery = time.Second

// Machine is one session. It belongs to one goroutine.
type Machine struct {
	cfg Config
	now time.Time
	out []Action

	secure, sized, private bool // TLS on the control connection; PBSZ; PROT P
	asking                 string
	user                   string
	loggedIn               bool
	tries                  int
	dir                    string
	ascii                  bool
	offset, announced      int64
	from                   tallyman.Name // RNFR
	facts                  listing.Facts
	passive, active        bool // the next data connection
	extended               bool // EPSV ALL
	doing                  command.Command

	x        *Transfer
	moved    int64
	waiting  [][]byte
	unproven []*proof
	stored   *Transfer // the upload before, nil if none was stored
	storedAt time.Time
	began    time.Time // of the transfer before
	loginBy  time.Time
	idleAt   time.Time
	toldAt   time.Time
	lost     bool // the control connection has ended
	reset    bool
	leaving  bool // after QUIT, or 421
	stopping bool
	over     bool
}

// New begins a session.
func New(cfg Config, now time.Time) *Machine {
	m := &Machine{
		cfg: cfg, now: now, dir: command.Root, ascii: true, announced: -1, facts: listing.AllFacts(), secure: cfg.Implicit,
		loginBy: now.Add(cfg.LoginWithin), idleAt: now.Add(cfg.Idle),
	}
	// An implicit session is private from the start (RFC 4217, appendix A, describes what came before AUTH).
	m.private, m.sized = cfg.Implicit, cfg.Implicit
	m.reply(220, cfg.Greeting)
	return m
}

// Next returns the next action, false when there is none.
func (m *Machine) Next() (Action, bool) {
	if len(m.out) == 0 {
		return nil, false
	}
	a := m.out[0]
	m.out = m.out[1:]
	return a, true
}

func (m *Machine) do(a Action) { m.out = append(m.out, a) }

func (m *Machine) reply(code int, lines ...string) {
	if m.lost {
		return
	}
	m.do(Reply{Text: command.Reply(code, lines...)})
}

// Running is the transfer under way, nil when there is none.
func (m *Machine) Running() *Transfer { return m.x }

// Count tells how many payload bytes the running transfer has moved.
func (m *Machine) Count(n int64) { m.moved = n }

// Line takes a line without its end, and what was seen of the connections when it came.
func (m *Machine) Line(now time.Time, line []byte, s State) {
	m.now = now
	if m.over || m.lost {
		return
	}
	m.prove(s, true)
	m.idleAt = now.Add(m.cfg.Idle)
	c, err := command.Parse(line)
	if m.leaving {
		return
	}
	if m.busy() && (err != nil || m.x == nil || !urgent(&c)) {
		if len(m.waiting) >= mostWaiting {
			m.leave(421, "Too many commands at once")
			return
		}
		m.waiting = append(m.waiting, append([]byte(nil), line...))
		return
	}
	m.obey(c, err)
}

// urgent reports commands that are answered while data moves (RFC 959, 4.1.3).
func urgent(c *command.Command) bool { return c.Verb == "ABOR" || c.Verb == "STAT" && c.Arg == "" }

// Overlong takes notice of a line that is longer than a command may be.
func (m *Machine) Overlong(now time.Time) {
	m.now = now
	m.leave(500, "The line is too long")
}

func (m *Machine) busy() bool { return m.x != nil || m.doing.Verb != "" }

// goOn answers what has waited.
func (m *Machine) goOn() {
	for !m.busy() && !m.leaving && !m.lost && len(m.waiting) > 0 {
		line := m.waiting[0]
		m.waiting = m.waiting[1:]
		c, err := command.Parse(line)
		m.obey(c, err)
	}
	m.part()
}

func (m *Machine) obey(c command.Command, err error) {
	if err != nil {
		m.malformed(err)
		return
	}
	v, known := find(c.Verb)
	switch {
	case !known:
		m.reply(502, "Not understood here: HELP tells what is")
	case !v.open && !m.loggedIn:
		m.reply(530, "Log in first: USER and PASS")
	case m.cfg.TLS == Required && !m.secure && v.guarded:
		m.reply(530, "TLS is required here: AUTH TLS first")
	default:
		if c.Verb != "RNTO" {
			m.from = tallyman.Name{}
		}
		v.do(m, c)
	}
}

func (m *Machine) malformed(err error) {
	switch {
	case errors.Is(err, command.ErrLong):
		m.leave(500, "The line is too long")
	case errors.Is(err, command.ErrControl):
		m.reply(501, "A NUL, CR, LF or Telnet byte in the argument")
	default:
		m.reply(500, "That is no command")
	}
}

// Secured says that TLS began on the control connection. Whoever was logged in is not any more (RFC 4217, 4).
func (m *Machine) Secured(now time.Time) {
	m.now = now
	m.secure, m.sized, m.private = true, false, false
	m.user, m.asking, m.loggedIn = "", "", false
	m.waiting, m.loginBy = nil, now.Add(m.cfg.LoginWithin)
	m.dir, m.from, m.offset, m.announced, m.extended = command.Root, tallyman.Name{}, 0, -1, false
	if m.passive {
		m.do(Unlisten{})
	}
	m.passive, m.active = false, false
}

// Lost says that the control connection ended: by a reset, or by an orderly end.
func (m *Machine) Lost(now time.Time, reset bool, s State) {
	m.now = now
	if m.over {
		return
	}
	m.lost, m.reset, m.waiting = true, m.reset || reset, nil
	m.prove(s, false)
	m.halt(tallyman.ControlLost)
	m.part()
}

// halt ends the running transfer, a login that waits and a digest that is made. An upload that is being stored is not stored, if it does not have its name yet.
func (m *Machine) halt(why tallyman.Reason) {
	if slices.Contains([]string{"PASS", "HASH", "XSHA256"}, m.doing.Verb) {
		m.do(Halt{})
	}
	if m.x == nil || m.x.why != "" {
		return
	}
	m.x.why = why
	m.do(Halt{})
}

// Stop ends the session when the transfer that runs has ended.
func (m *Machine) Stop(now time.Time) {
	m.now = now
	m.stopping = true
	m.rest()
}

// Kick ends the session and the transfer.
func (m *Machine) Kick(now time.Time, why tallyman.Reason) {
	m.now = now
	m.stopping = true
	m.halt(why)
	m.rest()
}

// rest ends a session that is to stop and has nothing to do.
func (m *Machine) rest() {
	if m.stopping && !m.busy() && !m.leaving {
		m.leave(421, "The server stops")
	}
}

// leave says the last word.
func (m *Machine) leave(code int, text string) {
	if m.leaving || m.over {
		return
	}
	m.reply(code, text)
	m.leaving, m.waiting = true, nil
	m.halt(tallyman.ClientError)
	m.part()
}

// part hangs up once nothing is left to be proven, or to be answered.
func (m *Machine) part() {
	if (m.leaving || m.lost) && m.x == nil && m.doing.Verb == "" && len(m.unproven) == 0 && !m.over {
		m.over = true
		m.do(Unlisten{})
		m.do(Hangup{})
	}
}

// Deadline is when Tick is due, zero for never.
func (m *Machine) Deadline() time.Time {
	var first time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	if m.over {
		return first
	}
	for _, p := range m.unproven {
		sooner(p.lookAt)
	}
	switch {
	case m.x != nil:
		sooner(m.toldAt)
	case m.leaving || m.lost:
	case m.doing.Verb != "": // we are asked for patience
	case !m.loggedIn:
		sooner(m.loginBy)
	default:
		sooner(m.idleAt)
	}
	return first
}

// Tick does what is due.
func (m *Machine) Tick(now time.Time) {
	m.now = now
	if m.over {
		return
	}
	for _, p := range m.unproven {
		if !now.Before(p.lookAt) {
			m.do(Look{})
			break
		}
	}
	switch {
	case m.x != nil:
		if !m.toldAt.IsZero() && !now.Before(m.toldAt) {
			m.toldAt = now.Add(progressEvery)
			m.x.End.Bytes = m.moved
			m.do(Progress{T: m.x})
		}
	case m.leaving || m.lost || m.doing.Verb != "":
	case !m.loggedIn && !now.Before(m.loginBy):
		m.leave(421, "Too long without a login")
	case m.loggedIn && !now.Before(m.idleAt):
		m.leave(421, "Too long without a command")
	}
}
