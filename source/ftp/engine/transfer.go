package engine

import (
	"fmt"
	"time"

	"tallyman"
	"tallyman/source/ftp/command"
	"tallyman/source/ftp/listing"
)

func choose(list string) listing.Facts { return listing.Choose(list) }

func (m *Machine) doRetr(c command.Command) {
	m.transfer(c, Open{Op: tallyman.OpGet, Offset: m.offset})
}

func (m *Machine) doStor(c command.Command) {
	o := Open{Op: tallyman.OpPut, Offset: m.offset, Announced: m.announced}
	switch c.Verb {
	case "APPE":
		o.Op, o.Offset = tallyman.OpAppend, ToEnd
	case "STOU":
		o.Unique, o.Offset = true, 0
		if c.Arg == "" {
			c.Arg = "upload"
		}
	}
	if m.ascii || o.Offset != 0 {
		o.Announced = -1 // ALLO counts what the file will have (RFC 959, 4.1.3), and only these bytes are the same
	}
	m.transfer(c, o)
}

func (m *Machine) doList(c command.Command) {
	o := Open{Op: tallyman.OpList, Announced: -1, Facts: m.facts, Form: map[string]Form{"LIST": Long, "NLST": Names, "MLSD": Entries}[c.Verb]}
	if c.Verb != "MLSD" {
		c.Arg = command.ListArgument(c.Arg)
		if o.Form == Names && c.Arg != "" {
			o.Prefix = c.Arg + "/"
			if c.Arg[len(c.Arg)-1] == '/' {
				o.Prefix = c.Arg
			}
		}
	}
	m.transfer(c, o)
}

// transfer begins a transfer: what is to move is opened first.
func (m *Machine) transfer(c command.Command, o Open) {
	_, name, err := command.Resolve(m.dir, c.Arg)
	m.x = &Transfer{
		Op: o.Op, Began: m.stamp(), Verb: c.Verb, Name: m.asked(c.Arg), User: m.user, Offset: max(o.Offset, 0), Announced: o.Announced, Size: -1,
		ASCII: m.ascii && o.Op != tallyman.OpList, Passive: m.passive, Private: m.private,
	}
	o.Name, o.ASCII, m.x.at = name, m.ascii, name
	m.offset, m.announced = 0, -1
	switch {
	case err == nil && o.Name.Path() == "" && o.Op != tallyman.OpList:
		err = tallyman.ErrNameEmpty
		fallthrough
	case err != nil:
		m.x.Err = err.Error()
		m.refused(553, &Refusal{Reason: tallyman.BadRequest, Text: err.Error()})
	case !m.connected():
		m.noted(425)
		m.refused(0, &Refusal{Reason: tallyman.BadRequest, Text: "no data connection was prepared"})
	default:
		m.do(o)
	}
}

// stamp is when what is asked for now began: each has its own moment, by which evidence of one control connection is told apart.
func (m *Machine) stamp() time.Time {
	began := tallyman.Clean(m.now)
	if !began.After(m.began) {
		began = m.began.Add(time.Microsecond)
	}
	m.began = began
	return began
}

// asked is the name as the client means it: what it said, or the whole path where it is in another folder than the root.
func (m *Machine) asked(arg string) string {
	if path, _, err := command.Resolve(m.dir, arg); err == nil && m.dir != command.Root {
		return path
	}
	return arg
}

// noted keeps the code of a reply for the record.
func (m *Machine) noted(code int) { m.x.Codes = append(m.x.Codes, code) }

// refused ends a transfer that never began.
func (m *Machine) refused(code int, r *Refusal) {
	x := m.x
	if code != 0 {
		m.noted(code)
		m.reply(code, public(r.Reason))
	}
	x.Reason, x.Err = r.Reason, r.Text
	m.do(Refuse{T: x})
	m.x = nil
	if m.passive {
		m.do(Unlisten{})
	}
	m.passive, m.active = false, false
	m.goOn()
	m.rest()
}

// Opened answers Open.
func (m *Machine) Opened(now time.Time, o Opened) {
	m.now = now
	x := m.x
	if o.Err != nil {
		c := code(o.Err.Reason, x.Op)
		if o.Err.Reason == tallyman.BadRequest && x.Offset > 0 {
			c = 554 // the parameter of REST (RFC 3659, 5.4)
		}
		m.refused(c, o.Err)
		return
	}
	x.Path, x.Handle, x.Size = o.Path, o.Handle, o.Size
	if x.Op != tallyman.OpGet && x.Op != tallyman.OpList {
		x.Offset = o.Offset
	}
	x.Codes = append(x.Codes, 150)
	if x.Op != tallyman.OpList { // of a listing its end is told
		m.do(Begin{T: x})
	}
	text := "Here it comes"
	switch {
	case o.Made != "":
		x.Name = o.Made
		x.at, _ = tallyman.ParseName(o.Made) // the driver made it of one
		text = "FILE: " + o.Made             // RFC 1123, 4.1.2.9
	case x.Op == tallyman.OpGet && !x.ASCII:
		text = fmt.Sprintf("Here come %d bytes", o.Size-x.Offset)
	case x.Op == tallyman.OpPut || x.Op == tallyman.OpAppend:
		text = "Send it"
	}
	m.reply(150, text)
	m.moved = 0
	m.toldAt = now.Add(progressEvery)
	m.do(Move{Private: x.Private})
}

// doAbor breaks the running transfer off (RFC 959, 4.1.3): 426 for the transfer, 226 for ABOR.
func (m *Machine) doAbor(command.Command) {
	if m.x == nil {
		m.reply(226, "Nothing runs")
		return
	}
	if m.x.aborted {
		return
	}
	m.x.aborted = true
	m.halt(tallyman.ClientAbort)
}

// Moved answers Move.
func (m *Machine) Moved(now time.Time, e Ending) {
	m.now = now
	x := m.x
	x.End = e
	if x.Digest = e.Digest; e.Changed {
		x.Digest = ""
	}
	m.passive, m.active = false, false
	r, code, text := x.outcome()
	upload := x.Op == tallyman.OpPut || x.Op == tallyman.OpAppend
	switch {
	case r == "" && !e.Alive && !m.lost: // seen before the loop was told
		r, text = tallyman.ControlLost, "the control connection had ended when the data connection did"
	case r == "" && m.lost:
		r, text = tallyman.ControlLost, "the control connection was lost"
	}
	switch {
	case r != "":
		m.do(Drop{})
		m.failed(r, code, text)
	case upload:
		x.storing = true
		m.do(Store{T: x})
	default:
		m.do(Drop{})
		m.well()
	}
}

// outcome says why the data connection did not bring all: no reason means that it did.
func (x *Transfer) outcome() (r tallyman.Reason, code int, text string) {
	e := &x.End
	if x.why != "" && (e.How == Halted || x.Op != tallyman.OpGet || e.How != Whole) {
		return x.why, 426, "" // what was said to stop, or lost, is not judged by its data
	}
	switch e.How {
	case Whole:
		if x.Private && !e.Notify && x.Op != tallyman.OpGet && x.Op != tallyman.OpList {
			return tallyman.NoCloseNotify, 426, "the data connection was closed without a close_notify of TLS: it may have been cut"
		}
		return "", 0, ""
	case NoPeer:
		return tallyman.Timeout, 425, "nobody came to the data port"
	case Foreign:
		return tallyman.DataPeerMismatch, 425, e.ErrText
	case NoTLS:
		return tallyman.ClientError, 522, "the TLS handshake on the data connection failed: " + e.ErrText
	case Stranger:
		return tallyman.DataPeerMismatch, 522, "the data connection did not resume the TLS session of its control connection (serve.ftp.tls_reuse)"
	case Reset:
		return tallyman.ClientGone, 426, "the client reset the data connection"
	case Silent:
		return tallyman.ClientSilent, 426, "nothing moved on the data connection"
	case ShortFile:
		return tallyman.IOError, 451, "the file became shorter while it was read"
	case Disk:
		return e.Err.Reason, transferCode(e.Err.Reason), e.Err.Text
	default:
		return tallyman.ServerError, 451, e.ErrText
	}
}

// Stored answers Store.
func (m *Machine) Stored(now time.Time, s Stored) {
	m.now = now
	x := m.x
	if s.Err != nil {
		m.failed(s.Err.Reason, transferCode(s.Err.Reason), s.Err.Text)
		return
	}
	switch {
	case s.Gone && x.why != "" && x.why != tallyman.ControlLost:
		m.failed(x.why, 426, "")
		return
	case s.Gone:
		m.failed(tallyman.ControlLost, 426, "the control connection had ended before the file was stored: it is not")
		return
	}
	x.Size, x.Digest = s.Size, s.Digest
	if m.lost {
		m.failed(tallyman.ControlLost, 0, "the control connection was lost while the file was stored: it stands there, and nobody knows whether it is whole")
		return
	}
	m.stored, m.storedAt = x, now
	m.well()
}

// failed ends a transfer that began.
func (m *Machine) failed(r tallyman.Reason, code int, text string) {
	x := m.x
	m.x = nil
	m.idleAt = m.now.Add(m.cfg.Idle) // it stood still while data moved
	if code != 0 {
		x.Codes = append(x.Codes, code)
		said := public(r)
		if r == tallyman.DataPeerMismatch && code == 522 {
			said = "The data connection must resume the TLS session of this control connection"
		}
		m.reply(code, said)
	}
	m.afterAbor(x)
	m.finish(x, r, text)
	m.goOn()
	m.rest()
}

// well ends a transfer that, as far as the data connection tells, brought all.
func (m *Machine) well() {
	x := m.x
	m.x = nil
	m.idleAt = m.now.Add(m.cfg.Idle)
	x.Codes = append(x.Codes, 226)
	m.reply(226, "Done")
	m.afterAbor(x)
	m.await(x)
	m.goOn()
	m.rest()
}

func (m *Machine) afterAbor(x *Transfer) {
	if x.aborted {
		m.reply(226, "ABOR is done")
	}
}
