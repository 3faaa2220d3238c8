package files

import (
	"fmt"
	"log/slog"
	"strings"

	"golang.org/x/sys/unix"

	"tallyman"
)

// Ability is what a watch can do here, for people.
type Ability struct {
	Mode   Mode
	Who    bool   // the process is known
	Whole  bool   // nothing can be missed but by an overflow, which is told
	Says   string // one sentence
	Remedy string // what would make it better; empty: nothing
}

// Ability says what this watch can do.
func (w *Watcher) Ability() Ability {
	a := Ability{Mode: w.back.mode()}
	switch a.Mode {
	case Auto: // what runs has taken one of the others
	case FileSystem:
		a.Who, a.Whole = true, true
		a.Says = "every open, change and close below " + w.named() + " is seen, with its process (fanotify)"
	case Folders:
		a.Who = true
		k, _ := w.back.(*kernel)
		var where []string
		for _, c := range k.folders {
			where = append(where, tallyman.Escape(c.path))
		}
		a.Says = fmt.Sprintf("opens, changes and closes below %s are seen, with their process (fanotify); at %s folder by folder: of what is made in a "+
			"new folder at once, the end may be seen alone", w.named(), strings.Join(where, ", "))
		a.Remedy = "nothing, if it must lie on such a file system (overlay, FUSE, network share); ext4, xfs, btrfs and tmpfs are watched as a whole"
	case Inotify:
		a.Says = "opens, changes and closes below " + w.named() + " are seen, but not by which process (inotify); of what is made in a new folder at once, " +
			"the end may be seen alone"
		if w.why != "" {
			a.Says += ": " + w.why
		}
		a.Remedy = remedy()
	}
	if w.cut {
		a.Says += fmt.Sprintf("; symbolic links that lead out of it are followed up to %d, among the first %s entries", linksKept, tallyman.Count(linksLooked))
	}
	return a
}

func (w *Watcher) named() string {
	var names []string
	for i := range w.cfg.Roots {
		names = append(names, tallyman.Escape(w.atlas.roots[i].Path))
	}
	return strings.Join(names, ", ")
}

func remedy() string {
	if unix.Geteuid() != 0 {
		return "run it as root, or give it CAP_SYS_ADMIN, CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE"
	}
	return "run it on Linux 5.17 or later, outside a container that lacks CAP_SYS_ADMIN"
}

// Probe says what a watch of the roots could do, without watching them.
func Probe(cfg Config) (Ability, error) {
	w, err := Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return Ability{}, err
	}
	defer w.Close()
	return w.Ability(), nil
}
