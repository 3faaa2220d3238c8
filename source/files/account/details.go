package account

import (
	"strconv"
	"unicode/utf8"

	"tallyman"
)

// Details are canonical JSON: keys in order, no spaces. A key whose value is not known is left out.

// opening is what is known when a file is opened.
func (a *Account) opening(u *use) string {
	a.buf = append(a.buf[:0], '{')
	a.text("comm", u.who.Comm)
	if u.created {
		a.flag("created", true)
	}
	a.text("exe", u.who.Exe)
	a.text("mode", u.mode.String())
	if u.present {
		a.flag("present", true)
	}
	a.ending(u.who, u.proc)
	return string(a.buf)
}

// closing is what is known when it is closed. What a use in full sight did not do is said; else only what it did.
func (a *Account) closing(u *use, how string) string {
	a.buf = append(a.buf[:0], '{')
	a.did("accessed", u.read, u.blind)
	a.text("close", how)
	a.text("comm", u.who.Comm)
	a.did("created", u.created, u.blind)
	if u.deleted {
		a.flag("deleted", true)
	}
	a.text("exe", u.who.Exe)
	if u.found {
		a.flag("found", true)
	}
	a.did("modified", u.modified, u.blind)
	if n := len(u.opens) - 1; n > 0 {
		a.key("others")
		a.buf = strconv.AppendInt(a.buf, int64(n), 10)
	}
	if u.present {
		a.flag("present", true)
	}
	if u.truncated {
		a.flag("truncated", true)
	}
	a.ending(u.who, u.proc)
	return string(a.buf)
}

func (a *Account) naming(e *Event) string {
	a.buf = append(a.buf[:0], '{')
	a.text("comm", e.Who.Comm)
	if e.Dir {
		a.flag("dir", true)
	}
	a.text("exe", e.Who.Exe)
	a.ending(e.Who, e.Proc)
	return string(a.buf)
}

// ending says who the process runs as, or why nothing is known of it.
func (a *Account) ending(who Who, proc tallyman.Proc) {
	a.text("user", who.User)
	switch {
	case proc.PID == 0:
		a.text("who", "unseen")
	case who.Gone:
		a.text("who", "gone")
	}
	a.buf = append(a.buf, '}')
}

// String returns the word for details.
func (m Mode) String() string {
	switch m {
	case Reading:
		return "read"
	case Writing:
		return "write"
	case NoMode:
	}
	return ""
}

func (a *Account) did(name string, did, blind bool) {
	if did || !blind {
		a.flag(name, did)
	}
}

func (a *Account) flag(name string, v bool) {
	a.key(name)
	a.buf = strconv.AppendBool(a.buf, v)
}

func (a *Account) key(name string) {
	if len(a.buf) > 1 {
		a.buf = append(a.buf, ',')
	}
	a.buf = append(append(append(a.buf, '"'), name...), '"', ':')
}

// text writes a value that may come from a stranger: escaped for people, then for JSON. An empty one is left out.
func (a *Account) text(name, value string) {
	if value == "" {
		return
	}
	a.key(name)
	a.buf = append(a.buf, '"')
	for _, r := range tallyman.Escape(value) {
		if r == '"' || r == '\\' {
			a.buf = append(a.buf, '\\')
		}
		a.buf = utf8.AppendRune(a.buf, r)
	}
	a.buf = append(a.buf, '"')
}
