package mounts

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tallyman"
	"tallyman/source/mounts/device"
)

// told is what was told and has not ended, as the state folder keeps it from one run to the next.
type told struct {
	Boot   string      `json:"boot"`
	Places []toldPlace `json:"places"`
}

type toldPlace struct {
	Path   []byte        `json:"path"` // raw bytes
	Source []byte        `json:"source,omitempty"`
	FS     string        `json:"fs,omitempty"`
	User   string        `json:"user,omitempty"`
	Dev    uint64        `json:"dev"`
	Folder bool          `json:"folder,omitempty"`
	Facts  device.Device `json:"facts"`
}

const toldFile = "mounts.json"

func (w *Watcher) boot() string {
	text, err := os.ReadFile(w.cfg.Boot)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// same reports whether both are one place, in one boot: nobody has told the difference.
func (t *toldPlace) same(p *Place, sameBoot bool) bool {
	return string(t.Path) == p.Path && string(t.Source) == p.Source && t.FS == p.FS && t.Folder == p.Folder && t.Facts.Volume() == p.Volume &&
		(t.Dev == p.Dev || !sameBoot && p.Class != device.Local)
}

// begin tells the present state: what a former run told already is not told again, what it told and is not there any more has ended meanwhile. Mounts of this
// machine's own disks are told only when they came while nobody looked.
func (w *Watcher) begin(at time.Time) {
	former, known := w.readTold()
	boot := w.boot()
	sameBoot := known && former.Boot == boot && boot != ""
	var here []Place
	for _, s := range w.table.all {
		if !s.place.Quiet && w.tells(&s.place) {
			here = append(here, s.place)
		}
	}
	for _, f := range w.folderPlaces() {
		if w.tells(&f) {
			here = append(here, f)
		}
	}
	was := make([]bool, len(former.Places))
	var fresh []tallyman.Evidence
	for i := range here {
		p := &here[i]
		before := false
		for k := range former.Places {
			if !was[k] && former.Places[k].same(p, sameBoot) {
				was[k], before = true, sameBoot
				break
			}
		}
		if !before && (sameBoot || p.Class != device.Local) {
			fresh = append(fresh, w.evidence(tallyman.KindMounted, p, wasThere, at))
		}
	}
	for k := range former.Places {
		f := &former.Places[k]
		if was[k] || !sameBoot && f.Facts.Class == device.Local || !w.cfg.tells(f.Facts.Class) {
			continue
		}
		p := Place{Path: string(f.Path), Source: string(f.Source), FS: f.FS, Dev: f.Dev, Folder: f.Folder, User: f.User}
		p.set(f.Facts)
		says := wasGone
		if !w.cfg.Since.IsZero() {
			says += fmt.Sprintf(" (it went after %s)", w.cfg.Since.UTC().Format(time.RFC3339))
		}
		w.out = append(w.out, w.evidence(tallyman.KindUnmounted, &p, says, at))
	}
	w.out = append(w.out, fresh...)
}

// readTold reads what a former run left. What cannot be read is as good as none: all that is there is told anew.
func (w *Watcher) readTold() (t told, known bool) {
	if w.cfg.State == "" {
		return t, false
	}
	text, err := os.ReadFile(filepath.Join(w.cfg.State, toldFile))
	if errors.Is(err, fs.ErrNotExist) {
		return t, false
	}
	if err == nil {
		err = json.Unmarshal(text, &t)
	}
	if err != nil {
		w.log.Warn("what was told of mounts is not known: all is told anew", "err", err)
		return told{}, false
	}
	return t, true
}

// keep writes what was told, as a whole or not at all.
func (w *Watcher) keep() {
	if w.cfg.State == "" {
		return
	}
	t := told{Boot: w.boot(), Places: []toldPlace{}}
	add := func(p *Place) {
		if w.tells(p) {
			t.Places = append(t.Places, toldPlace{[]byte(p.Path), []byte(p.Source), p.FS, p.User, p.Dev, p.Folder, p.Facts})
		}
	}
	for _, s := range w.table.all {
		if !s.place.Quiet && !s.pulled {
			add(&s.place)
		}
	}
	for _, f := range w.folderPlaces() {
		add(&f)
	}
	text, err := json.Marshal(t)
	path := filepath.Join(w.cfg.State, toldFile)
	if err == nil {
		err = os.WriteFile(path+".new", text, 0o600)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil && w.unkept != err.Error() {
		w.unkept = err.Error()
		w.log.Error("what was told of mounts is not kept: a restart tells it again", "err", err)
	}
}
