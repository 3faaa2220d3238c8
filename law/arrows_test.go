package law

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

const module = "tallyman"

// arrows is who may import whom, besides: every room imports the root, a room imports its own sub-rooms, cmd/tallyman, law and test/*
// import all. A star stands for one element of a path.
var arrows = [...]struct{ from, to string }{
	{"pipe", "join"},
	{"pipe", "rule"},
	{"pipe", "spool"},
	{"source/tftp", "acl"},
	{"source/ftp", "acl"},
	{"source/sftp", "acl"},
	{"source/tftp", "tree"},
	{"source/sftp", "tree"},
	{"source/sftp", "user"}, // as acl: an account is a word of all servers
	{"source/ftp", "tree"},
	{"source/ftp", "user"}, // an account is a word of all servers
	{"source/ftp/engine", "source/ftp/command"},
	{"source/ftp/engine", "source/ftp/listing"},
	{"source/ftp/listing", "source/ftp/command"},
	{"source/ftp/record", "source/ftp/engine"},
	{"source/ftp/record", "details"}, // the same facts in the same words as those who watch
	{"user", "acl"},
	{"user", "config"}, // sizes are spelled as there
	{"source/tftp/engine", "source/tftp/packet"},
	{"source/tftp/content", "source/tftp/netascii"},
	{"source/tftp/lane", "source/tftp/udp"},
	{"source/tftp/record", "source/tftp/engine"},
	{"source/tftp/record", "source/tftp/packet"},
	{"client/ftp", "client/remote"},
	{"client/sftp", "client/remote"},
	{"cmd/tallyman/demo", "client/tftp"},
	{"cmd/tallyman/replay", "join"},
	{"cmd/tallyman/replay", "rule"},
	{"cmd/tallyman/replay", "source/logs"}, // a journal entry is the same entry, followed or exported
	{"cmd/tallyman/replay", "source/logs/format"},
	{"cmd/tallyman/replay", "source/logs/format/entry"},
	{"cmd/tallyman/replay", "source/logs/format/line"},
	{"cmd/tallyman/replay", "source/logs/journal"},
	{"cmd/tallyman/replay", "source/wire"},
	{"cmd/tallyman/watch", "source/files"},
	{"cmd/tallyman/watch", "source/files/host"},
	{"cmd/tallyman/watch", "source/logs"},
	{"cmd/tallyman/watch", "source/logs/format/entry"},
	{"cmd/tallyman/watch", "source/mounts"},
	{"cmd/tallyman/watch", "source/mounts/device"},
	{"cmd/tallyman/watch", "source/servers"},
	{"cmd/tallyman/watch", "source/servers/daemon"},
	{"cmd/tallyman/watch", "source/wire"},
	{"cmd/tallyman/watch", "witness"},
	{"source/logs/format/*", "source/logs/format/entry"},
	{"source/logs/format/*", "source/logs/format/line"},
	{"source/mounts", "details"},
	{"source/mounts/device", "source/mounts/mountinfo"},
	{"source/wire/*", "details"},
	{"source/wire/*", "source/wire/digest"},
	{"source/wire/*", "source/wire/frame"},
	{"source/wire/ftp", "source/wire/stream"},
	{"source/files/host", "source/files/fanotify"}, // one reader, two who draw conclusions
	{"source/files/host", "source/files/mount"},
	{"source/files/host", "source/files/who"},
	{"source/files/host/engine", "source/files/host/index"},
	{"web", "acl"},
	{"web", "query"},
	{"witness", "join"}, // what a witness says alone is judged by the rules that judge all
	{"sink/*", "encode/*"},
	{"sink/xferlog", "source/logs/format"}, // in tests: what is written is read back
	{"sink/xferlog", "source/logs/format/entry"},
	{"ledger/*", "ledger/sqlstore"},
	{"ledger/*", "query"}, // in tests: questions as people type them
}

func importsFollowTheArrows(t *tree) []string {
	var out []string
	for _, f := range t.files {
		for _, i := range f.syntax.Imports {
			to, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				continue
			}
			room, inside := strings.CutPrefix(to, module)
			room = strings.TrimPrefix(room, "/")
			switch {
			case inside && (to == module || to[len(module)] == '/'):
				if !mayImport(f, room) {
					out = append(out, fmt.Sprintf("%s: %s imports %s: meet in the root package and be introduced in cmd/tallyman, or argue for an arrow in law/arrows_test.go",
						t.at(i), called(f.room), called(room)))
				}
			case f.room == "" && !f.test && !standard(to):
				out = append(out, fmt.Sprintf("%s: the root imports %s: it imports the standard library alone", t.at(i), to))
			}
		}
	}
	return out
}

func mayImport(f file, to string) bool {
	from := f.room
	free := from == "cmd/tallyman" || from == "law" || strings.HasPrefix(from, "test/")
	below := from != "" && strings.HasPrefix(to, from+"/")
	if free || below || to == "" && from != "" || f.test && (to == from || to == "test/corpus") {
		return true
	}
	for _, a := range arrows {
		if match(a.from, from) && match(a.to, to) {
			return true
		}
	}
	return false
}

func match(pattern, room string) bool {
	ok, err := path.Match(pattern, room)
	return ok && err == nil
}

// standard reports packages of the standard library: their first element holds no dot.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

func called(room string) string {
	if room == "" {
		return "the root"
	}
	return room
}
