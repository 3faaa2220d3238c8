package web

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tallyman"
	"tallyman/query"
	"tallyman/web/live"
)

// memory is a ledger that forgets when the test ends.
type memory struct {
	mu        sync.Mutex
	transfers map[tallyman.UUID]*tallyman.Transfer
	others    []tallyman.Record
	fail      error // what every question is answered with
	failAfter int   // with fail: so many rows come first
	asked     []tallyman.Query
}

func newMemory() *memory { return &memory{transfers: map[tallyman.UUID]*tallyman.Transfer{}} }

func (m *memory) Write(_ context.Context, b tallyman.Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range b.Records {
		t, ok := r.(*tallyman.Transfer)
		if !ok {
			m.others = append(m.others, r)
			continue
		}
		if old := m.transfers[t.ID]; old == nil || old.Rev < t.Rev {
			m.transfers[t.ID] = t
		}
	}
	return nil
}

func (m *memory) Committed(context.Context, tallyman.Agent) (tallyman.ID, error) {
	return tallyman.ID{}, nil
}

func (m *memory) Transfers(_ context.Context, q tallyman.Query) iter.Seq2[*tallyman.Transfer, error] {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, q)
	var found []*tallyman.Transfer
	for _, t := range m.transfers {
		c := tallyman.Cursor{At: t.Start, ID: t.ID}
		switch {
		case !t.Merged.IsZero(), q.Where != nil && !query.Match(q.Where, t):
		case !q.From.IsZero() && t.Start.Before(q.From), !q.To.IsZero() && !t.Start.Before(q.To):
		case !q.After.IsZero() && later(c, q.After) >= 0:
		default:
			slim := *t
			slim.Evidence = nil
			found = append(found, &slim)
		}
	}
	slices.SortFunc(found, func(a, b *tallyman.Transfer) int {
		return -later(tallyman.Cursor{At: a.Start, ID: a.ID}, tallyman.Cursor{At: b.Start, ID: b.ID})
	})
	if q.Limit > 0 && len(found) > q.Limit {
		found = found[:q.Limit]
	}
	fail, after := m.fail, m.failAfter
	return func(yield func(*tallyman.Transfer, error) bool) {
		for i, t := range found {
			if fail != nil && i >= after {
				break
			}
			if !yield(t, nil) {
				return
			}
		}
		if fail != nil {
			yield(nil, fail)
		}
	}
}

// later orders places in a list.
func later(a, b tallyman.Cursor) int {
	return cmp.Or(a.At.Compare(b.At), a.ID.Compare(b.ID))
}

func (m *memory) Transfer(_ context.Context, id tallyman.UUID) (*tallyman.Transfer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return nil, m.fail
	}
	if t := m.transfers[id]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("read transfer: %w", tallyman.ErrNotFound)
}

func (m *memory) Events(_ context.Context, q tallyman.Query) iter.Seq2[tallyman.Record, error] {
	m.mu.Lock()
	others := slices.Clone(m.others)
	m.mu.Unlock()
	slices.Reverse(others)
	return func(yield func(tallyman.Record, error) bool) {
		left := q.Limit
		for _, r := range others {
			c := place(r)
			if !q.From.IsZero() && c.At.Before(q.From) || !q.After.IsZero() && later(c, q.After) >= 0 || !query.MatchRecord(q.Where, r) {
				continue
			}
			if left--; !yield(r, nil) || left == 0 {
				return
			}
		}
	}
}

func (m *memory) Stats(_ context.Context, q tallyman.StatsQuery) ([]tallyman.Stat, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return nil, m.fail
	}
	rows := map[string]*tallyman.Stat{}
	for _, t := range m.transfers {
		if t.Start.Before(q.From.Truncate(time.Hour)) {
			continue
		}
		key := map[string]string{
			"hour": t.Start.Truncate(time.Hour).Format(time.RFC3339), "verdict": t.Judgement.Verdict.String(), "proto": t.Proto,
			"host": t.Host, "client": t.Client.Addr().String(), "file": t.Name,
		}[q.By]
		row := rows[key]
		if row == nil {
			row = &tallyman.Stat{Key: key, Verdicts: map[tallyman.Verdict]int64{}}
			rows[key] = row
		}
		row.Transfers++
		row.Verdicts[t.Judgement.Verdict]++
		row.Bytes += max(0, t.Bytes)
	}
	out := make([]tallyman.Stat, 0, len(rows))
	for _, row := range rows {
		out = append(out, *row)
	}
	slices.SortFunc(out, func(a, b tallyman.Stat) int { return strings.Compare(a.Key, b.Key) })
	if q.Limit > 0 && len(out) > q.Limit {
		out = out[:q.Limit]
	}
	return out, nil
}

// begun is the first moment of the tests' records.
var begun = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// made is the n-th of a series of records, a second apart: a complete read of file-n.
func made(n int) *tallyman.Transfer {
	start := begun.Add(time.Duration(n) * time.Second)
	client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 20, 0, byte(n%200 + 1)}), 40000)
	server := netip.MustParseAddrPort("10.20.0.254:6969")
	t := &tallyman.Transfer{
		ID: tallyman.DrawUUID(start, tallyman.ID{Seq: uint64(n + 1)}), Rev: 1, Start: start, End: start.Add(12 * time.Millisecond), Seen: start,
		Host: "lab-tftp-01", Proto: "tftp", Op: tallyman.OpGet, Client: client, Server: server, Name: fmt.Sprintf("file-%d", n),
		Expected: 1000, Bytes: 1000, Content: tallyman.Full, Details: `{"block_size":512}`,
		Digest:    tallyman.Digest("sha256:" + strings.Repeat("ab", 32)),
		Judgement: tallyman.Judgement{Verdict: tallyman.Complete, Reason: tallyman.FinalAck, For: []string{"server"}},
	}
	request, closed := tallyman.Unknown(), tallyman.Unknown()
	request.Time, request.Witness, request.Kind, request.Op, request.Name = start, "server", tallyman.KindRequest, t.Op, t.Name
	request.Raw = `00 01 66 69 6c 65`
	closed.Time, closed.Witness, closed.Kind, closed.Reason, closed.Moved = t.End, "server", tallyman.KindClosed, tallyman.FinalAck, t.Bytes
	t.Evidence = []tallyman.Evidence{request, closed}
	return t
}

// judged is the record with another end.
func judged(t *tallyman.Transfer, v tallyman.Verdict, r tallyman.Reason) *tallyman.Transfer {
	t.Judgement.Verdict, t.Judgement.Reason = v, r
	if v == tallyman.Active {
		t.End = time.Time{}
	}
	return t
}

func give(t testing.TB, s tallyman.Sink, records ...tallyman.Record) {
	t.Helper()
	if err := s.Write(t.Context(), tallyman.Batch{Records: records}); err != nil {
		t.Fatal(err)
	}
}

// orders notes what it was told.
type orders struct {
	stopped, reloaded int
	err               error
}

func (o *orders) Stop(context.Context) error { o.stopped++; return o.err }

func (o *orders) Reload(context.Context) ([]string, error) {
	o.reloaded++
	return []string{"web.listen"}, o.err
}

// allLive is what a program says when nothing is wrong.
func allLive() System {
	return System{
		Witnesses: []Witness{{Name: "server", State: Live, Since: begun}},
		Listeners: []Listener{{Proto: "tftp", Addr: "127.0.0.1:6969", State: Live, Root: "/srv/tftp"}},
		Spool:     Store{State: Live}, Ledger: Store{State: Live}, Counters: map[string]int64{"tftp_packets_total": 7},
	}
}

// newServer fills in the parts that a test does not care about.
func newServer(t testing.TB, cfg Config, p Parts) *Server {
	t.Helper()
	p.Name, p.Version, p.Log, p.Parse, p.Match = "lab-tftp-01", "test", slog.New(slog.DiscardHandler), query.Parse, query.Match
	if p.State == "" {
		p.State = t.TempDir()
	}
	if p.Ledger == nil {
		p.Ledger = newMemory()
	}
	if p.Feed == nil {
		p.Feed = live.NewFeed()
	}
	if p.System == nil {
		p.System = allLive
	}
	if p.Orders == nil {
		p.Orders = &orders{}
	}
	s, err := New(cfg, p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// startServer opens its doors on loopback and serves until ctx or the test ends.
func startServer(t testing.TB, ctx context.Context, p Parts) *Server {
	t.Helper()
	s := newServer(t, Config{Listen: "127.0.0.1:0"}, p)
	run(t, ctx, s)
	return s
}

func run(t testing.TB, ctx context.Context, s *Server) {
	t.Helper()
	if err := s.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}
