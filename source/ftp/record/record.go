// Package record writes the evidence of the FTP server, as the witness "server":
//
//	transfer   Request and Opened, Progress each second, for an upload Closed when it is stored (unproven yet), Closed at the end
//	refused    Refusal
//	listing    Closed at the end, or Refusal
//	names      Closed or Refusal, of what moves no content
//	others     Login, LoginFailed, CommandRefused
//
// It promises that evidence of one transfer carries the same ends and the same beginning, which together name it, and that details are
// canonical JSON whatever a client sends. What it proves it leaves to the engine and to the join.
package record

import (
	"net/netip"
	"strings"
	"time"

	"tallyman"
	"tallyman/details"
	"tallyman/source/ftp/engine"
)

const witness = "server"

// Session is what all evidence of one control connection has in common.
type Session struct {
	Host           string
	Proc           tallyman.Proc
	Client, Server netip.AddrPort
	Began          time.Time
	ID             string
	Secure         bool // the control connection is under TLS
}

// Wall is the time of evidence that is written now.
func Wall() time.Time { return tallyman.Clean(time.Now()) }

func (s *Session) sign(kind tallyman.Kind, at time.Time) tallyman.Evidence {
	e := tallyman.Unknown()
	e.Kind, e.Time, e.Host, e.Witness, e.Proc = kind, at, s.Host, witness, s.Proc
	e.Proto, e.Session, e.Peer, e.Self = "ftp", s.ID, s.Client, s.Server
	if s.Secure {
		e.Proto = "ftps"
	}
	return e
}

func (s *Session) about(t *engine.Transfer, kind tallyman.Kind, at time.Time) tallyman.Evidence {
	e := s.sign(kind, at)
	e.Began, e.Op, e.Name, e.User = t.Began, t.Op, t.Name, t.User
	e.Path, e.File = t.Path, t.Handle
	if t.Op == tallyman.OpGet && !t.ASCII {
		e.Size = t.Size
		if t.Size >= 0 {
			e.Expected = t.Size - t.Offset
		}
	}
	return e
}

// Begin says that a transfer runs.
func (s *Session) Begin(t *engine.Transfer) []tallyman.Evidence {
	request, opened := s.about(t, tallyman.KindRequest, t.Began), s.about(t, tallyman.KindOpened, t.Began)
	opened.Details = facts(t)
	return []tallyman.Evidence{request, opened}
}

// Progress says how far it is.
func (s *Session) Progress(t *engine.Transfer) tallyman.Evidence {
	e := s.about(t, tallyman.KindProgress, Wall())
	e.Moved = t.End.Bytes
	return e
}

// Finish says how it ended.
func (s *Session) Finish(t *engine.Transfer) tallyman.Evidence {
	e := s.about(t, tallyman.KindClosed, Wall())
	e.Moved, e.Reason, e.Err, e.Digest = t.End.Bytes, t.Reason, t.Err, t.Digest
	if (t.Op == tallyman.OpGet || t.Op == tallyman.OpList) && t.End.Delivered >= 0 {
		e.Moved = min(e.Moved, t.End.Delivered)
	}
	if t.Op != tallyman.OpGet {
		e.Size = t.Size
		if t.Announced >= t.End.Bytes { // ALLO is a reservation (RFC 959, 4.1.3): fewer bytes than that is what tells
			e.Expected = t.Announced
		}
	}
	e.Details = facts(t)
	return e
}

// Stored says that an upload stands under its name. That the client was told so is not proven yet.
func (s *Session) Stored(t engine.Transfer, size int64, digest tallyman.Digest) tallyman.Evidence {
	t.Size, t.Digest, t.Reason, t.Err = size, digest, tallyman.ReplyUnacknowledged, ""
	return s.Finish(&t)
}

// Refuse says that a transfer was refused, and why.
func (s *Session) Refuse(t *engine.Transfer) []tallyman.Evidence {
	request, e := s.about(t, tallyman.KindRequest, t.Began), s.about(t, tallyman.KindRefusal, Wall())
	e.Reason, e.Err, e.Details = t.Reason, t.Err, facts(t)
	return []tallyman.Evidence{request, e}
}

// Event is evidence that stands alone.
func (s *Session) Event(v *engine.Event) tallyman.Evidence {
	e := s.sign(v.Kind, Wall())
	e.Began, e.User, e.Reason, e.Err = s.Began, v.User, v.Reason, v.Text
	return e
}

// Named says that a name was made, changed or removed, or why not.
func (s *Session) Named(v *engine.Named, user string) tallyman.Evidence {
	e := s.sign(tallyman.KindClosed, Wall())
	e.Began, e.Op, e.Name, e.Path, e.User, e.Reason = v.Began, v.Op, v.Name, v.Path, user, tallyman.ClosedWell
	if v.To != "" {
		e.Path, e.From = v.To, v.Path
	}
	if v.Err != nil {
		e.Kind, e.Reason, e.Err = tallyman.KindRefusal, v.Err.Reason, v.Err.Text
	}
	return e
}

// facts are the protocol facts, their keys in order.
func facts(t *engine.Transfer) string {
	var d details.Builder
	end := &t.End
	if t.Announced >= 0 && t.Op != tallyman.OpGet {
		d.Count("allo", t.Announced)
	}
	d.Text("command", t.Verb)
	d.Text("compared", strings.Join(t.Compared, " "))
	if end.Peer.IsValid() {
		d.Text("data", end.Peer.String()+">"+end.Local.String())
	}
	d.Text("data_mode", map[bool]string{true: "passive", false: "active"}[t.Passive])
	if t.ASCII {
		d.Text("mode", "netascii") // sizes differ rightly, as in TFTP
	}
	d.Number("offset", t.Offset)
	d.Numbers("replies", t.Codes)
	d.Number("strangers", int64(end.Strangers))
	d.Text("tls", end.TLS)
	d.Flag("tls_resumed", end.Resumed)
	d.Text("type", map[bool]string{true: "A", false: "I"}[t.ASCII])
	return d.String()
}
