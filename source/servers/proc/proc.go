// Package proc reads texts of /proc: sockets, mounts, control groups, processes (proc(5)).
//
// It promises: it is pure. A line that is not as the kernel writes it is passed over. It leaves to others: opening those files.
package proc

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Stat is what /proc/PID/stat says that is needed here.
type Stat struct {
	PID, Parent int32
	Comm        string
	Start       int64 // clock ticks since boot
}

// ParseStat reads /proc/PID/stat. The name of the program stands in parentheses and may itself hold some.
func ParseStat(b []byte) (s Stat, ok bool) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 2 || end < open {
		return s, false
	}
	pid, err := strconv.ParseInt(string(b[:open-1]), 10, 32)
	f := strings.Fields(string(b[end+1:]))
	if err != nil || pid <= 0 || len(f) < 20 {
		return s, false
	}
	parent, err1 := strconv.ParseInt(f[1], 10, 32)
	start, err2 := strconv.ParseInt(f[19], 10, 64)
	if err1 != nil || err2 != nil || start < 0 {
		return s, false
	}
	return Stat{int32(pid), int32(parent), string(b[open+1 : end]), start}, true
}

// CommandLine splits /proc/PID/cmdline into words. A program that wrote over it left one text with spaces, or ends without a NUL.
func CommandLine(b []byte) []string {
	whole := bytes.TrimRight(b, "\x00")
	if len(whole) == 0 {
		return nil
	}
	words := strings.Split(string(whole), "\x00")
	if title, rest, ok := strings.Cut(words[0], ": "); ok && !strings.Contains(title, " ") { // setproctitle: "sshd: /usr/sbin/sshd -D [listener]"
		return append(strings.Fields(rest), words[1:]...)
	}
	if len(words) == 1 && strings.Contains(words[0], " ") {
		return strings.Fields(words[0])
	}
	return words
}

// Socket is one line of /proc/net/udp, tcp and their kin.
type Socket struct {
	Local  netip.AddrPort
	Inode  uint64
	Listen bool // it waits for whoever comes: TCP in LISTEN, UDP without a peer
}

const (
	unconnected = 0x07
	listening   = 0x0A
)

// Sockets reads /proc/net/udp, udp6, tcp or tcp6. Addresses stand there in the order of the machine, 32 bits at a time.
func Sockets(text string) (out []Socket) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 10 || !strings.HasSuffix(f[0], ":") {
			continue
		}
		local, ok := address(f[1])
		state, err1 := strconv.ParseUint(f[3], 16, 8)
		inode, err2 := strconv.ParseUint(f[9], 10, 64)
		if !ok || err1 != nil || err2 != nil {
			continue
		}
		out = append(out, Socket{local, inode, state == listening || state == unconnected})
	}
	return out
}

func address(text string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(text, ":")
	raw, err1 := hex.DecodeString(host)
	n, err2 := strconv.ParseUint(port, 16, 16)
	if !ok || err1 != nil || err2 != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 { // little endian, as on all machines that are built for
		raw[i], raw[i+1], raw[i+2], raw[i+3] = raw[i+3], raw[i+2], raw[i+1], raw[i]
	}
	a, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), true
}

// Unit returns the unit of systemd, or the scope of a container, from /proc/PID/cgroup; "" if it is in none.
func Unit(text string) string {
	found := ""
	for line := range strings.Lines(text) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) < 3 {
			continue
		}
		for part := range strings.SplitSeq(f[2], "/") {
			if strings.HasSuffix(part, ".service") || strings.HasSuffix(part, ".scope") {
				found = part
			}
		}
	}
	return found
}

// Mount is one line of /proc/PID/mountinfo.
type Mount struct {
	Device string // major:minor
	Root   string // of the mount within its file system
	Point  string
	Kind   string // of file system: ext4, nfs4
}

// shares are the file systems on which other machines write too, or that are served by another machine.
var shares = []string{"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "afs", "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "davfs", "fuse.davfs2"}

// Share returns the kind of the network share that a clean absolute path lies on, "" where it lies on none.
func Share(mounts []Mount, path string) string {
	if m, ok := over(mounts, path); ok && slices.Contains(shares, m.Kind) {
		return m.Kind
	}
	return ""
}

// Mounts reads /proc/PID/mountinfo.
func Mounts(text string) (out []Mount) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 7 || !strings.Contains(f[2], ":") {
			continue
		}
		root, point := unescape(f[3]), unescape(f[4])
		if strings.HasPrefix(root, "/") && strings.HasPrefix(point, "/") {
			m := Mount{Device: f[2], Root: root, Point: point}
			if dash := slices.Index(f, "-"); dash >= 0 && dash+1 < len(f) {
				m.Kind = f[dash+1]
			}
			out = append(out, m)
		}
	}
	return out
}

// unescape undoes what the kernel writes for white space and backslashes: three octal digits.
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

// Translate finds where a path of one mount namespace is in another: the same file system, mounted there too. The path is clean and absolute.
func Translate(from, to []Mount, path string) (string, bool) {
	under, ok := over(from, path)
	if !ok {
		return "", false
	}
	inside := join(under.Root, below(under.Point, path))
	best, found := "", false
	for _, m := range to {
		if m.Device != under.Device || !within(m.Root, inside) {
			continue
		}
		candidate := join(m.Point, below(m.Root, inside))
		if seen, _ := over(to, candidate); seen != m { // something is mounted over it
			continue
		}
		if !found || len(candidate) < len(best) {
			best, found = candidate, true
		}
	}
	return best, found
}

// over returns the mount in which a path lies: the deepest, and of those on one point the last.
func over(list []Mount, path string) (m Mount, ok bool) {
	for _, c := range list {
		if within(c.Point, path) && (!ok || len(c.Point) >= len(m.Point)) {
			m, ok = c, true
		}
	}
	return m, ok
}

func within(dir, path string) bool {
	return dir == "/" || path == dir || strings.HasPrefix(path, dir) && path[len(dir)] == '/'
}

// below is what of the path stands behind the folder, with its slash.
func below(dir, path string) string {
	if dir == "/" {
		return path
	}
	return path[len(dir):]
}

func join(dir, rest string) string {
	switch {
	case rest == "" || rest == "/":
		return dir
	case dir == "/":
		return rest
	}
	return dir + rest
}
