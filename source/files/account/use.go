package account

import (
	"container/list"
	"strings"
	"time"

	"tallyman"
)

// key names a use. The start of the process is compared apart: it is not always known.
type key struct {
	pid  int32
	file string
}

// opensKept is how many opens of one file by one process are told apart. More are counted with the last.
const opensKept = 256

// use is one process with one file, open once or several times.
type use struct {
	proc  tallyman.Proc
	who   Who
	file  string
	path  string
	from  string
	proto string
	opens []opening // the oldest first; empty: it was made, but not opened yet
	mode  Mode
	size  int64
	last  time.Time // when something was last heard of it
	rest  time.Duration
	asked time.Time
	place *list.Element
	scan  int    // of Account, when it was found open
	ahead int    // opens found by looking, whose events may still come until the queue is drained
	how   string // the last close that was seen

	created, read, modified, truncated, deleted bool
	blind                                       bool // not all of it was in sight
	present                                     bool // it was open when the watch began
	gone                                        bool // it was looked at, and is open no more
	found                                       bool // by looking into a folder, not by an event
}

// opening is one open. As long as nobody knows what the file is open for, it is not told: the first read, change or close says that.
type opening struct {
	at   time.Time
	size int64
	told bool
}

func (a *Account) begin(e *Event) *use {
	for a.age.Len() >= max(1, a.cfg.Uses) {
		a.counts.Forgotten++
		a.drop(a.age.Front().Value.(*use))
	}
	u := &use{proc: e.Proc, who: e.Who, file: e.File, path: e.Path, proto: e.Proto, size: -1, last: e.At}
	u.place = a.age.PushBack(u)
	a.uses[key{u.proc.PID, u.file}] = u
	a.files[u.file] = append(a.files[u.file], u)
	return u
}

func (a *Account) drop(u *use) {
	a.age.Remove(u.place)
	delete(a.uses, key{u.proc.PID, u.file})
	of := a.files[u.file]
	for i := range of {
		if of[i] == u {
			of[i] = of[len(of)-1]
			of[len(of)-1] = nil
			of = of[:len(of)-1]
			break
		}
	}
	if len(of) == 0 {
		delete(a.files, u.file)
	} else {
		a.files[u.file] = of
	}
}

func (u *use) saw(deeds Deed, at time.Time) {
	u.last, u.rest, u.gone = at, 0, false
	u.read = u.read || deeds&Read != 0
	u.modified = u.modified || deeds&Modify != 0
	u.created = u.created || deeds&Create != 0
}

// knows takes what the event knows besides the deeds.
func (u *use) knows(e *Event) {
	if e.Mode != NoMode {
		u.mode = e.Mode
	}
	if e.Proc.Start != 0 {
		u.proc, u.who = e.Proc, e.Who
	}
	if e.Size < 0 {
		if e.Deeds&CloseWrite != 0 && u.modified && !u.deleted { // it is gone already: how long it was when it was closed is not known
			u.size = -1
		}
		return
	}
	if e.Size < u.size && !u.created && u.modified {
		u.truncated = true
	}
	u.size = e.Size
}

// emptied finds an open that emptied the file (O_TRUNC): the file changed for the first time and is empty now.
func (u *use) emptied(e *Event) {
	if e.Deeds&Modify != 0 && !u.modified && e.Size == 0 && !u.created && e.Deeds&Create == 0 {
		u.truncated = true
	}
}

// closes lists the closes that the event proves: for each whether the file was open for writing.
func (u *use) closes(deeds Deed) []bool {
	switch deeds & (CloseWrite | CloseNoWrite) {
	case CloseWrite:
		return closedWrite[:]
	case CloseNoWrite:
		return closedNoWrite[:]
	case CloseWrite | CloseNoWrite:
		return closedBoth[:]
	default:
		return nil
	}
}

var (
	closedWrite   = [...]bool{true}
	closedNoWrite = [...]bool{false}
	closedBoth    = [...]bool{true, false}
)

// rename follows names, of a file or of all files in a folder.
func (a *Account) rename(e *Event) {
	if !e.Dir {
		for _, u := range a.files[e.File] {
			u.moved(e.Path)
		}
		return
	}
	for _, u := range a.uses {
		if below, ok := strings.CutPrefix(u.path, e.From+"/"); ok {
			u.moved(e.Path + "/" + below)
		}
	}
}

func (u *use) moved(path string) {
	if u.from == "" {
		u.from = u.path
	}
	u.path = path
}

// Ask is a question: is the file still open in the process? Of a process 0, whether the file is still being written.
type Ask struct {
	Proc  tallyman.Proc
	File  string
	Path  string
	Opens int  // how often, as far as events told
	Found bool // it was found by looking, and no event came
}

// Idle returns the uses of which nothing was heard for a while. Each question is answered by Look or not at all.
func (a *Account) Idle(now time.Time) []Ask {
	var ask []Ask
	for _, u := range a.uses {
		wait := max(u.rest, a.cfg.Rest)
		if !u.gone && (now.Sub(u.last) < wait || now.Sub(u.asked) < wait) {
			continue
		}
		if len(u.opens) == 0 && !u.found {
			a.drop(u) // made, but never opened: a link, or its open was lost
			continue
		}
		u.asked, u.rest = now, min(2*wait, rests*a.cfg.Rest)
		if u.proc.PID != 0 || u.found {
			ask = append(ask, Ask{Proc: u.proc, File: u.file, Path: u.path, Found: u.found})
		}
	}
	return ask
}

// Look answers a question: open is how many descriptors the process has on the file, size the size of the file, -1 unknown. A file that is open no more
// is asked for again when the queue has been drained once more: the event of its close may wait there.
func (a *Account) Look(q Ask, open int, size int64, now time.Time, out []tallyman.Evidence) []tallyman.Evidence {
	u := a.uses[key{q.Proc.PID, q.File}]
	if u == nil || !u.asked.Equal(now) {
		return out
	}
	if q.Found && size != u.size {
		u.size, u.last = size, now // it grows
		return out
	}
	if again := !u.gone && !q.Found; open > 0 || again {
		u.gone = open <= 0
		return out
	}
	return a.missed(u, now, size, out)
}

// missed tells the closes that no event told of.
func (a *Account) missed(u *use, now time.Time, size int64, out []tallyman.Evidence) []tallyman.Evidence {
	if size >= 0 {
		u.size = size
	}
	how := "unseen"
	if u.how != "" && !u.blind {
		how, now = u.how, u.last // the kernel merged it with the one before
	}
	u.blind = u.blind || how == "unseen"
	if len(u.opens) == 0 && u.found {
		u.opens = append(u.opens, opening{at: u.last, told: true})
	}
	for len(u.opens) > 0 {
		out = a.openLate(u, 1, 0, out)
		out = append(out, a.closed(u, now, how))
		u.opens = u.opens[1:]
		a.counts.Missed++
	}
	a.drop(u)
	return out
}
