package spool

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"os"
	"slices"
	"strings"

	"tallyman/spool/segment"
)

// maxFile is the size above which a file is not taken for a segment, in bytes.
const maxFile = 1<<30 + segment.HeadSize

// candidate is a file that may be a segment.
type candidate struct {
	extent
	title  segment.Title
	titled bool // the head is sound
}

// list returns the segments of the folder in the order of their places. What can be none is moved aside, never removed.
func (s *Spool) list() ([]candidate, error) {
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return nil, err
	}
	var files []candidate
	for _, e := range entries {
		switch {
		case strings.HasSuffix(e.Name(), ".tmp"):
			_ = s.disk.Remove(e.Name())
		case strings.HasSuffix(e.Name(), ".seg"):
			c, why, err := s.examine(e)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.disk.Path(e.Name()), err)
			}
			if why == "" {
				files = append(files, c)
			} else if err := s.aside(e.Name(), why); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(files, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.epoch, b.epoch), cmp.Compare(a.first, b.first))
	})
	return files, nil
}

// examine reads name, size and head of a file. It says why the file is no segment.
func (s *Spool) examine(e os.DirEntry) (c candidate, why string, err error) {
	epoch, first, ok := segment.ParseFileName(e.Name())
	info, ierr := e.Info()
	if !ok || ierr != nil || !info.Mode().IsRegular() || info.Size() > maxFile {
		return c, "neither name, kind nor size is that of a segment", nil
	}
	c.extent = extent{epoch: epoch, first: first, last: first - 1, end: info.Size()}
	f, err := s.disk.Open(e.Name(), os.O_RDONLY)
	if err != nil {
		return c, "", err
	}
	defer func() { _ = f.Close() }()
	b := make([]byte, segment.HeadSize)
	n, _ := s.disk.Reading(f).ReadAt(b, 0)
	c.title, c.titled, err = segment.ParseTitle(b[:n])
	if c.titled && (c.title.Epoch != epoch || c.title.First != first) {
		return c, "its head is that of another segment", nil
	}
	return c, "", err
}

// identify finds out whose spool this is, and says what was lost if the folder holds less than it must. Files of others are moved aside.
func (s *Spool) identify(files *[]candidate) (id identity, lost string) {
	known, damaged := s.disk.Load(agentFile, &id)
	known = known && !id.Agent.IsZero() && id.Epoch > 0 && id.Epoch <= segment.MaxEpoch && id.First > 0 && id.First <= segment.MaxSeq
	for i := len(*files) - 1; i >= 0 && !known; i-- {
		if c := (*files)[i]; c.titled {
			id, known = identity{c.title.Agent, c.epoch, 1}, true
		}
	}
	if !known {
		id = identity{Epoch: 1, First: 1}
		_, _ = rand.Read(id.Agent[:])
		if damaged {
			id.First, lost = 2, "its agent file is damaged and no segment names the agent"
		}
	}
	*files = slices.DeleteFunc(*files, func(c candidate) bool {
		stray := c.titled && c.title.Agent != id.Agent || !c.titled && c.epoch > id.Epoch
		return stray && s.aside(c.name(), "it belongs to another spool") == nil
	})
	for _, c := range *files {
		if c.epoch > id.Epoch {
			id.Epoch, id.First = c.epoch, 1
		}
	}
	if known && len(*files) == 0 {
		id.Epoch, id.First, lost = id.Epoch+1, 2, "its segments are gone"
	}
	return id, lost
}

// aside renames a file so that it is in nobody's way. It stays for people to look at.
func (s *Spool) aside(name, why string) error {
	to := name + ".bad"
	for i := 2; ; i++ {
		if _, err := os.Lstat(s.disk.Path(to)); err != nil {
			break
		}
		to = fmt.Sprintf("%s.bad%d", name, i)
	}
	s.cfg.Log.Warn("a file in the spool folder is moved aside", "file", name, "to", to, "why", why)
	return s.disk.Rename(name, to)
}

// weed takes out the files without a sound head that would give a place twice: what a crash left of a segment that was about to be made is
// removed, what begins inside the segment before it is moved aside.
func (s *Spool) weed(files []candidate) ([]candidate, error) {
	var kept []candidate
	for i, c := range files {
		if c.titled {
			kept = append(kept, c)
			continue
		}
		w, _, err := s.walkFile(c, false)
		if err != nil {
			return nil, err
		}
		blank := w.Used == segment.HeadSize
		inside := false
		if n := len(kept); n > 0 && kept[n-1].epoch == c.epoch {
			before, _, err := s.walkFile(kept[n-1], false)
			if err != nil {
				return nil, err
			}
			inside = c.first <= before.Reach()
		}
		switch {
		case blank && (len(kept) > 0 || i < len(files)-1):
			err = s.disk.Remove(c.name())
		case inside:
			err = s.aside(c.name(), "it begins inside the segment before it")
		default:
			kept = append(kept, c)
		}
		if err != nil {
			return nil, err
		}
	}
	return kept, nil
}
