package ftp

import (
	"strings"

	"tallyman"
	"tallyman/source/logs/format/entry"
	"tallyman/source/logs/format/line"
)

// xferlog reads the transfer log of wu-ftpd that vsftpd, ProFTPD and pure-ftpd write too (xferlog(5)):
//
//	Fri Nov 20 17:42:01 2026 2 192.0.2.1 6291456 /up.bin b _ i r u ftp 0 * c
//	date                     seconds host bytes name type action direction access user service auth-method auth-id completion
//
// Nothing is quoted: the name is what remains between both ends. A client names its file, and often its user, so more than one reading may
// remain: then the name is marked, and the line is refused if the readings differ in more than the name.
type xferlog struct{}

// NewXferlog returns the format of xferlog.
func NewXferlog(entry.Options) entry.Format { return xferlog{} }

// XferlogLine reads a line of xferlog.
func XferlogLine(raw string, c line.Clock) (entry.Entry, bool) {
	at, rest, ok := c.Asctime(raw)
	if !ok || !strings.HasPrefix(rest, " ") || strings.HasPrefix(rest, " [") {
		return entry.Entry{}, false
	}
	rest = rest[1:]
	if _, ok := xferlogTail(rest); !ok {
		return entry.Entry{}, false
	}
	return entry.Entry{Time: at, Message: rest, Raw: raw}, true
}

// tail is what stands behind the name.
type tail struct {
	name                                      string
	kind, action, direction, access           byte
	user, service, method, identity, complete string
	readings                                  int
	differ                                    bool // in more than name and user
}

// xferlogTail finds the name between its neighbours. The reading with a user of one word is preferred.
func xferlogTail(s string) (t tail, ok bool) {
	body := strings.TrimSuffix(s, " ")
	body, complete, ok1 := entry.CutLast(body, " ")
	body, identity, ok2 := entry.CutLast(body, " ")
	body, method, ok3 := entry.CutLast(body, " ")
	body, service, ok4 := entry.CutLast(body, " ")
	if !ok1 || !ok2 || !ok3 || !ok4 || complete != "c" && complete != "i" || len(method) != 1 || service == "" {
		return tail{}, false
	}
	// body is "SECONDS HOST BYTES NAME b _ i r USER": each " X Y Z A " in it may be the middle.
	for end := len(body); end > 0; {
		i := strings.LastIndexByte(body[:end], ' ')
		if i < 8 {
			break
		}
		end = i
		m := body[i-8 : i+1] // " b _ i r "
		if m[0] != ' ' || m[2] != ' ' || m[4] != ' ' || m[6] != ' ' || !strings.ContainsRune("ab", rune(m[1])) ||
			!strings.ContainsRune("_CUTH", rune(m[3])) || !strings.ContainsRune("ioda", rune(m[5])) || !strings.ContainsRune("agr", rune(m[7])) {
			continue
		}
		user := body[i+1:]
		if user == "" {
			continue
		}
		t.readings++
		if t.readings == 1 {
			t.name, t.kind, t.action, t.direction, t.access, t.user = body[:i-8], m[1], m[3], m[5], m[7], user
		} else if t.direction != m[5] {
			t.differ = true
		}
	}
	t.service, t.method, t.identity, t.complete = service, method, identity, complete
	return t, t.readings > 0
}

// Take implements entry.Format.
func (xferlog) Take(e *entry.Entry, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	t, ok := xferlogTail(e.Message)
	if !ok {
		return out, entry.Refuse(entry.WhyNotOwn)
	}
	seconds, rest, ok1 := strings.Cut(strings.TrimLeft(t.name, " "), " ")
	host, rest, ok2 := strings.Cut(rest, " ")
	size, name, ok3 := strings.Cut(rest, " ")
	took, isTime := entry.Number(seconds)
	moved, isSize := entry.Number(size)
	switch {
	case !ok1 || !ok2 || !ok3 || !isTime || !isSize:
		return out, entry.Refuse(entry.WhyNumber)
	case t.differ:
		return out, entry.Refuse(entry.WhyAmbiguous)
	}
	proto := "ftp"
	if strings.HasPrefix(t.service, "sftp") || strings.HasPrefix(t.service, "ftps") {
		proto = t.service[:4]
	}
	v := e.Say(tallyman.KindClosed, proto)
	v.Path, v.Moved, v.User = name, moved, t.user
	facts := append(entry.Client(&v, host), entry.NewFact("seconds", took))
	switch t.direction {
	case 'i':
		v.Op = tallyman.OpPut
	case 'o':
		v.Op = tallyman.OpGet
	case 'd':
		v.Op, v.Moved = tallyman.OpDelete, -1
	case 'a':
		v.Op = tallyman.OpAppend
	}
	if t.complete == "c" {
		v.Reason = entry.WellDone(v.Op)
	} else {
		v.Reason = tallyman.Truncated
	}
	if t.method == "1" && t.complete == "c" { // pure-ftpd, which writes c whatever happened
		facts = append(facts, entry.Assumed())
	} else {
		facts = append(facts, unconfirmed(&v)...)
	}
	if t.kind == 'a' {
		facts = append(facts, entry.NewFact("mode", "ascii"))
	}
	if t.readings > 1 {
		facts = append(facts, entry.NewFact("name", "ambiguous"))
	}
	e.Finish(&v, facts...)
	return append(out, v), entry.Result{}
}
