package account

import (
	"container/list"
	"time"

	"tallyman"
)

// Deed is what was done to a file, as bits: events of the kernel are merged, so one event may tell of several, in no order.
type Deed uint16

// The deeds.
const (
	Open Deed = 1 << iota
	Read
	Modify
	CloseWrite
	CloseNoWrite
	Create
	Delete
	Rename
)

// Mode is for what a file is open.
type Mode uint8

// The modes. NoMode is not known.
const (
	NoMode Mode = iota
	Reading
	Writing
)

// Who is what is known of a process.
type Who struct {
	Exe, Comm, User string
	Gone            bool // it had ended before all of it could be looked at
}

// Event is what a watcher saw.
type Event struct {
	At    time.Time
	Deeds Deed
	Proc  tallyman.Proc // zero if the watcher cannot know; Start 0 if the process had gone
	Who   Who
	Mode  Mode
	File  string // what the file is called whatever its name: the identity, and Evidence.File
	Path  string
	From  string // of a rename
	Proto string
	Size  int64 // when the event was read, -1 unknown
	Dir   bool  // a folder: renames and deletes alone
	Held  int   // how many descriptors the process had on the file when it was looked at, -1 if it was not
	Quiet bool  // of a process that is not wanted: names are followed, nothing is told
}

// Config bounds an Account.
type Config struct {
	Host string
	// Uses is how many uses are held, about 500 bytes each. When there are more, the one that began first is forgotten and counted.
	Uses int
	// Rest is after how long without an event it is asked whether a file is still open. Then it is asked ever less often, up to Rests times that.
	Rest time.Duration
}

// rests is the longest time between two questions about one use, in units of Config.Rest.
const rests = 16

// Defaults returns the configuration of a running watcher.
func Defaults(host string) Config { return Config{Host: host, Uses: 16384, Rest: 2 * time.Second} }

// Counts is what an Account has counted.
type Counts struct {
	Opened, Closed, Renamed, Deleted int64 // told
	Missed                           int64 // closes that no event told of
	Forgotten                        int64 // uses for which there was no room
}

// Account is the account of all uses.
type Account struct {
	cfg    Config
	uses   map[key]*use
	files  map[string][]*use
	age    *list.List // of *use, the oldest in front
	counts Counts
	scan   int // grows when the queue is drained
	doubts []*use
	buf    []byte
}

// New returns an empty Account.
func New(cfg Config) *Account {
	return &Account{cfg: cfg, uses: map[key]*use{}, files: map[string][]*use{}, age: list.New()}
}

// Counts returns the counts.
func (a *Account) Counts() Counts { return a.counts }

// Running returns how many uses are open or have just been made.
func (a *Account) Running() int { return len(a.uses) }

// Has reports whether a process has opened the file.
func (a *Account) Has(pid int32, file string) bool {
	u := a.uses[key{pid, file}]
	return u != nil && len(u.opens) > 0
}

// Owners returns the processes, but for one, that have opened the file.
func (a *Account) Owners(file string, but int32) []Ask {
	var own []Ask
	for _, u := range a.files[file] {
		if len(u.opens) > 0 && u.proc.PID != but && u.proc.PID != 0 {
			own = append(own, Ask{Proc: u.proc, File: u.file, Path: u.path, Opens: len(u.opens)})
		}
	}
	return own
}

// Touch takes reads and modifications of a use that is known, which need no look at process and file. It reports whether it took them.
func (a *Account) Touch(pid int32, file string, deeds Deed, at time.Time) bool {
	if deeds&^(Read|Modify) != 0 {
		return false
	}
	u := a.uses[key{pid, file}]
	if u == nil || u.deleted || len(u.opens) == 0 || deeds&Modify != 0 && !u.modified || !u.opens[len(u.opens)-1].told {
		return false // the first change wants a look at the size: it may be that the file was emptied
	}
	u.saw(deeds, at)
	return true
}

// Add takes an event and appends to out what it proves.
func (a *Account) Add(e *Event, out []tallyman.Evidence) []tallyman.Evidence {
	if e.Deeds&Rename != 0 {
		a.rename(e)
		if !e.Quiet {
			a.counts.Renamed++
			out = append(out, a.named(e, tallyman.KindRenamed, tallyman.OpRename))
		}
	}
	if !e.Dir {
		out = a.use(e, out)
	}
	if e.Deeds&Delete != 0 {
		for _, u := range a.files[e.File] {
			u.deleted = true
			u.size = max(u.size, e.Size)
		}
		if !e.Quiet {
			a.counts.Deleted++
			out = append(out, a.named(e, tallyman.KindDeleted, tallyman.OpDelete))
		}
	}
	return out
}

// use follows opens and closes.
func (a *Account) use(e *Event, out []tallyman.Evidence) []tallyman.Evidence {
	const ours = Open | Read | Modify | CloseWrite | CloseNoWrite | Create
	if e.Quiet || e.Deeds&ours == 0 {
		return out
	}
	u := a.uses[key{e.Proc.PID, e.File}]
	if u != nil && u.found {
		u = nil
	}
	if u != nil && u.proc.Start != e.Proc.Start && u.proc.Start != 0 && e.Proc.Start != 0 {
		out = a.missed(u, e.At, -1, out) // the pid was given to another process
		u = nil
	}
	if u == nil {
		found := a.foundOf(e.File)
		u = a.begin(e)
		if found {
			u.created, u.blind = true, true
		}
	}
	u.emptied(e)
	u.saw(e.Deeds, e.At)
	u.knows(e)
	closes := u.closes(e.Deeds)
	switch {
	case e.Deeds&Open != 0 && len(u.opens) == 0:
		u.blind = u.blind && u.created // in sight from the start; of what was found by looking, the start is not known
		out = a.open(u, e, max(1, len(closes)), out)
	case e.Deeds&Open != 0 && u.ahead > 0 && u.scan == a.scan:
		u.ahead-- // the open that was found by looking
	case e.Deeds&Open != 0:
		out = a.open(u, e, 1, out)
	case len(closes) > len(u.opens) || len(closes) == 0 && len(u.opens) == 0 && e.Deeds&Create == 0:
		u.blind = true // its open was not seen
		if e.Deeds&(Read|CloseWrite|CloseNoWrite) != 0 {
			out = a.open(u, e, max(1, len(closes))-len(u.opens), out)
		}
	}
	if e.Deeds&Open != 0 && (e.Held > len(u.opens) || e.Held == 0 && len(closes) == 0) && len(a.doubts) < doubtsKept {
		a.doubts = append(a.doubts, u)
	}
	if u.purpose(e.Deeds) != tallyman.NoOp {
		out = a.openLate(u, len(u.opens), e.Deeds, out)
	}
	for _, written := range closes {
		out = a.close(u, e, written, out)
	}
	if len(closes) > 0 && len(u.opens) == 0 {
		a.drop(u)
	}
	return out
}

// Present tells of a file that was found open. The event of its opening may still wait in the queue: until Drained is called, it is taken for that.
func (a *Account) Present(e *Event, out []tallyman.Evidence) []tallyman.Evidence {
	if u := a.uses[key{e.Proc.PID, e.File}]; u != nil && len(u.opens) > 0 {
		return out
	}
	u := a.begin(e)
	u.blind, u.present, u.scan, u.ahead = true, true, a.scan, 1
	u.knows(e)
	return a.open(u, e, 1, out)
}

// doubtsKept bounds how many uses are counted again when the queue is drained. More are not: their close then tells of an open that was not seen.
const doubtsKept = 1024

// Drained says that all events of what happened before have been added. It returns the uses of which the descriptors did not fit the events: the kernel
// merges the opens of two threads, and tells an open before the process has its descriptor (fs/open.c). Each is answered by Recount or not at all.
func (a *Account) Drained() []Ask {
	a.scan++
	if len(a.doubts) == 0 {
		return nil
	}
	var ask []Ask
	for _, u := range a.doubts {
		if a.uses[key{u.proc.PID, u.file}] == u {
			ask = append(ask, Ask{Proc: u.proc, File: u.file, Path: u.path})
		}
	}
	clear(a.doubts)
	a.doubts = a.doubts[:0]
	return ask
}

// Recount tells what the descriptors say now: opens that were put off, and opens that were merged with others. If one of them came after the queue was
// drained, its event is not told again.
func (a *Account) Recount(q Ask, held int, mode Mode, out []tallyman.Evidence) []tallyman.Evidence {
	u := a.uses[key{q.Proc.PID, q.File}]
	if u == nil || held <= 0 {
		return out
	}
	if u.mode == NoMode {
		u.mode = mode
	}
	out = a.openLate(u, len(u.opens), 0, out)
	n := min(held, opensKept) - len(u.opens)
	if n <= 0 {
		return out
	}
	u.scan, u.ahead = a.scan, n
	return a.open(u, &Event{At: u.last, Held: held}, n, out)
}

// Found takes a file that no event told of: it was made in a folder before the folder was watched. If no event comes, Idle asks for it.
func (a *Account) Found(e *Event) {
	if len(a.files[e.File]) > 0 {
		return
	}
	u := a.begin(e)
	u.blind, u.found, u.created = true, true, true
	u.knows(e)
}

// foundOf takes a found file away, because an event has come.
func (a *Account) foundOf(file string) bool {
	for _, u := range a.files[file] {
		if u.found {
			a.drop(u)
			return true
		}
	}
	return false
}

// Blind says that events were lost: of what runs, no "not" can be said any more, and Idle asks for all that runs.
func (a *Account) Blind(now time.Time) {
	for _, u := range a.uses {
		u.blind, u.rest, u.last = true, 0, now
	}
}
