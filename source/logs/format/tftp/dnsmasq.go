package tftp

import (
	"strings"

	"tallyman"
	"tallyman/source/logs/format/entry"
)

// dnsmasq reads the TFTP part of dnsmasq: absolute paths, no ports, one line at the end of each transfer and none at its beginning. It takes
// control characters out of names. "sent" is also written when the last ACK, or the ACK of the options, never came (tftp.c of 2.90).
type dnsmasq struct {
	errors *entry.Memo[string, string] // by client: the ERROR it sent, until the line about its transfer
	reads  *entry.Memo[string, string] // by path: why it could not be read
}

// NewDnsmasq returns the format of dnsmasq.
func NewDnsmasq(entry.Options) entry.Format {
	return &dnsmasq{errors: entry.NewMemo[string, string](), reads: entry.NewMemo[string, string]()}
}

// Take implements entry.Format.
func (f *dnsmasq) Take(e *entry.Entry, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	if e.Ident == "dnsmasq" {
		return out, entry.Note("about DNS or DHCP")
	}
	m := e.Message
	switch {
	case strings.HasPrefix(m, "sent "):
		return f.sent(e, m[len("sent "):], true, out)
	case strings.HasPrefix(m, "failed sending "):
		return f.sent(e, m[len("failed sending "):], false, out)
	case strings.HasPrefix(m, "file ") && strings.Contains(m, " not found for "):
		path, to, _ := entry.CutLast(m[len("file "):], " not found for ")
		return f.refusal(e, path, to, tallyman.NotFound, "not found", out)
	case strings.HasPrefix(m, "cannot access "):
		path, text, ok := entry.CutLast(m[len("cannot access "):], ": ")
		if !ok {
			return out, entry.Refuse(entry.WhyUnknown)
		}
		return f.refusal(e, path, "", entry.FileReason(text, tallyman.NotReadable), text, out)
	case strings.HasPrefix(m, "cannot read "):
		path, text, ok := entry.CutLast(m[len("cannot read "):], ": ")
		if !ok {
			return out, entry.Refuse(entry.WhyUnknown)
		}
		f.reads.Put(entry.Keep(path), entry.Keep(text))
		return out, entry.Note(entry.WhyPending)
	case strings.HasPrefix(m, "error ") && strings.Contains(m, " received from "):
		text, from, _ := entry.CutLast(m[len("error "):], " received from ")
		at, ok := entry.Address(from)
		if !ok {
			return out, entry.Refuse(entry.WhyNoAddress)
		}
		f.errors.Put(at.String(), entry.Keep(text))
		return out, entry.Note(entry.WhyPending)
	case strings.HasPrefix(m, "unsupported request from "):
		return f.refusal(e, "", m[len("unsupported request from "):], tallyman.BadRequest, "unsupported request", out)
	case strings.HasPrefix(m, "ignoring packet from "):
		return out, entry.Note(entry.WhyProgress)
	case strings.HasPrefix(m, "TFTP "), strings.HasPrefix(m, "restricting maximum simultaneous TFTP"), strings.HasPrefix(m, "warning: "):
		return out, entry.Note(entry.WhyServer)
	}
	return out, entry.Refuse(entry.WhyUnknown)
}

// sent reads "PATH to IP" at the end of a transfer.
func (f *dnsmasq) sent(e *entry.Entry, m string, well bool, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	path, to, ok := entry.CutLast(m, " to ")
	at, isAddr := entry.Peer(to)
	if !ok || !isAddr {
		return out, entry.Refuse(entry.WhyNoAddress)
	}
	v := e.Say(tallyman.KindClosed, "tftp")
	v.Op, v.Path, v.Peer = tallyman.OpGet, path, at
	client := at.Addr().String()
	said, hasSaid := f.errors.Get(client)
	why, unread := f.reads.Get(path)
	var facts []entry.Fact
	switch {
	case hasSaid: // by client alone: another transfer of the same client may have been meant
		f.errors.Drop(client)
		v.Reason, v.Err = tallyman.ClientError, said
		if strings.HasPrefix(said, "8 ") && well {
			v.Reason = tallyman.SizeProbe
		}
		facts = append(facts, entry.Assumed())
	case well:
		v.Reason = tallyman.ClosedWell
		facts = append(facts, entry.Assumed())
	case unread:
		f.reads.Drop(path)
		v.Reason, v.Err = entry.FileReason(why, tallyman.NotReadable), why
		if v.Reason == tallyman.NotReadable {
			v.Kind = tallyman.KindRefusal
		}
	default:
		v.Reason = tallyman.ClientSilent
	}
	e.Finish(&v, facts...)
	return append(out, v), entry.Result{}
}

func (f *dnsmasq) refusal(e *entry.Entry, path, from string, reason tallyman.Reason, text string, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	v := e.Say(tallyman.KindRefusal, "tftp")
	if from != "" {
		at, ok := entry.Peer(from)
		if !ok {
			return out, entry.Refuse(entry.WhyNoAddress)
		}
		v.Peer = at
	}
	v.Path, v.Reason, v.Err = path, reason, text
	if path != "" {
		v.Op = tallyman.OpGet
	}
	e.Finish(&v)
	return append(out, v), entry.Result{}
}
