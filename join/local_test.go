package join_test

import (
	"testing"
	"time"

	"tallyman"
	"tallyman/join"
)

func TestDeedOnAHostIsARecordOfItsOwn(t *testing.T) {
	var s story
	deed := func(at time.Duration, op tallyman.Op, path, from string) {
		s.tell(at, tallyman.KindClosed, func(e *tallyman.Evidence) {
			e.Witness, e.Proto, e.Op, e.Self, e.Reason = "files", "local", op, tallyman.Unknown().Self, tallyman.ClosedWell
			e.Path, e.From, e.Began, e.User, e.Proc = path, from, e.Time, "root", tallyman.Proc{PID: 7, Start: 9}
			e.Details = `{"exe":"/usr/bin/mv"}`
		})
	}
	deed(0, tallyman.OpCreate, "/srv/a", "")
	deed(0, tallyman.OpRename, "/srv/b", "/srv/a") // at the same moment, by the same process
	deed(0, tallyman.OpDelete, "/srv/b", "")
	j := join.New(patient())
	var got []*tallyman.Transfer
	for _, e := range s.list {
		j.Add(e)
	}
	for _, r := range j.Changed() {
		got = append(got, r.(*tallyman.Transfer))
	}
	if len(got) != 3 {
		t.Fatalf("%d records of 3 deeds", len(got))
	}
	for _, r := range got {
		if r.Judgement.Outcome() != "success" || r.Judgement.Verdict != tallyman.NoVerdict || r.Exe != "/usr/bin/mv" || r.User != "root" || r.Proc.PID != 7 {
			t.Errorf("%+v", r)
		}
	}
	if r := got[1]; r.Path != "/srv/a" || r.NewPath != "/srv/b" || r.Sentence() != "root with /usr/bin/mv renamed “/srv/a” to “/srv/b”." {
		t.Errorf("%s: %s to %s", r.Sentence(), r.Path, r.NewPath)
	}
	if running, settling := j.Open(); running+settling != 0 {
		t.Errorf("%d and %d are remembered", running, settling)
	}
}
