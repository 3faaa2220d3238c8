package watch

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tallyman"
)

// book records what it is told.
type book struct {
	mu  sync.Mutex
	all []tallyman.Evidence
}

func (b *book) Record(batch ...tallyman.Evidence) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, batch...)
}

func (b *book) Commit(_ context.Context, batch ...tallyman.Evidence) error {
	b.Record(batch...)
	return nil
}

// actor is a witness of our making.
type actor struct {
	refuses error
	breaks  chan error
	opened  int
	since   time.Time
	open    int // at once
	turns   bool
	cannot  error
	looked  []string
}

func (a *actor) post(w *Watch, name string, want func(*plan) string) *post {
	return &post{name: name, watch: w, want: want, open: func(_ *plan, since time.Time) (*work, error) {
		if a.refuses != nil {
			return nil, a.refuses
		}
		a.opened++
		a.open++
		a.since = since
		var look func(*plan) error
		if a.turns {
			look = func(p *plan) error {
				a.looked = append(a.looked, want(p))
				return a.cannot
			}
		}
		return &work{
			begun: begun(), look: look, close: func() { a.open-- }, says: func() (State, string, string) { return Live, "", "" },
			run: func(ctx context.Context, _ tallyman.Recorder) error {
				select {
				case <-ctx.Done():
					return nil
				case err := <-a.breaks:
					return err
				}
			},
		}, nil
	}}
}

func rig(a *actor, since time.Time) (*Watch, *post, *book) {
	w := New(Config{Host: "h", Log: slog.New(slog.DiscardHandler), Since: since})
	a.breaks = make(chan error)
	return w, a.post(w, "wire", (*plan).forWire), &book{}
}

func TestAWitnessBeginsAgainOnlyWhenItIsToLookAtMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &actor{}
		_, p, to := rig(a, time.Time{})
		one, two := &plan{tftp: []uint16{69}}, &plan{tftp: []uint16{69, 6969}}
		if !p.adapt(t.Context(), one, to) || p.adapt(t.Context(), one, to) || a.opened != 1 || len(to.all) != 0 {
			t.Errorf("opened %d times, told %+v", a.opened, to.all)
		}
		<-time.After(time.Second)
		p.adapt(t.Context(), two, to)
		if a.opened != 2 || a.open != 1 || len(to.all) != 1 || to.all[0].Kind != tallyman.KindGap || to.all[0].Witness != "wire" || to.all[0].Host != "h" {
			t.Errorf("opened %d times, told %+v", a.opened, to.all)
		}
		p.stop()
		if a.open != 0 {
			t.Error("it was not closed")
		}
	})
}

func TestAWitnessThatCanTurnLooksAtMoreWithoutAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &actor{turns: true}
		_, p, to := rig(a, time.Time{})
		p.adapt(t.Context(), &plan{tftp: []uint16{69}}, to)
		<-time.After(time.Second)
		p.adapt(t.Context(), &plan{tftp: []uint16{69, 6969}}, to)
		p.adapt(t.Context(), &plan{tftp: []uint16{69, 6969}}, to)
		if a.opened != 1 || len(to.all) != 0 || !slices.Equal(a.looked, []string{"[69 6969] [] false"}) {
			t.Errorf("opened %d times, looked at %q, told %+v", a.opened, a.looked, to.all)
		}
		a.cannot = errors.New("the kernel says no")
		p.adapt(t.Context(), &plan{tftp: []uint16{69, 6970}}, to)
		if a.opened != 2 || a.open != 1 || len(to.all) != 1 || to.all[0].Kind != tallyman.KindGap {
			t.Errorf("it could not turn: opened %d times, told %+v", a.opened, to.all)
		}
		p.stop()
	})
}

func TestAWitnessThatBreaksIsTriedAgainAndTheGapIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &actor{}
		_, p, to := rig(a, time.Time{})
		one := &plan{tftp: []uint16{69}}
		p.adapt(t.Context(), one, to)
		a.breaks <- errors.New("the interface is gone")
		synctest.Wait()
		if s := p.status(); s.State != Failed || s.Text != "the interface is gone" {
			t.Errorf("%+v", s)
		}
		broke := time.Now()
		a.refuses = errors.New("not yet")
		p.adapt(t.Context(), one, to)
		<-time.After(5 * time.Second)
		p.adapt(t.Context(), one, to)
		if s := p.status(); s.State != Failed || s.Text != "not yet" || len(to.all) != 0 {
			t.Errorf("%+v, told %+v", s, to.all)
		}
		a.refuses = nil
		p.adapt(t.Context(), one, to)
		if s := p.status(); s.State != Live || len(to.all) != 1 {
			t.Fatalf("%+v, told %+v", s, to.all)
		}
		if g := to.all[0]; !g.Began.Equal(tallyman.Clean(broke)) || g.Time.Sub(g.Began) != 5*time.Second {
			t.Errorf("the gap is from %s to %s", g.Began, g.Time)
		}
		p.stop()
	})
}

func TestTheTimeInWhichNobodyWatchedIsAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		since := time.Now().Add(-time.Hour)
		a := &actor{}
		_, p, to := rig(a, since)
		p.adapt(t.Context(), &plan{}, to)
		if len(to.all) != 1 || !to.all[0].Began.Equal(tallyman.Clean(since)) || !a.since.Equal(since) {
			t.Errorf("told %+v", to.all)
		}
		p.stop()
	})
}
