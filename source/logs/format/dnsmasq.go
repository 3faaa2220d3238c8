package format

import (
	"strings"

	"tallyman"
)

// dnsmasq reads the TFTP part of dnsmasq: absolute paths, no ports, one line at the end of each transfer and none at its beginning. It takes
// control characters out of names. "sent" is also written when the last ACK, or the ACK of the options, never came (tftp.c of 2.90).
type dnsmasq struct {
	errors *memo[string, string] // by client: the ERROR it sent, until the line about its transfer
	reads  *memo[string, string] // by path: why it could not be read
}

func newDnsmasq(Options) Format {
	return &dnsmasq{errors: newMemo[string, string](), reads: newMemo[string, string]()}
}

func (f *dnsmasq) Take(e *Entry, out []tallyman.Evidence) ([]tallyman.Evidence, Result) {
	if e.Ident == "dnsmasq" {
		return out, noted("about DNS or DHCP")
	}
	m := e.Message
	switch {
	case strings.HasPrefix(m, "sent "):
		return f.sent(e, m[len("sent "):], true, out)
	case strings.HasPrefix(m, "failed sending "):
		return f.sent(e, m[len("failed sending "):], false, out)
	case strings.HasPrefix(m, "file ") && strings.Contains(m, " not found for "):
		path, to, _ := cutLast(m[len("file "):], " not found for ")
		return f.refusal(e, path, to, tallyman.NotFound, "not found", out)
	case strings.HasPrefix(m, "cannot access "):
		path, text, ok := cutLast(m[len("cannot access "):], ": ")
		if !ok {
			return out, refused(whyUnknown)
		}
		return f.refusal(e, path, "", fileReason(text, tallyman.NotReadable), text, out)
	case strings.HasPrefix(m, "cannot read "):
		path, text, ok := cutLast(m[len("cannot read "):], ": ")
		if !ok {
			return out, refused(whyUnknown)
		}
		f.reads.put(keep(path), keep(text))
		return out, noted(whyPending)
	case strings.HasPrefix(m, "error ") && strings.Contains(m, " received from "):
		text, from, _ := cutLast(m[len("error "):], " received from ")
		at, ok := address(from)
		if !ok {
			return out, refused(whyNoAddress)
		}
		f.errors.put(at.String(), keep(text))
		return out, noted(whyPending)
	case strings.HasPrefix(m, "unsupported request from "):
		return f.refusal(e, "", m[len("unsupported request from "):], tallyman.BadRequest, "unsupported request", out)
	case strings.HasPrefix(m, "ignoring packet from "):
		return out, noted(whyProgress)
	case strings.HasPrefix(m, "TFTP "), strings.HasPrefix(m, "restricting maximum simultaneous TFTP"), strings.HasPrefix(m, "warning: "):
		return out, noted(whyServer)
	}
	return out, refused(whyUnknown)
}

// sent reads "PATH to IP" at the end of a transfer.
func (f *dnsmasq) sent(e *Entry, m string, well bool, out []tallyman.Evidence) ([]tallyman.Evidence, Result) {
	path, to, ok := cutLast(m, " to ")
	at, isAddr := peer(to)
	if !ok || !isAddr {
		return out, refused(whyNoAddress)
	}
	v := e.say(tallyman.KindClosed, "tftp")
	v.Op, v.Path, v.Peer = tallyman.OpGet, path, at
	client := at.Addr().String()
	said, hasSaid := f.errors.get(client)
	why, unread := f.reads.get(path)
	var facts []fact
	switch {
	case hasSaid: // by client alone: another transfer of the same client may have been meant
		f.errors.drop(client)
		v.Reason, v.Err = tallyman.ClientError, said
		if strings.HasPrefix(said, "8 ") && well {
			v.Reason = tallyman.SizeProbe
		}
		facts = append(facts, isAssumed())
	case well:
		v.Reason = tallyman.ClosedWell
		facts = append(facts, isAssumed())
	case unread:
		f.reads.drop(path)
		v.Reason, v.Err = fileReason(why, tallyman.NotReadable), why
		if v.Reason == tallyman.NotReadable {
			v.Kind = tallyman.KindRefusal
		}
	default:
		v.Reason = tallyman.ClientSilent
	}
	e.finish(&v, facts...)
	return append(out, v), Result{}
}

func (f *dnsmasq) refusal(e *Entry, path, from string, reason tallyman.Reason, text string, out []tallyman.Evidence) ([]tallyman.Evidence, Result) {
	v := e.say(tallyman.KindRefusal, "tftp")
	if from != "" {
		at, ok := peer(from)
		if !ok {
			return out, refused(whyNoAddress)
		}
		v.Peer = at
	}
	v.Path, v.Reason, v.Err = path, reason, text
	if path != "" {
		v.Op = tallyman.OpGet
	}
	e.finish(&v)
	return append(out, v), Result{}
}
