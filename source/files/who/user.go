package who

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// users knows the names of /etc/passwd. Users of a directory service keep their number: to ask for them may take seconds.
type users struct {
	path   string
	names  map[uint32]string
	looked time.Time
}

// again is how long an unknown user stays unknown before the file is read again.
const again = 10 * time.Second

func (u *users) name(uid uint32, now time.Time) string {
	if name, ok := u.names[uid]; ok {
		return name
	}
	if u.names == nil || now.Sub(u.looked) >= again {
		u.looked = now
		text, _ := os.ReadFile(u.path)
		u.names = ParsePasswd(string(text))
		if name, ok := u.names[uid]; ok {
			return name
		}
	}
	return strconv.FormatUint(uint64(uid), 10)
}

// ParsePasswd reads passwd(5): the first name of each number counts, as getpwuid(3) has it. Lines that are none are left out.
func ParsePasswd(text string) map[uint32]string {
	names := map[uint32]string{}
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(f) != 7 || f[0] == "" {
			continue
		}
		uid, err := strconv.ParseUint(f[2], 10, 32)
		if _, taken := names[uint32(uid)]; err == nil && !taken {
			names[uint32(uid)] = f[0]
		}
	}
	return names
}
