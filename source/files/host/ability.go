package host

import (
	"slices"
	"strings"

	"tallyman"
)

// Ability is what a watch can do here, for people.
type Ability struct {
	Whole  bool   // nothing can be missed but by what is told as a gap
	Says   string // one sentence
	Remedy string // what would make it better; empty: nothing
}

// Ability says what this watch can do. It may be called before Run.
func (w *Watcher) Ability() Ability {
	var seen, blind []string
	for i := range w.eyes.volumes {
		seen = append(seen, tallyman.Escape(w.eyes.volumes[i].path))
	}
	for p, why := range w.cannot {
		blind = append(blind, tallyman.Escape(p)+" ("+why+")")
	}
	slices.Sort(blind)
	a := Ability{
		Whole: len(blind) == 0,
		Says:  "all that happens to files below " + strings.Join(seen, ", ") + " is seen, with its process (fanotify); " + tallyman.Count(int64(w.index.Len())) + " names are known",
	}
	if len(blind) > 0 {
		a.Says += "; not watched: " + strings.Join(blind, ", ")
		a.Remedy = "watch folders that are there, on ext4, xfs, btrfs or tmpfs; overlays, FUSE and network shares are not watched in this version"
	}
	return a
}
