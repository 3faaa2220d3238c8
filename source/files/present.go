package files

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/source/files/account"
	"tallyman/source/files/who"
)

// begin tells what is open when the watch begins, and since when nothing was seen.
func (w *Watcher) begin() {
	at := now()
	from := w.cfg.Since
	oldest := w.present(at)
	if from.IsZero() {
		from = oldest
	}
	if !from.IsZero() && from.Before(at) {
		w.out = append([]tallyman.Evidence{w.account.Gap(tallyman.Clean(from), at, -1, "the watch began", "")}, w.out...)
		w.counts.Gaps++
	}
}

// present looks for files below the roots that processes hold open. It returns when the oldest of these processes began, zero if there is none.
func (w *Watcher) present(at time.Time) (oldest time.Time) {
	pids, err := w.table.Pids()
	if err != nil {
		w.log.Warn("processes not all looked at", "err", err)
	}
	for _, pid := range pids {
		if pid == w.self {
			continue
		}
		// A process of somebody else may not be looked at without root; one that ends meanwhile holds nothing.
		_ = w.table.Files(pid, func(path string) {
			if w.holding(pid, path, at) {
				if began := w.startOf(w.table.Of(pid, at), at); oldest.IsZero() || began.Before(oldest) {
					oldest = began
				}
			}
		})
	}
	return oldest
}

// holding tells of one open file, if it is watched.
func (w *Watcher) holding(pid int32, path string, at time.Time) bool {
	root := w.atlas.rootOf(path)
	var st unix.Stat_t
	if root == outside || unix.Lstat(path, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return false
	}
	held := w.table.Holds(pid, st.Dev, st.Ino)
	if held.Open <= 0 {
		return false
	}
	r := &w.atlas.roots[root]
	ev := account.Event{At: at, Proto: r.Proto, Path: path, File: identityAt(path, &st), Size: st.Size, Mode: modeOf(held), Held: held.Open}
	w.person(&ev, pid, at)
	if !r.wants(&ev.Who) {
		return false
	}
	before := len(w.out)
	w.out = w.account.Present(&ev, w.out)
	return len(w.out) > before
}

// rootOf returns the root to which a path belongs, by itself or by a symbolic link.
func (a *atlas) rootOf(path string) int {
	if root := a.inside(path); root != outside {
		return root
	}
	dir, name := split(path)
	if root, ok := a.links[dir][name]; ok {
		return root
	}
	return outside
}

func split(path string) (dir, name string) {
	at := strings.LastIndexByte(path, '/')
	if at <= 0 {
		return "/", path[at+1:]
	}
	return path[:at], path[at+1:]
}

// person sets who did it, where events tell.
func (w *Watcher) person(e *account.Event, pid int32, at time.Time) {
	if w.back == nil || w.back.mode() == Inotify {
		return
	}
	if pid == 0 { // of another pid namespace, one that we cannot see into
		e.Who.Gone = true
		return
	}
	p := w.table.Of(pid, at)
	e.Proc = tallyman.Proc{PID: pid, Start: p.Start}
	e.Who = account.Who{Exe: p.Exe, Comm: p.Comm, User: p.User, Gone: p.Gone || p.Exe == ""} // a zombie has a name, and nothing else
}

func modeOf(h who.Held) account.Mode {
	switch {
	case h.Reads && !h.Writes:
		return account.Reading
	case h.Writes && !h.Reads:
		return account.Writing
	}
	return account.NoMode
}

// held answers how a process holds a file. One that may not be looked at is taken to hold it.
func (w *Watcher) held(q account.Ask) who.Held {
	unseen := who.Held{Open: 1}
	if q.Proc.PID == 0 {
		return who.Held{}
	}
	if p := w.table.Of(q.Proc.PID, now()); p.Start != q.Proc.Start && p.Start != 0 && q.Proc.Start != 0 {
		return who.Held{}
	}
	var st unix.Stat_t
	if unix.Lstat(q.Path, &st) != nil || !strings.Contains(q.File, ":"+strconv.FormatUint(st.Ino, 10)+":") {
		dev, ino, ok := parseIdentity(q.File)
		if !ok {
			return unseen
		}
		st.Dev, st.Ino = dev, ino
	}
	if h := w.table.Holds(q.Proc.PID, st.Dev, st.Ino); h.Open >= 0 {
		return h
	}
	return unseen
}

// parseIdentity takes device and inode out of what identity wrote.
func parseIdentity(s string) (dev, ino uint64, ok bool) {
	f := strings.Split(s, ":")
	if len(f) != 4 {
		return 0, 0, false
	}
	major, err1 := strconv.ParseUint(f[0], 10, 32)
	minor, err2 := strconv.ParseUint(f[1], 10, 32)
	ino, err3 := strconv.ParseUint(f[2], 10, 64)
	_, err4 := strconv.ParseUint(f[3], 10, 32)
	return unix.Mkdev(uint32(major), uint32(minor)), ino, err1 == nil && err2 == nil && err3 == nil && (err4 == nil || f[3] == "?")
}

func (w *Watcher) sizeOf(q account.Ask) int64 {
	var st unix.Stat_t
	if unix.Lstat(q.Path, &st) != nil {
		return -1
	}
	if identityAt(q.Path, &st) != q.File {
		return -1
	}
	return st.Size
}

// ticks is how many clock ticks a second has in /proc (USER_HZ, the same on all machines that Go knows).
const ticks = 100

// startOf is when a process began, by the wall clock.
func (w *Watcher) startOf(p who.Process, at time.Time) time.Time {
	text, err := os.ReadFile(w.cfg.Proc + "/uptime")
	f := bytes.Fields(text)
	if err != nil || len(f) == 0 {
		return at
	}
	up, err := strconv.ParseFloat(string(f[0]), 64)
	if err != nil {
		return at
	}
	age := time.Duration((up - (float64(p.Start)-1)/ticks) * float64(time.Second)) // both are cut to a tick
	return tallyman.Clean(at.Add(-max(age, time.Second/ticks)))
}
