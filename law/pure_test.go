package law

import (
	"fmt"
	"go/ast"
	"slices"
	"strconv"
	"strings"
)

// pure lists the rooms that are functions of what they are told: no clock, file, socket, goroutine or environment.
var pure = [...]string{
	"", "join", "rule", "acl", "query", "details", "encode/*", "source/tftp/packet", "source/tftp/engine", "source/tftp/netascii", "tree/reserved", "web/ask",
	"source/ftp/ascii", "source/ftp/command", "source/ftp/engine", "source/ftp/listing",
	"source/wire/flow", "source/wire/frame", "source/wire/ftp", "source/wire/stream", "source/wire/tftp",
	"source/logs/format", "source/logs/format/*",
	"source/files/account", "source/files/host/engine", "source/files/host/index",
	"source/mounts/cloud", "source/mounts/mountinfo",
	"source/servers/daemon", "source/servers/proc", "witness",
}

// outside lists packages that reach the outside world. A name that ends in a slash stands for all below it.
var outside = [...]string{
	"os", "os/", "net", "net/http", "net/http/", "net/rpc", "net/smtp", "syscall", "unsafe", "runtime", "runtime/", "log", "log/", "io/ioutil", "plugin",
	"embed", "database/", "testing", "sync/atomic", "golang.org/x/sys/", "crypto/rand", "math/rand", "math/rand/",
}

// clock lists what package time reads from the clock, or waits by it.
var clock = [...]string{"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Sleep"}

func pureRoomsStayPure(t *tree) []string {
	var out []string
	for _, f := range t.files {
		if f.test || !slices.ContainsFunc(pure[:], func(p string) bool { return match(p, f.room) }) {
			continue
		}
		breach := func(n ast.Node, what string) {
			out = append(out, fmt.Sprintf("%s: %s is pure and %s: hand it in as an argument", t.at(n), called(f.room), what))
		}
		for _, i := range f.syntax.Imports {
			to, _ := strconv.Unquote(i.Path.Value)
			if slices.ContainsFunc(outside[:], func(o string) bool { return o == to || strings.HasSuffix(o, "/") && strings.HasPrefix(to, o) }) {
				breach(i, "imports "+to)
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				breach(n, "starts a goroutine")
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock[:], n.Sel.Name) {
					breach(n, "asks time."+n.Sel.Name)
				}
			}
			return true
		})
	}
	return out
}
