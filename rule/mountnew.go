package rule

import (
	"fmt"
	"strings"

	"tallyman"
)

// mountNew finds what was mounted that is not kept on this machine's own disks: sticks, shares, clouds (ATT&CK T1052, T1567).
type mountNew struct{ told }

func newMountNew(cfg Config) detector { return &mountNew{newTold(cfg)} }

// Texts of a mount that was there before, in another form (source/mounts).
const (
	wasMoved = "moved from "
	wasAgain = "remounted"
)

func (m *mountNew) take(r tallyman.Record) (found, bool) {
	e, ok := r.(*tallyman.Event)
	if !ok || e.Kind != tallyman.KindMounted.String() || e.ToClass == "" || e.ToClass == "local" || strings.HasPrefix(e.Text, wasMoved) || strings.HasPrefix(e.Text, wasAgain) {
		return found{}, false
	}
	what := tallyman.Escape(e.Device)
	if what == "" {
		what = "a device without a name"
	}
	by := ""
	if e.User != "" {
		by = " of " + tallyman.Escape(e.User)
	}
	return m.find(e, what+" on "+e.Host, fmt.Sprintf("%s (%s)%s is at %s: %s", what, e.ToClass, by, tallyman.Escape(e.Path), tallyman.Escape(e.Text)))
}
