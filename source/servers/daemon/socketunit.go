package daemon

import (
	"path"
	"slices"
	"strings"
)

// unitFolders are where systemd looks for units, the strongest first (systemd.unit(5)).
var unitFolders = [...]string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// sockets reads the socket units of systemd (systemd.socket(5)). Which of them are active, only the sockets say.
func sockets(args []string, look Look) (out []Start) {
	if slices.Contains(args, "--user") {
		return nil
	}
	seen := map[string]bool{}
	for _, dir := range unitFolders {
		for _, name := range look.Glob(dir + "/*.socket") {
			if unit := path.Base(name); !seen[unit] {
				seen[unit] = true
				out = append(out, socketUnit(look, unit)...)
			}
		}
	}
	return out
}

// setting is one line of a unit.
type setting struct{ section, key, value string }

// unit reads a unit with what is dropped in beside it.
func unit(look Look, name string) (out []setting) {
	for _, dir := range unitFolders {
		if b, err := look.File(path.Join(dir, name)); err == nil {
			out = settings(string(b))
			break
		}
	}
	var more []string
	taken := map[string]bool{}
	for _, dir := range unitFolders {
		for _, name := range look.Glob(path.Join(dir, name+".d") + "/*.conf") {
			if base := path.Base(name); !taken[base] {
				taken[base] = true
				more = append(more, name)
			}
		}
	}
	slices.SortFunc(more, func(a, b string) int { return strings.Compare(path.Base(a), path.Base(b)) })
	for _, name := range more[:min(len(more), mostFiles)] {
		if b, err := look.File(name); err == nil {
			out = append(out, settings(string(b))...)
		}
	}
	return out
}

// settings reads the lines of one file; a backslash at the end goes on in the next one.
func settings(text string) (out []setting) {
	section := ""
	lines(strings.ReplaceAll(text, "\\\n", " "), func(line string) {
		if name, ok := between(line, "[", "]"); ok {
			section = name
			return
		}
		if key, value, ok := strings.Cut(line, "="); ok && line[0] != ';' {
			out = append(out, setting{section, strings.TrimSpace(key), strings.TrimSpace(value)})
		}
	})
	return out
}

func between(s, before, after string) (string, bool) {
	s, ok := strings.CutPrefix(s, before)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(s, after)
}

// lastOf is the last value of a key.
func lastOf(list []setting, section, key string) (value string) {
	for _, s := range list {
		if s.section == section && s.key == key {
			value = s.value
		}
	}
	return value
}

// socketUnit is what one socket unit starts, a Start for each of its ports.
func socketUnit(look Look, name string) (out []Start) {
	list := unit(look, name)
	var at []Start
	for _, s := range list {
		if s.section != "Socket" {
			continue
		}
		switch s.key {
		case "ListenStream", "ListenDatagram":
			if s.value == "" {
				at = nil
			} else if n := bare(s.value); n != 0 && !strings.HasPrefix(s.value, "vsock") {
				at = append(at, Start{Port: n, UDP: s.key == "ListenDatagram"})
			}
		default:
		}
	}
	if len(at) == 0 {
		return nil
	}
	base := strings.TrimSuffix(name, ".socket")
	accepts := slices.Contains([]string{"yes", "true", "1", "on"}, strings.ToLower(lastOf(list, "Socket", "Accept")))
	service := base + ".service"
	if accepts {
		service = base + "@.service"
	} else if s := lastOf(list, "Socket", "Service"); s != "" {
		service = s
	}
	what := unit(look, service)
	args := strings.Fields(strings.TrimLeft(lastOf(what, "Service", "ExecStart"), "-@:+!"))
	args = slices.DeleteFunc(args, func(a string) bool { return strings.HasPrefix(a, "$") })
	for _, s := range at {
		s.Args, s.Unit = args, name
		s.Stays = !accepts && lastOf(what, "Service", "StandardInput") != "socket"
		if root := lastOf(what, "Service", "RootDirectory"); root != "" {
			s.Doubts = []string{"systemd runs it in " + root + ": its configuration there was not read"}
		}
		out = append(out, s)
	}
	return out
}
