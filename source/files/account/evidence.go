package account

import (
	"time"

	"tallyman"
)

// open tells n opens.
func (a *Account) open(u *use, e *Event, n int, out []tallyman.Evidence) []tallyman.Evidence {
	for range n {
		if len(u.began) < opensKept {
			u.began = append(u.began, e.At)
		}
		a.counts.Opened++
		ev := a.evidence(u, e.At)
		ev.Kind, ev.Began, ev.Op = tallyman.KindOpened, e.At, u.purpose(e.Deeds)
		ev.Details = a.opening(u)
		out = append(out, ev)
	}
	return out
}

// purpose is what the client wants, as far as it is known when a file is opened.
func (u *use) purpose(deeds Deed) tallyman.Op {
	switch {
	case u.created || u.modified || u.mode == Writing || deeds&CloseWrite != 0:
		return tallyman.OpPut
	case u.mode == Reading || deeds&CloseNoWrite != 0:
		return tallyman.OpGet
	}
	return tallyman.NoOp
}

// close tells one close, of the oldest open.
func (a *Account) close(u *use, e *Event, written bool, out []tallyman.Evidence) []tallyman.Evidence {
	how := "nowrite"
	if written {
		how = "write"
	}
	if len(u.began) == 0 {
		return out
	}
	a.counts.Closed++
	out = append(out, a.closed(u, e.At, how))
	u.began = u.began[1:]
	return out
}

func (a *Account) closed(u *use, at time.Time, how string) tallyman.Evidence {
	ev := a.evidence(u, at)
	ev.Kind, ev.Began = tallyman.KindClosed, u.began[0]
	switch {
	case how == "write" || u.created || u.modified:
		ev.Op = tallyman.OpPut
	case how == "nowrite":
		ev.Op = tallyman.OpGet
	default:
		ev.Op = u.purpose(0)
	}
	ev.Details = a.closing(u, how)
	return ev
}

func (a *Account) evidence(u *use, at time.Time) tallyman.Evidence {
	ev := tallyman.Unknown()
	ev.Time, ev.Host, ev.Witness, ev.Proto = at, a.cfg.Host, Witness, u.proto
	ev.Proc, ev.Path, ev.From, ev.File, ev.Size = u.proc, u.path, u.from, u.file, u.size
	return ev
}

// named tells of a name that changed or went.
func (a *Account) named(e *Event, kind tallyman.Kind, op tallyman.Op) tallyman.Evidence {
	ev := tallyman.Unknown()
	ev.Time, ev.Began, ev.Host, ev.Witness, ev.Proto = e.At, e.At, a.cfg.Host, Witness, e.Proto
	ev.Kind, ev.Op, ev.Proc, ev.Path, ev.From, ev.File = kind, op, e.Proc, e.Path, e.From, e.File
	if !e.Dir {
		ev.Size = e.Size
	}
	ev.Details = a.naming(e)
	return ev
}

// Witness is the name that evidence of the file system is signed with.
const Witness = "files"

// Gap tells of a stretch in which events were lost. lost is -1 when nobody knows how many.
func (a *Account) Gap(from, to time.Time, lost int64, why, details string) tallyman.Evidence {
	ev := tallyman.Unknown()
	ev.Kind, ev.Began, ev.Time, ev.Host, ev.Witness = tallyman.KindGap, from, to, a.cfg.Host, Witness
	ev.Moved, ev.Err, ev.Details = lost, why, details
	return ev
}
