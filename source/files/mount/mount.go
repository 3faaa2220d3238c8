// Package mount reads the table of mounts that the kernel writes (/proc/self/mountinfo, proc(5)). Parse is a pure function; a Table is the open file.
package mount

import (
	"bytes"
	"strconv"
	"strings"
)

// Mount is one line of mountinfo.
type Mount struct {
	Point string // where it is seen
	Kind  string // of file system
}

// Parse reads mountinfo. Lines that are none are left out and counted.
func Parse(b []byte) (mounts []Mount, refused int) {
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
		mounts = append(mounts, Mount{Point: unescape(f[4]), Kind: f[dash+1]})
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
