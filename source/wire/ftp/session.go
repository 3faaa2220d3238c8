package ftp

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tallyman"
	"tallyman/source/wire/frame"
	"tallyman/source/wire/stream"
)

// command waits for its reply. The empty verb is the greeting.
type command struct {
	verb, arg string
	x         *transfer
	endpoint  *endpoint // of PORT and EPRT
	maybe     bool      // replies were missed: it may have been answered
}

// session is one control connection.
type session struct {
	id          string
	peer, self  netip.AddrPort
	began, last time.Time
	heard       time.Time // when the client last sent a packet
	spoke       time.Time // when the server last said something

	client, server stream.Half
	in, out        lines // of the client, of the server
	replies        replies
	queue          []command // without a reply, oldest first
	now            *frame.Packet

	user, asking string
	tls          bool   // the dialogue is encrypted
	secured      bool   // it was, at some time
	version      string // of TLS
	kind         byte   // of TYPE: A, I; 0 = not seen
	offset       int64  // of REST
	allo         int64
	sized        string // the file of the last SIZE
	size         int64

	current   *endpoint // announced, not taken by a transfer yet
	endpoints []*endpoint
	transfers []*transfer
	lostAt    time.Time // an end of the control connection closed or reset it
	lostBy    string
	newest    time.Time // when the newest transfer began
	strange   int64     // replies that answer nothing
	unsure    bool      // commands were missed, and no reply was seen since
}

func newSession(client, server netip.AddrPort, p *frame.Packet) *session {
	began := tallyman.Clean(p.Time)
	s := &session{
		id: fmt.Sprintf("%s>%s@%d", client, server, began.UnixMicro()), peer: client, self: server, began: began, last: p.Time,
		allo: -1, size: -1,
	}
	if p.Has(frame.SYN) {
		s.queue = append(s.queue, command{})
	}
	return s
}

// packet takes a packet of the control connection.
func (s *session) packet(t *Table, p *frame.Packet, fromClient bool) {
	s.last, s.now = p.Time, p
	mine, other := &s.client, &s.server
	take, takeOther := s.takeClient(t), s.takeServer(t)
	if !fromClient {
		mine, other, take, takeOther = other, mine, takeOther, take
	}
	before, said, differ := other.Acked, mine.Next, mine.Differ
	other.Acknowledge(p, takeOther)
	mine.Segment(p, take)
	if mine.Differ > differ {
		s.twoVersions(fromClient)
	}
	if !fromClient && mine.Next > said {
		s.spoke = p.Time
		for _, x := range s.transfers {
			x.words(p)
		}
	}
	if fromClient {
		s.heard = p.Time
		for _, x := range s.transfers {
			x.acknowledged(before, s.server.Acked, s.client.Next > said, p)
		}
	}
	if s.lostBy == "" && (mine.FinSeen || mine.Reset) {
		s.lostAt, s.lostBy = p.Time, "server"
		if fromClient {
			s.lostBy = "client"
		}
		for _, x := range s.transfers {
			x.controlLost(s.lostBy, p)
		}
	}
	if fromClient && mine.Reset {
		for _, x := range s.transfers {
			x.controlLost("client", p)
		}
	}
	for _, x := range slices.Clone(s.transfers) {
		x.settle(t, p.Time)
	}
	s.now = nil
	if s.over() && len(s.transfers) == 0 {
		t.forget(s)
	}
}

// over reports whether nothing more comes on the control connection.
func (s *session) over() bool {
	return s.client.Reset || s.server.Reset || s.client.Fin && s.server.Fin
}

func (s *session) takeClient(t *Table) stream.Taker {
	return func(data []byte, n int) {
		if s.out.pos == 0 && s.in.pos == 0 && isTLS(data) || s.tls && !looksLikeCommand(data) {
			s.encrypted(t, data)
			s.in.lost(n)
			return
		}
		s.tls = false
		s.in.feed(data, func(line string, _ int64) { s.command(t, line) })
		if n > len(data) {
			s.missedCommands()
			s.in.lost(n - len(data))
		}
	}
}

func (s *session) takeServer(t *Table) stream.Taker {
	return func(data []byte, n int) {
		if s.tls {
			s.encrypted(t, data)
			s.out.lost(n)
			return
		}
		// What comes behind the reply that begins TLS is no line.
		s.out.feed(data, func(line string, end int64) {
			if !s.tls {
				s.line(t, line, end)
			}
		})
		if s.tls {
			s.out.lost(0)
		}
		if n > len(data) {
			s.missedReplies()
			s.out.lost(n - len(data))
		}
	}
}

// encrypted notes that the dialogue cannot be read: from now on only data connections between both ends are followed.
func (s *session) encrypted(t *Table, data []byte) {
	s.tls, s.secured = true, true
	if k := [2]netip.Addr{s.peer.Addr(), s.self.Addr()}; !slices.Contains(t.hidden[k], s) {
		t.hidden[k] = append(t.hidden[k], s)
	}
	if v := serverVersion(data); v != "" {
		s.version = v
	}
}

func (s *session) proto() string {
	if s.secured {
		return "ftps"
	}
	return "ftp"
}

// missedCommands: what the next replies answer is no longer sure, neither for the transfers that wait nor for what follows before a reply was seen.
func (s *session) missedCommands() {
	s.unsure = true
	for _, x := range s.transfers {
		x.blurred = x.blurred || x.final == 0
	}
}

// twoVersions: words came again, and others than before. Which of them were heard is not known: of nothing that waits, nor of what they may begin.
func (s *session) twoVersions(fromClient bool) {
	s.unsure = s.unsure || fromClient
	for _, x := range s.transfers {
		x.twofold = true
	}
}

// missedReplies: each waiting command may have been answered. A command that waits alone can only have the next final reply, since no command has two.
func (s *session) missedReplies() {
	s.replies = replies{}
	for i := range s.queue {
		s.queue[i].maybe = true
		if x := s.queue[i].x; x != nil && len(s.queue) > 1 {
			x.blurred = true
		}
	}
}

// settleDoubt drops the commands that may have been answered: their client has gone on.
func (s *session) settleDoubt(t *Table) {
	for _, c := range slices.Clone(s.queue) {
		if c.maybe && c.x != nil {
			c.x.close(t, s.last, tallyman.InGap, "a part of the dialogue was not seen")
		}
	}
	s.queue = slices.DeleteFunc(s.queue, func(c command) bool { return c.maybe })
}

// command takes a line of the client.
func (s *session) command(t *Table, line string) {
	verb, arg := split(line)
	if verb == "" {
		return
	}
	s.settleDoubt(t)
	c := command{verb: verb, arg: arg}
	switch {
	case verb == "USER":
		s.asking = arg
	case verb == "PORT":
		if a, ok := parsePort(arg); ok {
			c.endpoint = s.listens(a, true)
			t.announce(c.endpoint) // some servers connect before they answer
		}
	case verb == "EPRT":
		if a, ok := parseExtended(arg, s.peer.Addr()); ok {
			c.endpoint = s.listens(a, true)
			t.announce(c.endpoint)
		}
	case verb == "ABOR":
		for _, x := range s.transfers {
			x.abort()
		}
	case transferOp(verb) != tallyman.NoOp:
		c.x = s.begin(t, verb, arg)
	}
	if len(s.queue) == mostCommands {
		s.missedReplies() // nobody sends so much ahead
		s.settleDoubt(t)
	}
	s.queue = append(s.queue, c)
}

// begin makes the transfer of a command.
func (s *session) begin(t *Table, verb, arg string) *transfer {
	s.room(t)
	x := &transfer{
		session: s, verb: verb, op: transferOp(verb), name: arg, began: s.moment(s.now.Time), number: s.now.Number,
		kind: s.kind, offset: s.offset, expected: -1, blurred: s.unsure,
	}
	switch {
	case x.op == tallyman.OpGet && s.size >= 0 && s.sized == arg:
		x.expected = max(0, s.size-s.offset)
	case x.op == tallyman.OpPut && s.allo > 0:
		x.expected = s.allo
	}
	s.offset, s.allo = 0, -1
	x.takeEndpoint()
	if s.lostBy != "" {
		x.controlLost(s.lostBy, s.now)
	}
	s.transfers = append(s.transfers, x)
	return x
}

// room makes room for one more transfer.
func (s *session) room(t *Table) {
	if len(s.transfers) == mostTransfers {
		s.transfers[0].giveUp(t, s.last, "too many transfers on one control connection")
	}
}

// moment is the time that names a transfer. Commands of one packet have one time, so each gets one of its own.
func (s *session) moment(at time.Time) time.Time {
	if at = tallyman.Clean(at); at.After(s.newest) {
		s.newest = at
	} else {
		s.newest = s.newest.Add(time.Microsecond)
	}
	return s.newest
}

// line takes a line of the server.
func (s *session) line(t *Table, line string, end int64) {
	r, done, junk := s.replies.feed(line)
	switch {
	case junk:
		s.strange++
	case done:
		s.reply(t, r, end)
	}
}

// reply pairs a reply with its command. One that no waiting command can have is ignored: it must not count as a final one.
func (s *session) reply(t *Table, r reply, end int64) {
	unsure := s.unsure
	s.unsure = false
	i := s.match(r.code)
	switch {
	case i >= 0:
	case unsure && r.code == 227: // only a command that was missed has these answers
		s.answered(t, command{verb: "PASV"}, r)
		return
	case unsure && r.code == 229:
		s.answered(t, command{verb: "EPSV"}, r)
		return
	default:
		s.strange++
		return
	}
	c := s.queue[i]
	if r.code < 200 {
		if c.x != nil {
			c.x.started(t, r)
		}
		return
	}
	// Commands before it that moved nothing will not be answered any more.
	before := slices.DeleteFunc(slices.Clone(s.queue[:i]), func(c command) bool { return c.x == nil })
	s.queue = append(before, s.queue[i+1:]...)
	if c.x != nil {
		c.x.finalReply(r, end)
		return
	}
	s.answered(t, c, r)
}

// match finds the command that a reply answers: the oldest one, or, when it cannot be that, one of the next.
func (s *session) match(code int) int {
	for i := range s.queue[:min(len(s.queue), 4)] {
		c := &s.queue[i]
		if !legal(c.verb, code) {
			continue
		}
		// A running transfer is not answered with a syntax error: that is for a command sent meanwhile.
		if c.x != nil && c.x.running && code >= 500 && code <= 504 && i+1 < len(s.queue) {
			continue
		}
		return i
	}
	return -1
}

// answered takes the final reply to a command that moves no content.
func (s *session) answered(t *Table, c command, r reply) {
	good := r.code < 400
	switch c.verb {
	case "USER":
		if good {
			s.user = s.asking
		}
		if r.code == 230 {
			s.tell(t, tallyman.KindLogin, r, "")
		} else if !good {
			s.tell(t, tallyman.KindLoginFailed, r, "")
		}
		return
	case "PASS", "ACCT":
		switch {
		case r.code == 230 || r.code == 202:
			s.tell(t, tallyman.KindLogin, r, "password in clear text: ") // package rule knows these words; we could read the command
		case !good:
			s.tell(t, tallyman.KindLoginFailed, r, "")
		}
		return
	case "AUTH":
		if good {
			s.encrypted(t, nil)
			return
		}
	case "TYPE":
		if good && c.arg != "" {
			s.kind = strings.ToUpper(c.arg)[0]
		}
	case "REST":
		if good {
			s.offset = max(size(c.arg), 0)
		}
	case "SIZE":
		if good {
			s.sized, s.size = c.arg, size(r.text)
		}
	case "ALLO":
		if good {
			s.allo = size(c.arg)
		}
	case "PASV":
		if a, ok := parsePort(r.text); ok && good {
			s.announced(t, s.listens(a, false))
		}
	case "EPSV":
		if a, ok := parseExtended(r.text, s.self.Addr()); ok && r.code == 229 {
			s.announced(t, s.listens(a, false))
		}
	case "PORT", "EPRT":
		if c.endpoint != nil && c.endpoint.bounce {
			s.tellBounce(t, c, r)
		}
		switch {
		case c.endpoint == nil:
		case good:
			s.current = c.endpoint
		default:
			t.withdraw(c.endpoint)
		}
	}
	syntax := r.code >= 500 && r.code <= 504 && c.verb != "PORT" && c.verb != "EPRT"
	if !good && !syntax && c.verb != "" {
		s.tell(t, tallyman.KindCommandRefused, r, strings.TrimSpace(c.verb+" "+c.arg)+": ")
	}
}

// listens makes an endpoint. A connection is looked for where it was announced and, since addresses are rewritten on the way, on the real address of who
// announced it. A client that names somebody else is noted.
func (s *session) listens(a netip.AddrPort, active bool) *endpoint {
	a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	real := s.self.Addr()
	if active {
		real = s.peer.Addr()
	}
	e := &endpoint{session: s, said: a, at: []netip.AddrPort{a}, active: active, bounce: active && a.Addr() != real}
	if a.Addr() != real {
		e.at = append(e.at, netip.AddrPortFrom(real, a.Port()))
	}
	return e
}

func (s *session) announced(t *Table, e *endpoint) {
	s.current = e
	t.announce(e)
}

// waitsFor returns the transfer that has taken the endpoint and has no connection yet.
func (s *session) waitsFor(e *endpoint) *transfer {
	for _, x := range s.transfers {
		if x.endpoint == e && x.conn == nil && !x.ended {
			return x
		}
	}
	return nil
}

// tick ends what waits in vain.
func (s *session) tick(t *Table, now time.Time) {
	for _, x := range slices.Clone(s.transfers) {
		x.tick(t, now)
	}
	quiet := now.Sub(s.last)
	if s.over() && len(s.transfers) == 0 || quiet > idle {
		if quiet > idle {
			t.drop(s, "nothing was seen for a long time")
			return
		}
		t.forget(s)
	}
}
