package files

import (
	"bytes"
	"strconv"
	"strings"
)

// mount is one line of mountinfo (proc(5)).
type mount struct {
	point, kind string
}

// parseMounts reads /proc/self/mountinfo. Lines that are none are left out and counted.
func parseMounts(b []byte) (mounts []mount, refused int) {
	for line := range bytes.Lines(b) {
		f := strings.Split(strings.TrimSuffix(string(line), "\n"), " ")
		dash := 6
		for dash < len(f) && f[dash] != "-" {
			dash++
		}
		if len(f) < 10 || dash+1 >= len(f) || !strings.HasPrefix(f[4], "/") {
			refused++
			continue
		}
		mounts = append(mounts, mount{point: unescape(f[4]), kind: f[dash+1]})
	}
	return mounts, refused
}

// unescape undoes what the kernel does to space, tab, newline and backslash: a backslash and three octal digits.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// below reports whether path is the folder or lies in it.
func below(path, folder string) bool {
	if folder == "/" {
		return strings.HasPrefix(path, "/")
	}
	rest, ok := strings.CutPrefix(path, folder)
	return ok && (rest == "" || rest[0] == '/')
}
