package host

import (
	"path/filepath"
	"strings"
)

// scope says which paths are watched: those below a path, but for what is excluded. The longest match wins, so that a path may be watched again below
// an excluded one. A pattern is a whole path, or parts of one, where ** stands for any number of parts and * for anything within one; what lies below
// a match belongs to it. A match is as long as the part of the path that it needs.
type scope struct {
	paths    []string
	own      []string
	patterns [][]string
}

func newScope(c *Config) *scope {
	s := &scope{paths: c.Paths, own: c.Own}
	for _, p := range c.Exclude {
		s.patterns = append(s.patterns, strings.Split(strings.TrimSuffix(strings.Trim(p, "/"), "/**"), "/"))
	}
	return s
}

// wanted reports whether a path is watched.
func (s *scope) wanted(path string) bool {
	for _, o := range s.own {
		if below(path, o) {
			return false
		}
	}
	best := -1
	for _, p := range s.paths {
		if below(path, p) && len(p) > best {
			best = len(p)
		}
	}
	if best < 0 {
		return false
	}
	var parts []string
	for _, p := range s.patterns {
		if parts == nil {
			parts = strings.Split(strings.TrimPrefix(path, "/"), "/")
		}
		if n := matched(p, parts); n > 0 && len(strings.Join(parts[:n], "/"))+1 > best {
			return false
		}
	}
	return true
}

// matched returns how many parts of the path the pattern takes, 0 if it does not match: the most that it can.
func matched(pattern, parts []string) int {
	if len(pattern) == 0 {
		return 0
	}
	if pattern[0] == "**" {
		for skip := len(parts); skip >= 0; skip-- {
			if n := matched(pattern[1:], parts[skip:]); n > 0 {
				return skip + n
			}
		}
		return 0
	}
	if len(parts) == 0 {
		return 0
	}
	if ok, err := filepath.Match(pattern[0], parts[0]); err != nil || !ok {
		return 0
	}
	if len(pattern) == 1 {
		return 1
	}
	if n := matched(pattern[1:], parts[1:]); n > 0 {
		return 1 + n
	}
	return 0
}

// below reports whether path is the folder or lies in it.
func below(path, folder string) bool {
	if folder == "/" {
		return strings.HasPrefix(path, "/")
	}
	rest, ok := strings.CutPrefix(path, folder)
	return ok && (rest == "" || rest[0] == '/')
}
