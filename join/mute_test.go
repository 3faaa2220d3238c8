package join_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/join"
)

// login is one process of internal-sftp, as log and files see it.
type login struct {
	story
	pid int32
}

func (s *login) line(at time.Duration, kind tallyman.Kind, op tallyman.Op, name string, began time.Duration, change func(*tallyman.Evidence)) {
	s.tell(at, kind, func(e *tallyman.Evidence) {
		e.Witness, e.Proto, e.Op, e.Name, e.Path, e.Began = "log", "sftp", op, name, name, t0.Add(began)
		e.Proc, e.Session, e.Details = tallyman.Proc{PID: s.pid}, fmt.Sprint(s.pid), `{"format":"sftp-server"}`
		e.Peer, e.Self = netip.MustParseAddrPort("10.0.0.7:0"), netip.AddrPort{}
		if change != nil {
			change(e)
		}
	})
}

func (s *login) file(opened, closed time.Duration, op tallyman.Op, path string, before, after int64) {
	for _, kind := range []tallyman.Kind{tallyman.KindOpened, tallyman.KindClosed} {
		at, size := opened, before
		if kind == tallyman.KindClosed {
			at, size = closed, after
		}
		s.tell(at, kind, func(e *tallyman.Evidence) {
			e.Witness, e.Op, e.Path, e.Size, e.Began = "files", op, path, size, t0.Add(opened)
			e.Proc, e.File = tallyman.Proc{PID: s.pid, Start: 7}, "8:1:"+path
			e.Peer, e.Self = netip.AddrPort{}, netip.AddrPort{}
			if kind == tallyman.KindClosed {
				e.Details = `{"close":"write"}`
			}
		})
	}
}

func (s *login) ended(at, began time.Duration, op tallyman.Op, name string, moved int64, reason tallyman.Reason) {
	s.line(at, tallyman.KindClosed, op, name, began, func(e *tallyman.Evidence) { e.Moved, e.Reason = moved, reason })
}

// verdictsOf is what is said of each name in the end, late after all evidence.
func (s *login) verdictsOf(late time.Duration, name string) (out []string) {
	j := join.New(patient())
	latest := map[tallyman.UUID]*tallyman.Transfer{}
	note := func() {
		for _, tr := range transfers(j.Changed()) {
			latest[tr.ID] = tr
		}
	}
	for _, e := range s.list {
		j.Add(e)
	}
	note()
	j.Advance(t0.Add(late))
	note()
	for _, tr := range latest {
		if tr.Merged.IsZero() && tr.Op.MovesContent() && (tr.Name == name || strings.HasSuffix(tr.Path, name)) {
			out = append(out, strings.TrimSpace(fmt.Sprint(tr.Judgement.Verdict, " ", tr.Judgement.Reason)))
		}
	}
	slices.Sort(out)
	return out
}

func (s *login) says(t *testing.T, late time.Duration, name string, want ...string) {
	t.Helper()
	if got := s.verdictsOf(late, name); !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", name, got, want)
	}
}

const second = time.Second

func TestFileThatIsClosedWithoutALineIsThatOfAClientThatIsGone(t *testing.T) {
	s := login{pid: 30}
	s.line(0, tallyman.KindRequest, tallyman.OpPut, "/up", 0, nil)
	s.file(0, second, tallyman.OpPut, "/srv/up", 0, 500)
	s.says(t, 2*second, "/up", "unproven closed-unproven") // the line may still come
	s.says(t, 5*second, "/up", "failed client-gone")
	late := s
	late.ended(6*second, 0, tallyman.OpPut, "/up", 500, tallyman.ClosedWell)
	late.says(t, 12*second, "/up", "complete closed")
}

// A log that lags by more than is waited for revises the record, and makes no second one.
func TestALineThatComesVeryLateRevisesTheRecord(t *testing.T) {
	s := login{pid: 30}
	s.line(0, tallyman.KindRequest, tallyman.OpPut, "/up", 0, nil)
	s.file(0, second, tallyman.OpPut, "/srv/up", 0, 500)
	early := len(s.list)
	s.ended(second, 0, tallyman.OpPut, "/up", 500, tallyman.ClosedWell)
	s.list[early].Seen = t0.Add(30 * second)
	j := join.New(join.Defaults())
	said := map[tallyman.UUID]string{}
	note := func() {
		for _, tr := range transfers(j.Changed()) {
			if said[tr.ID] = fmt.Sprint(tr.Judgement.Verdict, " ", tr.Judgement.Reason); !tr.Merged.IsZero() {
				delete(said, tr.ID)
			}
		}
	}
	step := func(want string) {
		t.Helper()
		note()
		for id, v := range said {
			if len(said) != 1 || v != want {
				t.Errorf("%s: %q, want %q", id, v, want)
			}
		}
	}
	for _, e := range s.list[:early] {
		j.Add(e)
	}
	step("unproven closed-unproven")
	for at := 2 * second; at < 30*second; at += second {
		j.Advance(t0.Add(at))
		note()
	}
	step("failed client-gone")
	j.Add(s.list[early])
	step("complete closed")
}

func TestAGapOfTheLogHidesALine(t *testing.T) {
	s := login{pid: 30}
	s.line(0, tallyman.KindRequest, tallyman.OpPut, "/up", 0, nil)
	s.file(0, second, tallyman.OpPut, "/srv/up", 0, 500)
	s.tell(2*second, tallyman.KindGap, func(e *tallyman.Evidence) { e.Witness, e.Began = "log", t0.Add(second/2) })
	s.says(t, 5*second, "/up", "unproven closed-unproven")
}

func TestAFileOfWhichTheLogSaysNothingAtAllIsUnproven(t *testing.T) {
	s := login{pid: 30}
	s.file(0, second, tallyman.OpPut, "/srv/up", 0, 500)
	s.says(t, 5*second, "/up", "unproven closed-unproven")
}

func TestSizesOfSFTPAgreeOrProveNothing(t *testing.T) {
	f := func(op tallyman.Op, moved, before, after int64, want string) {
		t.Helper()
		s := login{pid: 30}
		s.line(0, tallyman.KindRequest, op, "/f", 0, nil)
		way := tallyman.OpPut
		if op == tallyman.OpGet {
			way = op
		}
		s.file(time.Millisecond, second, way, "/srv/f", before, after)
		s.ended(second, 0, op, "/f", moved, tallyman.ClosedWell)
		s.says(t, 5*second, "/f", want)
	}
	f(tallyman.OpPut, 500, 0, 500, "complete closed")
	f(tallyman.OpPut, 500, 0, 400, "unproven closed-unproven")
	f(tallyman.OpPut, 500, 300, 800, "unproven closed-unproven") // a hole of 300 bytes would look the same
	f(tallyman.OpAppend, 500, 300, 800, "complete closed")
	f(tallyman.OpAppend, 500, 800, 800, "unproven closed-unproven") // seen too late
	f(tallyman.OpGet, 500, 500, 500, "complete closed")
	f(tallyman.OpGet, 400, 500, 500, "unproven partial-read")
	f(tallyman.OpGet, 600, 500, 500, "unproven closed-unproven")
}

func TestAClaimThatIsAssumedProvesNothingWithTheFile(t *testing.T) {
	s := login{pid: 30}
	s.line(0, tallyman.KindRequest, tallyman.OpPut, "/f", 0, nil)
	s.file(0, second, tallyman.OpPut, "/srv/f", 0, 500)
	s.line(second, tallyman.KindClosed, tallyman.OpPut, "/f", 0, func(e *tallyman.Evidence) {
		e.Moved, e.Reason, e.Details = 500, tallyman.ClosedWell, `{"assumed":true,"format":"sftp-server"}`
	})
	s.says(t, 5*second, "/f", "unproven closed-unproven")
}

// The status that a log took for the answer to the open was that to another request.
func TestAFileThatWasOpenedWasNotRefused(t *testing.T) {
	s := login{pid: 30}
	s.line(0, tallyman.KindRequest, tallyman.OpGet, "/f", 0, nil)
	s.line(10*time.Millisecond, tallyman.KindRefusal, tallyman.OpGet, "/f", 0, func(e *tallyman.Evidence) {
		e.Reason, e.Details = tallyman.NotFound, `{"assumed":true,"format":"sftp-server"}`
	})
	s.says(t, 5*second, "/f", "refused not-found")
	s.tell(time.Millisecond, tallyman.KindOpened, func(e *tallyman.Evidence) {
		e.Witness, e.Op, e.Path, e.Size, e.Began = "files", tallyman.OpGet, "/srv/f", 500, t0.Add(time.Millisecond)
		e.Proc, e.File, e.Peer, e.Self = tallyman.Proc{PID: 30, Start: 7}, "8:1:f", netip.AddrPort{}, netip.AddrPort{}
	})
	s.says(t, 5*second, "/f", "active")
}

// File events come late, also later than the next lines of the session, and some lines speak of the same file and of no transfer.
func TestFilesOfOneSessionFollowItsLinesInOrder(t *testing.T) {
	s := login{pid: 30}
	const ms = time.Millisecond
	for i, size := range []int64{500, 700} {
		at := time.Duration(i) * ms
		s.line(at, tallyman.KindRequest, tallyman.OpPut, "/f", at, nil)
		s.line(at+ms/2, tallyman.KindClosed, tallyman.OpAttrib, "/f", at+ms/2, func(e *tallyman.Evidence) { e.Reason = tallyman.ClosedWell })
		s.ended(at+ms/2, at, tallyman.OpPut, "/f", size, tallyman.ClosedWell)
		s.file(at+30*ms, at+31*ms, tallyman.OpPut, "/srv/f", 0, size)
	}
	s.says(t, 5*second, "/f", "complete closed", "complete closed")
}
