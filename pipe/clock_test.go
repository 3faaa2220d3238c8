package pipe_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tallyman"
	"tallyman/pipe"
)

func TestClockThatIsSetIsAGap(t *testing.T) {
	for _, step := range []time.Duration{-25 * time.Hour, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			s, b := openSpool(t, t.TempDir(), nil), newBooks()
			defer s.Close()
			var off atomic.Int64
			p := start(t, pipe.Parts{Spool: s, Ledger: b, Now: func() time.Time { return time.Now().Add(time.Duration(off.Load())) }})
			<-time.After(3 * time.Second)
			if n := len(b.gaps()); n != 0 {
				t.Errorf("%d gaps before the clock was set", n)
			}
			off.Store(int64(step))
			<-time.After(3 * time.Second)
			p.Record(evidence(1, tallyman.KindOpened), evidence(1, tallyman.KindClosed))
			drain(t, p)
			gaps := b.gaps()
			if len(gaps) != 1 || !strings.Contains(gaps[0].Why, "the clock was set") || gaps[0].To.Before(gaps[0].From) {
				t.Errorf("set by %s: %+v", step, gaps)
			}
			if got := b.by(t); len(got) != 1 || got["f1"].Judgement.Verdict != tallyman.Complete {
				t.Errorf("set by %s: %v", step, got)
			}
		})
	}
}

// TestBacklogIsJudgedAsIfThereWereNone lets the ledger be down while a client searches for its configuration: what was seen minutes ago is not old.
func TestBacklogIsJudgedAsIfThereWereNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := openSpool(t, t.TempDir(), nil), newBooks()
		defer s.Close()
		b.setRefuse(errors.New("down"))
		p := start(t, pipe.Parts{Spool: s, Ledger: b})
		ask := func(n int, name string, kind tallyman.Kind, reason tallyman.Reason) {
			e := evidence(n, kind)
			e.Began = tallyman.Clean(time.Now())
			e.Time, e.Op, e.Name, e.Reason = e.Began, tallyman.OpGet, name, reason
			p.Record(e)
		}
		ask(0, "other", tallyman.KindClosed, tallyman.FinalAck) // with it the ledger goes down
		<-time.After(time.Second)
		for n := range 5000 { // more than is judged at once
			if n%1000 == 0 {
				ask(n, fmt.Sprintf("pxelinux.cfg/C0A8025%d", n/1000), tallyman.KindRefusal, tallyman.NotFound)
			}
			p.Record(evidence(10000+n, tallyman.KindClosed))
		}
		ask(6000, "pxelinux.cfg/default", tallyman.KindClosed, tallyman.FinalAck)
		<-time.After(10 * time.Minute)
		b.setRefuse(nil)
		drain(t, p)
		for name, tr := range b.by(t) {
			if strings.HasPrefix(name, "pxelinux.cfg/C") && !strings.Contains(tr.Details, `"search":"pxelinux.cfg/default"`) {
				t.Errorf("%s is no part of the search", name)
			}
		}
	})
}
