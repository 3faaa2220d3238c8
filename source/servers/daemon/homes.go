package daemon

import (
	"path"
	"slices"
	"strconv"
	"strings"
)

// account is a line of passwd(5).
type account struct {
	name, home string
	uid        int
}

func accounts(look Look) (out []account) {
	b, err := look.File("/etc/passwd")
	if err != nil {
		return nil
	}
	lines(string(b), func(line string) {
		f := strings.Split(line, ":")
		if len(f) < 7 {
			return
		}
		uid, err := strconv.Atoi(f[2])
		if err == nil && path.IsAbs(f[5]) {
			out = append(out, account{f[0], path.Clean(f[5]), uid})
		}
	})
	return out
}

// People have numbers from 1000 on; 65534 is nobody (Debian policy, 9.2.2).
const (
	firstPerson = 1000
	nobody      = 65534
)

// homes returns the folders of people: where four or more share one above theirs, that.
func homes(look Look) (out []string) {
	above := map[string]int{}
	var all []string
	for _, a := range accounts(look) {
		if a.uid >= firstPerson && a.uid != nobody && a.home != "/" && !strings.HasPrefix(a.home, "/nonexistent") {
			all = append(all, a.home)
			above[path.Dir(a.home)]++
		}
	}
	for _, h := range all {
		if dir := path.Dir(h); dir != "/" && above[dir] >= 4 {
			h = dir
		}
		if !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return out
}

// homeOf returns the folder of one user, "" if there is none.
func homeOf(look Look, user string) string {
	for _, a := range accounts(look) {
		if a.name == user {
			return a.home
		}
	}
	return ""
}

// place is the folder in which all that a path with tokens of users stands for lies: "%h" and "~" are homes, other tokens end it.
func place(look Look, name string, tokens ...string) []string {
	switch {
	case name == "~" || name == "%h" || strings.HasPrefix(name, "~/") || strings.HasPrefix(name, "%h/"):
		return homes(look)
	case strings.HasPrefix(name, "~"):
		user, below, _ := strings.Cut(name[1:], "/")
		if home := homeOf(look, user); home != "" {
			return []string{path.Join(home, below)}
		}
		return nil
	}
	for _, t := range tokens {
		if before, _, ok := strings.Cut(name, t); ok && t != "" {
			name = before[:strings.LastIndexByte(before, '/')+1]
		}
	}
	if !path.IsAbs(name) || path.Clean(name) == "/" {
		return nil
	}
	return []string{path.Clean(name)}
}
