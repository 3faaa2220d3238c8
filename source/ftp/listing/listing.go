// Package listing writes what FTP clients read about files: LIST in the form of ls, NLST, and the facts of MLSD and MLST (RFC 3659, 7). It is pure.
//
// It promises that one name gives one line: names with control bytes, which could end a line early or be taken for another line, are not listed.
// What may be told of a folder it leaves to whoever hands it over.
package listing

import (
	"io/fs"
	"strconv"
	"strings"
	"time"

	"tallyman/source/ftp/command"
)

// Info is what is known of one name.
type Info struct {
	Name     string // raw bytes
	Dir      bool
	Mode     fs.FileMode
	Size     int64
	Modified time.Time
	ID       string // names the file on this server: two names with one ID are one file
	May      May
}

// May is what the one who asks may do with it.
type May struct{ Read, Write, Delete, Rename bool }

// Listed reports whether the name can stand in a line.
func Listed(name string) bool {
	return name != "" && strings.IndexFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f }) < 0
}

// halfYear is where ls changes from the time of the day to the year (POSIX, ls -l).
const halfYear = 182 * 24 * time.Hour

// AppendLong writes a line of LIST.
func AppendLong(to []byte, i *Info, now time.Time) []byte {
	mode := i.Mode.Perm()
	if i.Dir {
		mode |= fs.ModeDir
	}
	text := mode.String()
	links := "1"
	if i.Dir {
		links = "2"
	}
	to = append(to, text...)
	to = append(to, "   "...)
	to = append(to, links...)
	to = append(to, " ftp      ftp      "...)
	size := strconv.FormatInt(i.Size, 10)
	for n := len(size); n < 12; n++ {
		to = append(to, ' ')
	}
	to = append(append(to, size...), ' ')
	at := i.Modified.UTC()
	if age := now.Sub(at); age > halfYear || age < -time.Hour {
		to = at.AppendFormat(to, "Jan _2  2006")
	} else {
		to = at.AppendFormat(to, "Jan _2 15:04")
	}
	return append(append(append(to, ' '), i.Name...), '\r', '\n')
}

// AppendName writes a line of NLST: the name, behind what the client asked for.
func AppendName(to []byte, before, name string) []byte {
	return append(append(append(to, before...), name...), '\r', '\n')
}

// Fact is one of the facts that MLSD can tell.
type Fact uint8

// The facts, in the order in which they are told.
const (
	Type Fact = iota
	Size
	Modify
	Perm
	Unique
	Mode
	facts
)

var factNames = [facts]string{"type", "size", "modify", "perm", "unique", "UNIX.mode"}

// Facts is a choice of facts.
type Facts [facts]bool

// AllFacts chooses all.
func AllFacts() Facts { return Facts{true, true, true, true, true, true} }

// Choose reads the list of OPTS MLST: names that are not known are left out (RFC 3659, 7.9).
func Choose(list string) Facts {
	var f Facts
	for name := range strings.SplitSeq(list, ";") {
		for i := range factNames {
			if strings.EqualFold(name, factNames[i]) {
				f[i] = true
			}
		}
	}
	return f
}

// Feature writes the facts as FEAT tells them: those that are chosen have a star.
func (f Facts) Feature() string {
	var b strings.Builder
	for i, name := range factNames {
		b.WriteString(name)
		if f[i] {
			b.WriteByte('*')
		}
		b.WriteByte(';')
	}
	return b.String()
}

// Chosen writes the facts that are chosen.
func (f Facts) Chosen() string {
	var b strings.Builder
	for i, name := range factNames {
		if f[i] {
			b.WriteString(name + ";")
		}
	}
	return b.String()
}

// AppendFacts writes the facts of one name, without the name. kind is "file", "dir", "cdir" or "pdir"; "" takes that of the name.
func (f Facts) AppendFacts(to []byte, i *Info, kind string) []byte {
	if kind == "" {
		kind = "file"
		if i.Dir {
			kind = "dir"
		}
	}
	tell := func(fact Fact, value string) {
		if f[fact] {
			to = append(append(to, factNames[fact]...), '=')
			to = append(append(to, value...), ';')
		}
	}
	tell(Type, kind)
	if !i.Dir {
		tell(Size, strconv.FormatInt(i.Size, 10))
	}
	tell(Modify, string(command.AppendStamp(nil, i.Modified)))
	tell(Perm, perm(i))
	if i.ID != "" {
		tell(Unique, i.ID)
	}
	tell(Mode, "0"+strconv.FormatUint(uint64(i.Mode.Perm()), 8))
	return to
}

// AppendEntry writes a line of MLSD.
func (f Facts) AppendEntry(to []byte, i *Info, kind string) []byte {
	return append(append(append(f.AppendFacts(to, i, kind), ' '), i.Name...), '\r', '\n')
}

// perm are the letters of RFC 3659, 7.5.5.
func perm(i *Info) string {
	var b strings.Builder
	put := func(may bool, letters string) {
		if may {
			b.WriteString(letters)
		}
	}
	if i.Dir {
		put(i.May.Write, "cm")
		put(i.May.Delete, "dp")
		put(true, "e")
		put(i.May.Rename, "f")
		put(true, "l")
		return b.String()
	}
	put(i.May.Write, "aw")
	put(i.May.Delete, "d")
	put(i.May.Rename, "f")
	put(i.May.Read, "r")
	return b.String()
}
