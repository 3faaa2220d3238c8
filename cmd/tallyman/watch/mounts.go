package watch

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"tallyman/source/mounts"
	"tallyman/source/mounts/device"
)

func (w *Watch) openMounts(*plan, time.Time) (*work, error) {
	if len(w.cfg.Mounts.Told) == 0 {
		return nil, nil // switched off
	}
	cfg := w.cfg.Mounts
	cfg.Since = w.cfg.Since
	m, err := mounts.Open(cfg, w.cfg.Log.With("room", "mounts"))
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.places = m.Places()
	w.mu.Unlock()
	return &work{
		run: m.Run, begun: begun(), close: m.Close, moves: true,
		count: func(into map[string]int64) {
			c := m.Counts()
			into["mounts_events_total"], into["mounts_looks_total"], into["mounts_refused_total"] = c.Told, c.Looks, c.Refused
			into["mounts_uevents_total"], into["mounts_forged_total"] = c.Uevents, c.Forged
		},
		says: func() (State, string, string) { return Live, Sums(m.Places().All()), "" },
	}, nil
}

// Places are the mounts as they are now, with the folders of clouds; none where mounts are not watched.
func (w *Watch) Places() []mounts.Place {
	w.mu.Lock()
	places := w.places
	w.mu.Unlock()
	if places == nil {
		return nil
	}
	return places.All()
}

// WouldPlaces is what a watch would see mounted, without watching.
func WouldPlaces(cfg mounts.Config) ([]mounts.Place, error) {
	cfg.State = ""
	m, err := mounts.Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return m.Places().All(), nil
}

// Sums says how many places there are of each class.
func Sums(all []mounts.Place) string {
	n, folders := map[mounts.Class]int{}, map[mounts.Class]int{}
	for i := range all {
		switch p := &all[i]; {
		case p.Folder:
			folders[p.Class]++
		case !p.Quiet:
			n[p.Class]++
		}
	}
	var parts []string
	for _, c := range device.Classes() {
		if n[c] > 0 || c == device.Local {
			parts = append(parts, fmt.Sprintf("%d %s", n[c], c))
		}
	}
	parts = []string{strings.Join(parts, ", ") + " mounted"}
	for _, c := range device.Classes() {
		if folders[c] > 0 {
			parts = append(parts, fmt.Sprintf("%s folders: %d", c, folders[c]))
		}
	}
	return strings.Join(parts, "; ")
}
