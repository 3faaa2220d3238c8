package witness_test

import (
	"strings"
	"testing"

	"tallyman"
	"tallyman/witness"
)

// What was done on a host is told by the files alone: those who watch servers have no say in it.
func TestDeedOnAHostHasTheLaneOfTheFilesAlone(t *testing.T) {
	tr := &tallyman.Transfer{
		Start: t0, End: t0, Host: "lab", Proto: "local", Op: tallyman.OpRename, Path: "/srv/a", NewPath: "/srv/b", Bytes: -1, Expected: -1,
		Judgement: tallyman.Judgement{Reason: tallyman.ClosedWell, For: []string{"files"}},
		Evidence: []tallyman.Evidence{said("files", tallyman.KindClosed, 0, func(e *tallyman.Evidence) {
			e.Proto, e.Op, e.Path, e.From, e.User, e.Proc.PID, e.Reason = "local", tallyman.OpRename, "/srv/b", "/srv/a\x1b", "bob", 812, tallyman.ClosedWell
			e.Details = `{"cmdline":"mv a b","comm":"mv","exe":"/usr/bin/mv","login_uid":1000,"parents":["7 /usr/bin/bash"],"uid":0}`
		})},
	}
	lanes := witness.Lanes(tr, &witness.Watch{Posts: []witness.Post{{Witness: "wire"}, {Witness: "log", Sees: true}, {Witness: "host", Sees: true}}})
	if len(lanes) != 1 || lanes[0].Witness != "files" || len(lanes[0].Lacks) > 0 {
		t.Fatalf("%+v", lanes)
	}
	var all strings.Builder
	for _, f := range lanes[0].Facts {
		all.WriteString(f.Name + "=" + f.Text + "\n")
	}
	for _, want := range []string{"/srv/b", `before /srv/a\x1b`, "/usr/bin/mv[812]", "as bob", "logged in as user 1000", "mv a b", "7 /usr/bin/bash"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no %q in %s", want, all.String())
		}
	}
}
