package ftp

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"tallyman"
	"tallyman/details"
)

// sign is evidence about the session.
func (s *session) sign(t *Table, kind tallyman.Kind, at time.Time) tallyman.Evidence {
	e := tallyman.Unknown()
	e.Kind, e.Witness, e.Host, e.Proto = kind, "wire", t.cfg.Host, s.proto()
	e.Time, e.Peer, e.Self, e.Session, e.User = tallyman.Clean(at), s.peer, s.self, s.id, s.user
	return e
}

// tell tells an event of the dialogue.
func (s *session) tell(t *Table, kind tallyman.Kind, r reply, what string) {
	e := s.sign(t, kind, s.last)
	e.Began = s.began
	if kind != tallyman.KindCommandRefused {
		e.User = s.asking
	}
	e.Err = strings.TrimSpace(fmt.Sprintf("%s%d %s", what, r.code, r.text))
	e.Raw = at(s.number())
	t.out(e)
}

// tellBounce tells that a client named somebody else as its own end of a data connection: the flow that it asked for. The zero reply is none.
func (s *session) tellBounce(t *Table, c command, r reply) {
	e := s.sign(t, tallyman.KindFlow, s.last)
	e.Began, e.Self = s.began, c.endpoint.said
	answered := "not answered"
	if r.code != 0 {
		answered = fmt.Sprintf("answered %d", r.code)
	}
	e.Err = fmt.Sprintf("bounce: %s %s to %s names a third party, %s", c.verb, c.arg, s.self, answered)
	e.Raw = at(s.number())
	t.out(e)
}

func (s *session) number() uint64 {
	if s.now == nil {
		return 0
	}
	return s.now.Number
}

// sign is evidence about the transfer.
func (x *transfer) sign(t *Table, kind tallyman.Kind, at time.Time) tallyman.Evidence {
	e := x.session.sign(t, kind, at)
	e.Began, e.Op, e.Name, e.Expected = x.began, x.op, x.name, x.expected
	if x.apart {
		e.Peer, e.Session = x.conn.opener, ""
		if x.conn.sender(tallyman.OpPut) == 1 {
			e.Peer = x.conn.listener
		}
	}
	return e
}

func (x *transfer) tellRequest(t *Table) {
	if x.told {
		return
	}
	x.told = true
	e := x.sign(t, tallyman.KindRequest, x.began)
	e.Raw = at(x.number) + strings.TrimSpace(x.verb+" "+tallyman.Escape(x.name))
	t.out(e)
}

// open tells that the transfer runs.
func (x *transfer) open(t *Table) {
	if x.told {
		return
	}
	x.tellRequest(t)
	e := x.sign(t, tallyman.KindOpened, x.session.last)
	e.Details = x.details()
	x.progress = x.session.last
	t.out(e)
}

// tellProgress tells at most once a second how far it is.
func (x *transfer) tellProgress(t *Table, now time.Time) {
	if !x.told || x.ended || now.Sub(x.progress) < time.Second {
		return
	}
	if n := x.moved(); n >= 0 || x.mute {
		x.progress, x.mute = now, false
		e := x.sign(t, tallyman.KindProgress, now)
		e.Moved = n
		t.out(e)
	}
}

// tellMute tells that the client has sent nothing for a while, not even an acknowledgement. It may have vanished, or have nothing to say; whether the server
// has let go of it others may know.
func (x *transfer) tellMute(t *Table, now time.Time) {
	x.mute, x.progress = true, now
	e := x.sign(t, tallyman.KindProgress, now)
	e.Moved, e.Reason, e.Err = x.moved(), tallyman.ClientSilent, fmt.Sprintf("the client has sent nothing for %d s", int(now.Sub(x.heard()).Seconds()))
	t.out(e)
}

func (x *transfer) refuse(t *Table, now time.Time) {
	x.tellRequest(t)
	e := x.sign(t, tallyman.KindRefusal, now)
	e.Reason, e.Err = refusal(x.final, x.finalText, x.op), fmt.Sprintf("%d %s", x.final, x.finalText)
	e.Details, e.Raw = x.details(), x.raw()
	t.out(e)
	x.remove()
}

// close tells how the transfer ended.
func (x *transfer) close(t *Table, now time.Time, r tallyman.Reason, why string) {
	if x.clear() {
		x.remove()
		return
	}
	x.tellRequest(t)
	e := x.sign(t, tallyman.KindClosed, now)
	e.Reason, e.Err, e.Moved = r, why, x.moved()
	if x.final >= 400 {
		e.Err = fmt.Sprintf("%d %s", x.final, x.finalText)
	}
	if c := x.conn; c != nil {
		if i := c.sender(x.op); c.whole(i) && x.offset == 0 {
			e.Digest = c.side[i].digest()
		}
		if c.side[0].tls || c.side[1].tls {
			e.Proto = "ftps"
		}
	}
	e.Details, e.Raw = x.details(), x.raw()
	t.out(e)
	x.remove()
	if e := x.endpoint; e != nil && !e.active && len(e.conns) == 0 {
		t.withdraw(e) // a passive port is good for one transfer
	}
	x.conn = nil
}

// details are the protocol facts, their keys in order.
func (x *transfer) details() string {
	var d details.Builder
	s, c := x.session, x.conn
	d.Flag("aborted", x.aborted)
	if c != nil {
		d.Number("ambiguous_bytes", c.half[c.sender(x.op)].Differ)
	}
	d.Flag("ambiguous_dialogue", x.twofold)
	if x.endpoint != nil {
		d.Text("announced", x.endpoint.said.String())
		if x.endpoint.bounce {
			d.Text("bounce", x.endpoint.said.String())
		}
	}
	if !x.hidden {
		d.Text("command", x.verb)
	}
	if c != nil {
		d.Text("data", c.opener.String()+">"+c.listener.String())
		if c.stranger() {
			d.Text("data_peer", c.opener.String())
		}
	}
	if x.endpoint != nil {
		d.Text("data_mode", map[bool]string{true: "active", false: "passive"}[x.endpoint.active])
	}
	if c != nil {
		d.Number("data_packets", c.packets)
	}
	d.Flag("encrypted", x.hidden || c != nil && (c.side[0].tls || c.side[1].tls))
	if c != nil {
		h := &c.half[c.sender(x.op)]
		d.Time("first_packet", c.began)
		d.Flag("headers_only", !x.hidden && c.side[c.sender(x.op)].cut && h.Missing == 0)
		d.Time("last_packet", c.last)
		if !x.hidden {
			d.Flag("late", !h.Whole)
			d.Number("missing_bytes", h.Missing)
		}
	}
	d.Number("offset", x.offset)
	if c != nil && !x.hidden {
		d.Number("repeated_bytes", c.half[c.sender(x.op)].Again)
	}
	d.Numbers("replies", x.codes)
	d.Number("strange_replies", s.strange)
	version := s.version
	if c != nil && c.version != "" {
		version = c.version
	}
	d.Text("tls", version)
	if x.kind != 0 {
		d.Text("type", string(rune(x.kind)))
	}
	if c != nil {
		d.Number("uncompared_bytes", c.half[c.sender(x.op)].Unsure)
	}
	if x.hidden {
		up, down := c.loads()
		d.Number("wire_bytes_down", down)
		d.Number("wire_bytes_up", up)
	}
	return d.String()
}

// raw says which packets prove it.
func (x *transfer) raw() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s", at(x.number), cmp.Or(x.verb, "behind TLS"))
	if c := x.conn; c != nil {
		fmt.Fprintf(&b, "; %sdata %s>%s", at(c.finNumber), c.opener, c.listener)
		if c.half[c.sender(x.op)].Fin {
			b.WriteString(" to its FIN")
		}
	}
	switch {
	case x.final != 0 && x.hidden:
		fmt.Fprintf(&b, "; %ssomething was said", at(x.finalNo))
	case x.final != 0:
		fmt.Fprintf(&b, "; %s%d", at(x.finalNo), x.final)
	}
	if x.acked {
		fmt.Fprintf(&b, "; %sacknowledged", at(x.ackNo))
	}
	return b.String()
}

// at names a packet of a capture; live packets have no number.
func at(number uint64) string {
	if number == 0 {
		return ""
	}
	return fmt.Sprintf("#%d ", number)
}
