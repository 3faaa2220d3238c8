// Package mountinfo reads the lines of /proc/PID/mountinfo (proc_pid_mountinfo(5)). It is pure: it is handed text.
//
// It promises: a line is read whole or refused, never guessed at, and what was read renders back to the same line. Names are the raw bytes of the
// file system, with the octal escapes of the kernel undone; they may hold any byte but NUL and are hostile.
package mountinfo

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// Mount is one line: a file system, seen at one place of the tree.
type Mount struct {
	ID, Parent   int    // ids are used again soon after an unmount
	Major, Minor uint32 // st_dev of what lies in it; of btrfs and FUSE a number that no block device has
	Root         string // the folder of the file system that is seen, "/" but of bind mounts and subvolumes
	Point        string // where
	Options      string // of this mount
	Peers        string // propagation, as in "shared:1 master:2"; "" = private
	FS           string // type, as in ext4 or fuse.sshfs
	Source       string // what was mounted: a device, host:/path, a tag; of the file system's own choice
	Super        string // options of the file system
}

// ReadOnly reports whether nothing can be written through this mount: it or its file system is read-only.
func (m *Mount) ReadOnly() bool { return has(m.Options, "ro") || has(m.Super, "ro") }

func has(options, want string) bool {
	return slices.Contains(strings.Split(options, ","), want)
}

// Option returns the value of an option of the file system, as in addr=10.0.0.2. A value ends at a comma: the kernel does not escape those.
func (m *Mount) Option(name string) string {
	for o := range strings.SplitSeq(m.Super, ",") {
		if value, ok := strings.CutPrefix(o, name+"="); ok {
			return value
		}
	}
	return ""
}

// Same reports whether both lines are of one mount that was not unmounted in between, as far as the lines can tell.
func (m *Mount) Same(o *Mount) bool {
	return m.ID == o.ID && m.Major == o.Major && m.Minor == o.Minor && m.Root == o.Root && m.FS == o.FS && m.Source == o.Source
}

// ParseAll reads a whole file, in its order: a mount that covers another stands behind it. Lines that are none are left out and counted.
func ParseAll(text []byte) (all []Mount, refused int) {
	for line := range bytes.Lines(text) {
		m, err := Parse(string(bytes.TrimSuffix(line, []byte("\n"))))
		if err != nil {
			refused++
			continue
		}
		all = append(all, m)
	}
	return all, refused
}

var errForm = errors.New("no line of mountinfo: expected ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [PEERS...] - TYPE SOURCE OPTIONS")

// Parse reads one line without its newline.
func Parse(line string) (m Mount, err error) {
	f := strings.Split(line, " ")
	dash := 6
	for dash < len(f) && f[dash] != "-" {
		dash++
	}
	if len(f) != dash+4 || dash >= len(f) || strings.ContainsAny(line, "\n\x00") {
		return m, errForm
	}
	if m.ID, err = number(f[0]); err != nil {
		return m, err
	}
	if m.Parent, err = number(f[1]); err != nil {
		return m, err
	}
	major, minor, ok := strings.Cut(f[2], ":")
	if !ok {
		return m, errForm
	}
	for _, n := range []struct {
		text string
		to   *uint32
	}{{major, &m.Major}, {minor, &m.Minor}} {
		i, err := number(n.text)
		if err != nil || i > 1<<20-1 { // 20 bits of minor, 12 of major: include/linux/kdev_t.h
			return m, errForm
		}
		*n.to = uint32(i)
	}
	m.Peers = strings.Join(f[6:dash], " ")
	for _, s := range []struct {
		raw string
		to  *string
	}{{f[3], &m.Root}, {f[4], &m.Point}, {f[5], &m.Options}, {f[dash+1], &m.FS}, {f[dash+2], &m.Source}, {f[dash+3], &m.Super}} {
		if *s.to, err = unescape(s.raw); err != nil {
			return m, err
		}
	}
	if !strings.HasPrefix(m.Point, "/") || m.FS == "" {
		return m, errForm
	}
	return m, nil
}

// number reads a number as the kernel writes it.
func number(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || strconv.Itoa(n) != s {
		return 0, errForm
	}
	return n, nil
}

// String renders the line as the kernel does.
func (m Mount) String() string {
	peers := m.Peers
	if peers != "" {
		peers += " "
	}
	return strconv.Itoa(m.ID) + " " + strconv.Itoa(m.Parent) + " " + strconv.Itoa(int(m.Major)) + ":" + strconv.Itoa(int(m.Minor)) + " " + escape(m.Root, inPath) + " " +
		escape(m.Point, inPath) + " " + escape(m.Options, inPath) + " " + peers + "- " + escape(m.FS, inWord) + " " + escape(m.Source, inWord) + " " +
		escape(m.Super, inWord)
}

// The bytes that the kernel writes as a backslash and three octal digits (fs/proc_namespace.c: seq_path, mangle).
const (
	inPath = " \t\n\\"
	inWord = " \t\n\\#"
)

// unescape undoes that. A backslash that begins no escape is refused: the kernel writes none.
func unescape(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i+3 >= len(s) {
			return "", errForm
		}
		n, err := strconv.ParseUint(s[i+1:i+4], 8, 8)
		if err != nil || n == 0 {
			return "", errForm
		}
		b.WriteByte(byte(n))
		i += 3
	}
	return b.String(), nil
}

func escape(s, escaped string) string {
	if !strings.ContainsAny(s, escaped) {
		return s
	}
	var b strings.Builder
	for _, c := range []byte(s) {
		if strings.IndexByte(escaped, c) < 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('\\')
		b.WriteByte('0' + c>>6)
		b.WriteByte('0' + c>>3&7)
		b.WriteByte('0' + c&7)
	}
	return b.String()
}
