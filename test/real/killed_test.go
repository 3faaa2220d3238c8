//go:build real

package real

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"tallyman"
)

// deed is one line of the table of what can happen to a transfer by FTP.
type deed struct {
	name, what string
	way        int // of its network
	verb       string
	tls        bool
	own        string   // the end of an errand; "curl" for curl
	arg        []string // of curl
	kill       bool     // curl is killed in the middle
	size       int      // of the file that is moved
	before     int      // how much of it the other side has already
	offset     int
	want       string
}

const (
	short = 300_000
	large = 64 << 20
)

func deeds() []deed {
	const done, lost, dark, gone = "complete reply-acknowledged", "failed control-lost", "unproven closed-unproven", "failed client-silent"
	const cutOff = "failed client-gone" // the server's 426 was faster than the end of the control connection
	d := []deed{
		{name: "up", what: "upload", verb: "STOR", own: "curl", size: short, want: done},
		{name: "up-killed", what: "curl is killed in mid-upload", verb: "STOR", own: "curl", kill: true, size: large, want: lost},
		{name: "up-midway", what: "uploader dies in mid-upload", verb: "STOR", own: midway, size: large, want: lost},
		{name: "up-sent", what: "uploader dies when all is sent", verb: "STOR", own: sent, size: short, want: lost},
		{name: "up-shut", what: "uploader dies before the reply", verb: "STOR", own: shut, size: short, want: lost},
		{name: "up-replied", what: "uploader dies behind the reply", verb: "STOR", own: replied, size: short, want: done},
		{name: "up-deaf", what: "uploader vanishes", way: deaf, verb: "STOR", own: slowly, size: large, want: gone},
		{name: "up-cut", what: "uploader's cable is cut", way: cut, verb: "STOR", own: slowly, size: large, want: gone},
		{name: "down", what: "download", verb: "RETR", own: "curl", size: short, want: done},
		{name: "down-killed", what: "curl is killed in mid-download", verb: "RETR", own: "curl", kill: true, size: large, want: lost + or + cutOff},
		{name: "down-midway", what: "reader dies in mid-download", verb: "RETR", own: midway, size: large, want: lost + or + cutOff},
		{name: "down-sent", what: "reader dies before the reply", verb: "RETR", own: sent, size: short, want: lost},
		{name: "down-deaf", what: "reader vanishes", way: deaf, verb: "RETR", own: slowly, size: large, want: gone},
		{name: "down-cut", what: "reader's cable is cut", way: cut, verb: "RETR", own: slowly, size: large, want: gone},
		{name: "over", what: "upload over an old file", verb: "STOR", own: "curl", size: short, before: 1000, want: done},
		{name: "over-midway", what: "uploader dies over an old file", verb: "STOR", own: midway, size: large, before: 1000, want: lost},
		{name: "up-stop", what: "uploader says ABOR", verb: "STOR", own: stops, size: large, want: "aborted client-abort"},
		{name: "down-stop", what: "reader says ABOR", verb: "RETR", own: stops, size: large, want: "aborted client-abort"},
		{name: "app", what: "append", verb: "APPE", own: "curl", arg: []string{"-a"}, size: short, before: 1000, want: done},
		{name: "app-midway", what: "client dies in mid-append", verb: "APPE", own: midway, size: large, before: 1000, want: lost},
		{name: "up-rest", what: "upload is resumed", verb: "STOR", own: quits, size: short, before: 1000, offset: 1000, want: done},
		{name: "down-rest", what: "download is resumed", verb: "RETR", own: "curl", arg: []string{"-C", "1000"}, size: short, offset: 1000, want: done},
		{name: "tls-up", what: "upload, TLS", verb: "STOR", tls: true, own: quits, size: short, want: dark},
		{name: "tls-up-killed", what: "curl is killed in mid-upload, TLS", verb: "STOR", tls: true, own: "curl", kill: true, size: large, want: lost},
		{name: "tls-up-shut", what: "uploader dies before the reply, TLS", verb: "STOR", tls: true, own: shut, size: short, want: lost},
		{name: "tls-up-deaf", what: "uploader vanishes, TLS", way: deafUp, verb: "STOR", tls: true, own: slowly, size: large, want: gone},
		{name: "tls-down", what: "download, TLS", verb: "RETR", tls: true, own: "curl", size: short, want: dark},
		{name: "tls-down-killed", what: "curl is killed in mid-download, TLS", verb: "RETR", tls: true, own: "curl", kill: true, size: large, want: lost},
		{name: "tls-down-deaf", what: "reader vanishes, TLS", way: deafDown, verb: "RETR", tls: true, own: slowly, size: large, want: gone},
	}
	return d
}

// act is a deed on a server.
type act struct {
	*deed
	server ftpServer
	index  int // of the server
	file   string
	port   int // the first of the client's ports
	client *ftpProcess
	local  string // curl's file
}

const portsOfAct = 8

// place makes the files of the act.
func (a *act) place(f *ftpStage) {
	dir := f.t.TempDir()
	a.local = filepath.Join(dir, "local")
	remote := filepath.Join(a.server.root, a.file)
	if a.verb == "RETR" {
		must(os.WriteFile(remote, noise(1, min(a.size, short)), 0o644))
		must(os.Truncate(remote, int64(a.size)))
	} else {
		must(os.WriteFile(a.local, noise(1, min(a.size, short)), 0o644))
		must(os.Truncate(a.local, int64(a.size)))
		if a.before > 0 {
			must(os.WriteFile(remote, noise(1, a.before), 0o644))
		}
	}
	if _, err := os.Stat(remote); err == nil {
		must(os.Chown(remote, 4242, 4242))
	}
}

// begin starts the client.
func (a *act) begin(f *ftpStage) {
	g := f.at(a.index, a.way)
	at := fmt.Sprintf("%s:%d", g.server, a.server.port)
	if a.own != "curl" {
		self, err := os.Executable()
		must(err)
		a.client = g.start(&errand{Server: at, Port: a.port, TLS: a.tls, Verb: a.verb, Name: a.file, Offset: a.offset, Size: a.size - a.offset, End: a.own, At: short}, "/", self)
		return
	}
	arg := append([]string{"-sS", "--local-port", fmt.Sprintf("%d-%d", a.port, a.port+portsOfAct-1), "-u", "lu:pw"}, a.arg...)
	if a.tls {
		arg = append(arg, "-k", "--ssl-reqd")
	}
	if a.kill {
		arg = append(arg, "--limit-rate", "2M")
	}
	if a.verb == "RETR" {
		arg = append(arg, "-o", a.local)
	} else {
		arg = append(arg, "-T", a.local)
	}
	a.client = g.start(nil, "/", "curl", append(arg, fmt.Sprintf("ftp://%s/%s", at, a.file))...)
}

// play does what the deed says, up to the end of the client.
func (a *act) play(f *ftpStage) {
	a.begin(f)
	if a.kill {
		there := filepath.Join(a.server.root, a.file)
		if a.verb == "RETR" {
			there = a.local
		}
		f.until(a.file+" is on its way", func() bool {
			st, err := os.Stat(there)
			return err == nil && st.Size() > short
		})
		a.client.kill()
		return
	}
	<-a.client.ended
	if why := a.client.err.String(); why != "" {
		f.t.Errorf("%s: %s", a.file, why)
	}
}

func (a *act) speaks(tr *tallyman.Transfer) bool {
	if p := int(tr.Client.Port()); p != 0 {
		return p >= a.port && p < a.port+portsOfAct
	}
	return strings.HasSuffix(tr.Name, a.file) || strings.HasSuffix(tr.Path, a.file)
}

func said(acts []*act, records []*tallyman.Transfer) map[*act][]*tallyman.Transfer {
	out := map[*act][]*tallyman.Transfer{}
	for _, tr := range records {
		if i := slices.IndexFunc(acts, func(a *act) bool { return a.speaks(tr) }); i >= 0 {
			out[acts[i]] = append(out[acts[i]], tr)
		} else {
			out[nil] = append(out[nil], tr)
		}
	}
	return out
}

func TestKilledClientsOfFTPAreNeverComplete(t *testing.T) {
	f := newFTPStage(t)
	list := deeds()
	var acts []*act
	for i := range list {
		for n, v := range f.servers {
			a := &act{deed: &list[i], server: v, index: n, file: v.name + "-" + list[i].name, port: 40000 + len(acts)*portsOfAct}
			a.place(f)
			acts = append(acts, a)
		}
	}
	var slow, rest []*act
	for _, a := range acts {
		if a.own == slowly {
			slow = append(slow, a)
			a.begin(f)
		} else {
			rest = append(rest, a)
		}
	}
	for _, a := range slow {
		f.until(a.file+" is on its way", func() bool {
			select {
			case <-a.client.ended:
				t.Fatalf("%s: %s", a.file, a.client.err.String())
			default:
			}
			return a.client.out.String() != ""
		})
	}
	for n := range f.servers {
		for _, way := range []int{deaf, deafUp, deafDown} {
			f.at(n, way).deafen(t)
		}
		f.at(n, cut).cut(t)
	}
	var all sync.WaitGroup
	for _, v := range f.servers {
		all.Go(func() {
			for _, a := range rest {
				if a.server == v {
					a.play(f)
				}
			}
		})
	}
	all.Wait()
	f.patience = 4 * soon // pure-ftpd counts in minutes
	f.wait(func() string { return f.untold(acts) })
	for _, a := range slow {
		a.client.kill()
	}
	all3 := said(acts, f.records())
	for _, tr := range all3[nil] {
		t.Errorf("a record of nobody: %s", account(tr))
	}
	for _, a := range acts {
		if got := judgements(all3[a]); len(got) != 1 || !slices.Contains(strings.Split(a.want, or), got[0]) {
			t.Errorf("%s: %q, want %q", a.file, got, a.want)
			for _, tr := range all3[a] {
				t.Log(account(tr))
			}
		}
	}
	f.tabled(t, acts)
}

func judgements(list []*tallyman.Transfer) (out []string) {
	for _, tr := range list {
		out = append(out, fmt.Sprint(tr.Judgement.Verdict, " ", tr.Judgement.Reason))
	}
	slices.Sort(out)
	return out
}

// untold says what is still missing.
func (f *ftpStage) untold(acts []*act) string {
	closed, logged := map[string]bool{}, map[string]bool{}
	for _, e := range f.evidence() {
		switch {
		case e.Kind == tallyman.KindRenamed:
			closed[filepath.Base(e.Path)] = true
		case e.Kind == tallyman.KindClosed && e.Witness == "files":
			closed[filepath.Base(e.Path)] = true
		case e.Kind == tallyman.KindClosed && e.Witness == "log":
			logged[e.Name], logged[filepath.Base(e.Path)] = true, true
		}
	}
	all := said(acts, f.records())
	for _, a := range acts {
		switch {
		case !closed[a.file]:
			return a.file + " is open"
		case !logged[a.file]:
			return a.file + " is not in the log"
		case slices.ContainsFunc(all[a], func(tr *tallyman.Transfer) bool { return tr.Judgement.Verdict == tallyman.Active }):
			return a.file + " runs"
		}
	}
	return ""
}
