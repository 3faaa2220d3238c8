package pipe_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"tallyman"
	"tallyman/pipe"
	"tallyman/spool"
)

// books is a ledger in memory. It can be told to refuse batches.
type books struct {
	mu        sync.Mutex
	transfers map[tallyman.UUID]*tallyman.Transfer
	others    []tallyman.Record
	marks     map[tallyman.Agent]tallyman.ID
	refuse    error
	told      chan struct{} // one for each batch that was offered
}

func newBooks() *books {
	return &books{transfers: map[tallyman.UUID]*tallyman.Transfer{}, marks: map[tallyman.Agent]tallyman.ID{}, told: make(chan struct{}, 1<<16)}
}

func (b *books) Write(_ context.Context, batch tallyman.Batch) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told <- struct{}{}
	if b.refuse != nil {
		return b.refuse
	}
	for _, r := range batch.Records {
		t, ok := r.(*tallyman.Transfer)
		if !ok {
			b.others = append(b.others, r)
			continue
		}
		if old := b.transfers[t.ID]; old == nil || t.Rev > old.Rev {
			b.transfers[t.ID] = t
		}
	}
	if !batch.Mark.IsZero() {
		b.marks[batch.Mark.Agent] = batch.Mark
	}
	return nil
}

func (b *books) setRefuse(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuse = err
}

func (b *books) Committed(_ context.Context, a tallyman.Agent) (tallyman.ID, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.marks[a], nil
}

func (b *books) Transfers(_ context.Context, q tallyman.Query) iter.Seq2[*tallyman.Transfer, error] {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []*tallyman.Transfer
	for _, t := range b.transfers {
		if q.Open && t.Judgement.Verdict != tallyman.Active || t.Start.Before(q.From) {
			continue
		}
		out = append(out, t)
	}
	return func(yield func(*tallyman.Transfer, error) bool) {
		for _, t := range out {
			if !yield(t, nil) {
				return
			}
		}
	}
}

func (b *books) Transfer(context.Context, tallyman.UUID) (*tallyman.Transfer, error) {
	return nil, tallyman.ErrNotFound
}

func (b *books) Events(_ context.Context, q tallyman.Query) iter.Seq2[tallyman.Record, error] {
	return func(yield func(tallyman.Record, error) bool) {
		b.mu.Lock()
		others := slices.Clone(b.others)
		b.mu.Unlock()
		only, some := q.Where.(tallyman.Term)
		for _, r := range slices.Backward(others) {
			if _, finding := r.(*tallyman.Finding); some && finding != (only == tallyman.Term{Field: tallyman.FieldKind, Text: "finding"}) {
				continue
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (b *books) Stats(context.Context, tallyman.StatsQuery) ([]tallyman.Stat, error) { return nil, nil }

// by returns the transfers by file name.
func (b *books) by(t *testing.T) map[string]*tallyman.Transfer {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[string]*tallyman.Transfer{}
	for _, tr := range b.transfers {
		if out[tr.Name] != nil {
			t.Errorf("%s has two records", tr.Name)
		}
		out[tr.Name] = tr
	}
	return out
}

func (b *books) gaps() (out []*tallyman.Gap) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.others {
		if g, ok := r.(*tallyman.Gap); ok {
			out = append(out, g)
		}
	}
	return out
}

// evidence of a put number n.
func evidence(n int, kind tallyman.Kind) tallyman.Evidence {
	e := tallyman.Unknown()
	e.Began = time.Date(2026, 11, 20, 18, 0, 0, n*1000, time.UTC)
	e.Time, e.Kind, e.Host, e.Witness, e.Proto, e.Op = e.Began, kind, "lab", "server", "tftp", tallyman.OpPut
	e.Peer, e.Self = netip.AddrPortFrom(netip.MustParseAddr("10.0.0.7"), uint16(1024+n%60000)), netip.MustParseAddrPort("10.0.0.1:69")
	e.Name = fmt.Sprintf("f%d", n)
	if kind == tallyman.KindClosed {
		e.Time, e.Reason, e.Moved = e.Began.Add(time.Second), tallyman.Stored, 100
	}
	return e
}

func openSpool(t *testing.T, dir string, change func(*spool.Config)) *spool.Spool {
	t.Helper()
	cfg := spool.Config{Dir: dir, SyncEvery: time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	s, err := spool.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func start(t *testing.T, parts pipe.Parts) *pipe.Pipe {
	t.Helper()
	parts.Host, parts.Log = "lab", slog.New(slog.DiscardHandler)
	p, err := pipe.Start(t.Context(), parts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func drain(t *testing.T, p *pipe.Pipe) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := p.Drain(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestEverythingRecordedIsInTheLedgerAfterDrain(t *testing.T) {
	s, b := openSpool(t, t.TempDir(), nil), newBooks()
	defer s.Close()
	p := start(t, pipe.Parts{Spool: s, Ledger: b})
	var each sync.WaitGroup
	for g := range 8 {
		each.Go(func() {
			for i := range 200 {
				n := g*200 + i
				p.Record(evidence(n, tallyman.KindOpened))
				if i%10 == 0 {
					if err := p.Commit(t.Context(), evidence(n, tallyman.KindClosed)); err != nil {
						t.Error(err)
					}
					continue
				}
				p.Record(evidence(n, tallyman.KindClosed))
			}
		})
	}
	each.Wait()
	drain(t, p)
	got := b.by(t)
	if len(got) != 1600 {
		t.Fatalf("%d of 1600 transfers", len(got))
	}
	for name, tr := range got {
		if tr.Judgement.Verdict != tallyman.Complete || len(tr.Evidence) != 2 {
			t.Fatalf("%s: %+v with %d evidence", name, tr.Judgement, len(tr.Evidence))
		}
	}
	if st := p.Status(); st.Backlog != 0 || st.Lost != 0 || st.Taken != 3200 {
		t.Errorf("%+v", st)
	}
}

func TestLedgerThatIsDownHoldsBackNothingAndLosesNothing(t *testing.T) {
	s, b := openSpool(t, t.TempDir(), nil), newBooks()
	defer s.Close()
	b.setRefuse(errors.New("database is locked"))
	p := start(t, pipe.Parts{Spool: s, Ledger: b})
	for n := range 500 {
		p.Record(evidence(n, tallyman.KindClosed))
	}
	<-b.told // it was offered a batch and refused it
	if st := p.Status(); st.Backlog != 500 {
		t.Errorf("backlog %d", st.Backlog)
	}
	b.setRefuse(nil)
	drain(t, p)
	if n := len(b.by(t)); n != 500 {
		t.Errorf("%d of 500 transfers", n)
	}
}

func TestRestartReadsOnWhereTheLedgerStands(t *testing.T) {
	dir, b := t.TempDir(), newBooks()
	s := openSpool(t, dir, nil)
	p := start(t, pipe.Parts{Spool: s, Ledger: b})
	p.Record(evidence(1, tallyman.KindOpened))
	drain(t, p)
	first := b.by(t)["f1"]
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	// What a second run records while its ledger is down reaches the ledger in a third.
	s = openSpool(t, dir, nil)
	b.setRefuse(errors.New("down"))
	p = start(t, pipe.Parts{Spool: s, Ledger: b})
	if err := p.Commit(t.Context(), evidence(1, tallyman.KindClosed), evidence(2, tallyman.KindClosed)); err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Drain(gone); err == nil {
		t.Error("drain says that all is stored while the ledger is down")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	b.setRefuse(nil)
	s = openSpool(t, dir, nil)
	defer s.Close()
	p = start(t, pipe.Parts{Spool: s, Ledger: b})
	drain(t, p)
	got := b.by(t)
	if len(got) != 2 || got["f1"].ID != first.ID || got["f1"].Judgement.Verdict != tallyman.Complete {
		t.Errorf("%d records; f1 %+v under id %s, was %s", len(got), got["f1"].Judgement, got["f1"].ID, first.ID)
	}
}

func TestWhatWasRunningWhenTheProgramDiedIsSettledBeforeTheStart(t *testing.T) {
	dir, b := t.TempDir(), newBooks()
	s := openSpool(t, dir, nil)
	p := start(t, pipe.Parts{Spool: s, Ledger: b})
	p.Record(evidence(1, tallyman.KindOpened), evidence(2, tallyman.KindOpened))
	p.Record(evidence(2, tallyman.KindClosed))
	drain(t, p)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openSpool(t, dir, nil)
	defer s.Close()
	var asked []string
	p = start(t, pipe.Parts{Spool: s, Ledger: b, Orphan: func(tr *tallyman.Transfer) tallyman.Evidence {
		asked = append(asked, tr.Name)
		e := evidence(1, tallyman.KindClosed)
		e.Reason = tallyman.ServerGone
		return e
	}})
	if got := b.by(t)["f1"]; got.Judgement.Reason != tallyman.ServerGone || !slices.Equal(asked, []string{"f1"}) {
		t.Errorf("after Start: %+v, asked about %q", got.Judgement, asked)
	}
	drain(t, p)
}

func TestSpoolThatIsFullLosesNothingSilently(t *testing.T) {
	dir, b := t.TempDir(), newBooks()
	s := openSpool(t, dir, func(c *spool.Config) { c.SegmentSize, c.MaxSize = 4<<10, 16<<10 })
	defer s.Close()
	b.setRefuse(errors.New("down"))
	p := start(t, pipe.Parts{Spool: s, Ledger: b})
	lost := 0
	for n := 0; lost == 0 || n < 400; n++ {
		before := p.Status().Lost
		p.Record(evidence(n, tallyman.KindClosed))
		lost += int(p.Status().Lost - before)
		if n > 100000 {
			t.Fatal("the spool is never full")
		}
	}
	if err := p.Commit(t.Context(), evidence(9999, tallyman.KindClosed)); !errors.Is(err, tallyman.ErrFull) {
		t.Errorf("commit to a full spool: %v", err)
	}
	b.setRefuse(nil)
	drain(t, p)
	counted := int64(0)
	for _, g := range b.gaps() {
		counted += g.Lost
	}
	if want := p.Status().Lost; counted != want || want < int64(lost) {
		t.Errorf("gaps count %d, lost were %d", counted, want)
	}
}

// notes is a sink that fails until it is told otherwise.
type notes struct {
	mu    sync.Mutex
	down  bool
	names map[string]int
	tried chan struct{}
}

func (n *notes) Write(_ context.Context, b tallyman.Batch) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		select {
		case n.tried <- struct{}{}:
		default:
		}
		return errors.New("connection refused")
	}
	for _, r := range b.Records {
		n.names[r.(*tallyman.Transfer).Name]++
	}
	return nil
}

func TestSinkThatIsDownHoldsBackOnlyItself(t *testing.T) {
	dir, b := t.TempDir(), newBooks()
	sink := &notes{down: true, names: map[string]int{}, tried: make(chan struct{}, 1)}
	s, out := openSpool(t, filepath.Join(dir, "spool"), nil), openSpool(t, filepath.Join(dir, "outbox"), nil)
	defer s.Close()
	defer out.Close()
	p := start(t, pipe.Parts{Spool: s, Ledger: b, Outbox: out, Sinks: map[string]tallyman.Sink{"notes": sink}})
	for n := range 100 {
		if err := p.Commit(t.Context(), evidence(n, tallyman.KindClosed)); err != nil {
			t.Fatal(err)
		}
	}
	<-sink.tried
	late := time.After(10 * time.Second)
	for len(b.by(t)) < 100 {
		select {
		case <-b.told:
		case <-late:
			t.Fatal("the ledger waits for the sink")
		}
	}
	sink.mu.Lock()
	sink.down = false
	sink.mu.Unlock()
	drain(t, p)
	if len(sink.names) != 100 {
		t.Errorf("the sink has %d of 100 records", len(sink.names))
	}
}

func BenchmarkRecordShortRead(b *testing.B) {
	s, err := spool.Open(spool.Config{Dir: b.TempDir(), SyncEvery: 20 * time.Millisecond})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	p, err := pipe.Start(b.Context(), pipe.Parts{Host: "lab", Spool: s, Ledger: nothing{newBooks()}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		p.Record(evidence(n, tallyman.KindRequest), evidence(n, tallyman.KindClosed))
	}
	if err := p.Drain(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(p.Status().Lost)/float64(n), "lost/op")
}

// nothing is a ledger that keeps only its mark.
type nothing struct{ *books }

func (n nothing) Write(ctx context.Context, b tallyman.Batch) error {
	b.Records = nil
	select {
	case <-n.told:
	default:
	}
	return n.books.Write(ctx, b)
}
