package account

import (
	"time"

	"tallyman"
)

// open tells n opens.
func (a *Account) open(u *use, e *Event, n int, out []tallyman.Evidence) []tallyman.Evidence {
	for range n {
		o := opening{at: e.At, size: u.size, told: e.Held > 0 || u.present || u.purpose(e.Deeds) != tallyman.NoOp}
		if len(u.opens) < opensKept {
			u.opens = append(u.opens, o)
		}
		a.counts.Opened++
		if o.told {
			out = append(out, a.opened(u, o, e.Deeds))
		}
	}
	return out
}

// openLate tells the first n opens, if that was put off.
func (a *Account) openLate(u *use, n int, deeds Deed, out []tallyman.Evidence) []tallyman.Evidence {
	for i := range u.opens[:n] {
		if o := &u.opens[i]; !o.told {
			o.told = true
			out = append(out, a.opened(u, *o, deeds))
		}
	}
	return out
}

func (a *Account) opened(u *use, o opening, deeds Deed) tallyman.Evidence {
	ev := a.evidence(u, o.at)
	ev.Kind, ev.Began, ev.Op, ev.Size = tallyman.KindOpened, o.at, u.purpose(deeds), o.size
	ev.Details = a.opening(u)
	return ev
}

// purpose is what the client wants, as far as it is known when a file is opened.
func (u *use) purpose(deeds Deed) tallyman.Op {
	switch {
	case u.created || u.modified || u.mode == Writing || deeds&CloseWrite != 0:
		return tallyman.OpPut
	case u.mode == Reading || deeds&(CloseNoWrite|Read) != 0:
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
	if len(u.opens) == 0 {
		return out
	}
	out = a.openLate(u, 1, e.Deeds, out)
	a.counts.Closed++
	u.how = how
	out = append(out, a.closed(u, e.At, how))
	u.opens = u.opens[1:]
	return out
}

func (a *Account) closed(u *use, at time.Time, how string) tallyman.Evidence {
	ev := a.evidence(u, at)
	ev.Kind, ev.Began = tallyman.KindClosed, u.opens[0].at
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
