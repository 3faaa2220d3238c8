package tftp

import (
	"strconv"
	"time"

	"tallyman"
)

// Granted is what the server agreed to.
type Granted struct {
	Options   bool          // it answered with an OACK
	BlockSize int           // bytes of a block
	Window    int           // blocks before an ACK
	Timeout   time.Duration // 0: not agreed
	Size      int64         // tsize; -1: not said
}

// end is how a session came to its end.
type end struct {
	verdict tallyman.Verdict
	reason  tallyman.Reason
	text    string // for people; the server's own words are escaped
	plainer bool   // the server refused the options: ask again without
}

// session is one attempt: what getter and putter have in common. It is pure: it fills out, the driver sends; until says when tick is due.
type session struct {
	request  Request
	asked    []option
	granted  Granted
	timer    timer
	out      [][]byte // to be sent, in order
	repeat   [][]byte // what a timeout sends again
	until    time.Time
	progress time.Time // when the last new packet came
	sent     time.Time // when the packet went out whose answer is the next sample; zero after a repetition
	answered bool      // the server has said something
	ended    *end

	retransmits int // packets sent again
	duplicates  int // packets that came again
}

func newSession(r Request, asked []option) session {
	return session{request: r, asked: asked, granted: Granted{BlockSize: plainBlockSize, Window: 1, Size: -1}}
}

// begin sends the request.
func (s *session) begin(now time.Time, packet []byte) {
	s.progress = now
	s.send(now, packet)
}

// send sends packets and repeats them until an answer moves the transfer on.
func (s *session) send(now time.Time, packets ...[]byte) {
	s.out = append(s.out, packets...)
	s.repeat = packets
	s.sent, s.until = now, s.next(now)
}

// moved notes that a new packet came.
func (s *session) moved(now time.Time) {
	if !s.sent.IsZero() {
		s.timer.sample(now.Sub(s.sent))
		s.sent = time.Time{}
	}
	s.timer.backoff = 0
	s.progress = now
	s.until = s.next(now)
}

// tick repeats, or gives up.
func (s *session) tick(now time.Time) {
	if s.ended != nil || now.Before(s.until) {
		return
	}
	if now.Sub(s.progress) >= s.request.GiveUp {
		e := end{tallyman.Failed, tallyman.ServerGone, "the server fell silent", false}
		if !s.answered {
			e.reason, e.text = tallyman.Timeout, "no answer from the server"
		} else {
			s.out = append(s.out, failure(errUndefined, "timed out"))
		}
		s.finish(e)
		return
	}
	s.timer.backoff++
	s.sent = time.Time{}
	s.retransmits += len(s.repeat)
	s.out = append(s.out, s.repeat...)
	s.until = s.next(now)
}

// next is when to repeat or to give up, whichever comes first.
func (s *session) next(now time.Time) time.Time {
	at, limit := now.Add(s.timer.wait()), s.progress.Add(s.request.GiveUp)
	if limit.Before(at) {
		return limit
	}
	return at
}

func (s *session) finish(e end) { s.ended = &e }

// stop ends the session from our side and tells the server.
func (s *session) stop(e end, code uint16, said string) {
	if s.ended != nil {
		return
	}
	if s.answered {
		s.out = append(s.out, failure(code, said))
	}
	s.finish(e)
}

// refusals maps an ERROR in place of the first answer (RFC 1350, appendix). What a code means depends on what was asked.
func refusals(code int, put bool) tallyman.Reason {
	switch code {
	case errNotFound:
		return tallyman.NotFound
	case errAccess:
		if put {
			return tallyman.NotWritable
		}
		return tallyman.NotReadable
	case errDiskFull:
		return tallyman.DiskFull
	case errIllegal, errOption, errUnknownTID:
		return tallyman.BadRequest
	case errExists:
		return tallyman.Exists
	case errNoUser:
		return tallyman.NotAllowed
	default:
		return tallyman.Policy
	}
}

// failed ends the session by an ERROR of the server. Begun tells whether content has moved.
func (s *session) failed(p packet, put, begun bool) {
	e := end{tallyman.Refused, refusals(p.code, put), said(p), false}
	switch {
	case p.code == errOption && !begun && len(s.asked) > 0:
		e.plainer = true
	case begun && p.code == errDiskFull:
		e.verdict, e.reason = tallyman.Failed, tallyman.DiskFull
	case begun:
		e.verdict, e.reason = tallyman.Failed, tallyman.ServerError
	}
	s.finish(e)
}

// said quotes an ERROR.
func said(p packet) string {
	words := [...]string{
		"", "file not found", "access violation", "disk full", "illegal operation", "unknown transfer ID", "file exists", "no such user", "option refused",
	}
	text := tallyman.Escape(p.text)
	if text == "" && p.code < len(words) {
		text = words[p.code]
	}
	if text != "" {
		text = ": " + text
	}
	return "the server says ERROR " + strconv.Itoa(p.code) + text
}

// agree takes the options of an OACK. What was not asked for, or exceeds what was asked for, is refused with ERROR 8 (RFC 2347), and the
// server is asked again without options.
func (s *session) agree(options []option) bool {
	g := Granted{Options: true, BlockSize: plainBlockSize, Window: 1, Size: -1}
	seen := map[string]bool{}
	for _, o := range options {
		n, err := strconv.ParseInt(o.value, 10, 64)
		ok := err == nil && !seen[o.name]
		seen[o.name] = true
		switch asked := s.ask(o.name); {
		case !ok || asked < 0:
			ok = false
		case o.name == "blksize":
			ok, g.BlockSize = n >= minBlockSize && n <= asked, int(n)
		case o.name == "windowsize":
			ok, g.Window = n >= 1 && n <= asked, int(n)
		case o.name == "timeout":
			ok, g.Timeout = n == asked, time.Duration(n)*time.Second
		case o.name == "tsize":
			ok, g.Size = n >= 0, n
		}
		if !ok {
			e := end{tallyman.Failed, tallyman.ServerError, "the server grants an option that was not asked for: " + tallyman.Escape(o.name+"="+o.value), true}
			s.answered = true
			s.stop(e, errOption, "option refused")
			return false
		}
	}
	s.granted, s.timer.fixed = g, g.Timeout
	return true
}

// ask returns the value that was asked for, -1 if none was.
func (s *session) ask(name string) int64 {
	for _, o := range s.asked {
		if o.name == name {
			n, _ := strconv.ParseInt(o.value, 10, 64)
			return n
		}
	}
	return -1
}
