package watch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"tallyman"
	"tallyman/witness"
)

// Standing is how the witnesses stood from a time on, until the next one.
type Standing struct {
	At      time.Time      `json:"at"`
	Ran     bool           `json:"ran"`
	All     []witness.Post `json:"all,omitempty"` // of servers that were not found
	Servers []Stood        `json:"servers,omitempty"`
}

// Stood is how they stood towards one server.
type Stood struct {
	Name    string         `json:"name"`
	Proto   string         `json:"proto"`
	Ports   []uint16       `json:"ports,omitempty"`
	Folders []string       `json:"folders,omitempty"`
	Posts   []witness.Post `json:"posts"`
}

// History keeps how the witnesses stood, in a file of JSON lines, so that the why of an old transfer can tell who could not see it. It belongs to one
// goroutine. A watch writes a line when something has changed: a few a day.
type History struct {
	path string
	last Standing
	cut  bool // the last line is half a one, of a run that was killed
}

const (
	historyFile = "watched.ndjson"
	// historyMost bounds the file, in bytes; when it is full, the older half is forgotten.
	historyMost = 1 << 20
)

// OpenHistory reads where the file in the state folder ends. Since is when a former run was last seen at work: from then on nobody watched.
func OpenHistory(state string, since time.Time) (*History, error) {
	h := &History{path: filepath.Join(state, historyFile)}
	all, whole, err := readHistory(h.path)
	if err != nil {
		return nil, err
	}
	h.cut = !whole
	if n := len(all); n > 0 {
		if h.last = all[n-1]; h.last.Ran && !since.IsZero() {
			return h, h.Note(Standing{At: since})
		}
	}
	return h, nil
}

// Note writes down how they stand, if that is new.
func (h *History) Note(s Standing) error {
	s.At = tallyman.Clean(s.At)
	same := h.last
	same.At = s.At
	if reflect.DeepEqual(s, same) {
		return nil
	}
	line, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("note how the witnesses stand: %w", err)
	}
	line = append(line, '\n')
	if h.cut {
		line = append([]byte("\n"), line...)
	}
	if err := h.write(line); err != nil {
		return fmt.Errorf("note how the witnesses stand: %w", err)
	}
	h.cut = false
	h.last = s
	return nil
}

func (h *History) write(line []byte) error {
	if st, err := os.Stat(h.path); err == nil && st.Size()+int64(len(line)) > historyMost {
		old, err := os.ReadFile(h.path)
		if err != nil {
			return err
		}
		half := old[len(old)/2:]
		_, half, _ = bytes.Cut(half, []byte("\n"))
		if err := os.WriteFile(h.path+".new", append(half, line...), 0o640); err != nil {
			return err
		}
		return os.Rename(h.path+".new", h.path)
	}
	f, err := os.OpenFile(h.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(line)
	return errors.Join(err, f.Close())
}

// readHistory reads all lines. A last one that was cut by a kill is left away, and whole is false.
func readHistory(path string) (all []Standing, whole bool, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, true, nil
	}
	if err != nil {
		return nil, true, fmt.Errorf("read how the witnesses stood: %w", err)
	}
	for line := range bytes.Lines(b) {
		var s Standing
		if json.Unmarshal(line, &s) == nil {
			all = append(all, s)
		}
	}
	return all, len(b) == 0 || b[len(b)-1] == '\n', nil
}

// Then is who watched the server of a transfer when it began, as the file in the state folder says. Without a file, and of our own servers, nothing is known.
func Then(state string, t *tallyman.Transfer) (witness.Watch, error) {
	if slices.ContainsFunc(t.Evidence, func(e tallyman.Evidence) bool { return e.Witness == "server" }) {
		return witness.Watch{}, nil
	}
	all, _, err := readHistory(filepath.Join(state, historyFile))
	if err != nil || len(all) == 0 {
		return witness.Watch{}, err
	}
	then := Standing{}
	for i := range all {
		if i == 0 || !all[i].At.After(t.Start) {
			then = all[i]
		}
	}
	return then.of(t), nil
}

// of picks the server that the transfer was with: of its protocol, by its folder, its port, or because there is no other.
func (s *Standing) of(t *tallyman.Transfer) witness.Watch {
	if !s.Ran {
		var posts []witness.Post
		for _, n := range []string{"wire", "files", "log"} {
			posts = append(posts, witness.Post{Witness: n, Why: "the program did not run"})
		}
		return witness.Watch{Posts: posts}
	}
	best, most, among := -1, 0, 0
	for i := range s.Servers {
		v := &s.Servers[i]
		if v.Proto != strings.TrimSuffix(t.Proto, "s") && v.Proto != t.Proto {
			continue
		}
		among++
		score := 1
		if slices.ContainsFunc(v.Folders, func(dir string) bool { return below(dir, t.Path) }) {
			score += 4
		}
		if slices.Contains(v.Ports, t.Server.Port()) {
			score += 2
		}
		if score > most {
			best, most = i, score
		}
	}
	if best < 0 || most == 1 && among > 1 {
		return witness.Watch{Posts: s.All}
	}
	return witness.Watch{Server: s.Servers[best].Name, Posts: s.Servers[best].Posts}
}

// Stand is how the witnesses stand now.
func (w *Watch) Stand() Standing {
	s := Standing{At: time.Now(), Ran: true}
	for _, x := range w.ofServers() {
		p := witness.Post{Witness: x.Name, Sees: x.works(), Nameless: x.Nameless, Named: x.Named}
		if !p.Sees {
			p.Why, p.More = x.Text, x.More
		}
		s.All = append(s.All, p)
	}
	for _, v := range w.Servers() {
		if v.Ended {
			continue
		}
		st := Stood{Name: v.Name, Proto: v.Proto, Ports: v.Ports(), Folders: v.Folders}
		for _, c := range v.Cover {
			st.Posts = append(st.Posts, c.post())
		}
		s.Servers = append(s.Servers, st)
	}
	return s
}

func (c *Cover) post() witness.Post {
	p := witness.Post{Witness: c.Witness, Sees: c.State == Live || c.State == Blind, Why: c.Lacks, More: c.More, Nameless: c.Nameless, Named: c.Named}
	if !p.Sees {
		p.Why = c.Proves
	}
	return p
}
