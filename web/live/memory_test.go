package live

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"tallyman"
)

// memory is a ledger of which a stream reads what began since a time, newest first.
type memory struct {
	tallyman.Ledger // a stream asks for nothing else

	mu        sync.Mutex
	transfers []*tallyman.Transfer
	others    []tallyman.Record
}

func (m *memory) Write(_ context.Context, b tallyman.Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range b.Records {
		t, ok := r.(*tallyman.Transfer)
		if !ok {
			m.others = append(m.others, r)
			continue
		}
		m.transfers = slices.DeleteFunc(m.transfers, func(old *tallyman.Transfer) bool { return old.ID == t.ID })
		m.transfers = append(m.transfers, t)
	}
	return nil
}

func (m *memory) Transfers(_ context.Context, q tallyman.Query) iter.Seq2[*tallyman.Transfer, error] {
	m.mu.Lock()
	found := slices.DeleteFunc(slices.Clone(m.transfers), func(t *tallyman.Transfer) bool { return t.Start.Before(q.From) })
	m.mu.Unlock()
	slices.SortFunc(found, func(a, b *tallyman.Transfer) int { return b.Start.Compare(a.Start) })
	return each(found, q.Limit)
}

func (m *memory) Events(_ context.Context, q tallyman.Query) iter.Seq2[tallyman.Record, error] {
	m.mu.Lock()
	defer m.mu.Unlock()
	return each(slices.Clone(m.others), q.Limit)
}

func each[T any](all []T, most int) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, one := range all[:min(most, len(all))] {
			if !yield(one, nil) {
				return
			}
		}
	}
}

// begun is the first moment of the tests' records.
var begun = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// made is the n-th of a series of records, a second apart: a complete read of file-n.
func made(n int) *tallyman.Transfer {
	start := begun.Add(time.Duration(n) * time.Second)
	closed := tallyman.Unknown()
	closed.Time, closed.Witness, closed.Kind = start, "server", tallyman.KindClosed
	return &tallyman.Transfer{
		ID: tallyman.DrawUUID(start, tallyman.ID{Seq: uint64(n + 1)}), Rev: 1, Start: start, End: start.Add(12 * time.Millisecond), Seen: start,
		Host: "lab-tftp-01", Proto: "tftp", Op: tallyman.OpGet, Client: netip.MustParseAddrPort("10.20.0.1:40000"), Name: fmt.Sprintf("file-%d", n), Bytes: 1000,
		Judgement: tallyman.Judgement{Verdict: tallyman.Complete, Reason: tallyman.FinalAck, For: []string{"server"}}, Evidence: []tallyman.Evidence{closed},
	}
}

// judged is the record with another end.
func judged(t *tallyman.Transfer, v tallyman.Verdict, r tallyman.Reason) *tallyman.Transfer {
	t.Judgement.Verdict, t.Judgement.Reason = v, r
	if v == tallyman.Active {
		t.End = time.Time{}
	}
	return t
}

func event(n int) *tallyman.Event {
	at := begun.Add(time.Duration(n) * time.Minute)
	return &tallyman.Event{ID: tallyman.DrawUUID(at, tallyman.ID{Seq: uint64(n)}), At: at, Host: "lab", Witness: "pipe", Kind: "order", Text: "reload"}
}

func gap(n int) *tallyman.Gap {
	to := begun.Add(time.Duration(n) * time.Minute)
	return &tallyman.Gap{ID: tallyman.DrawUUID(to, tallyman.ID{Seq: uint64(n)}), Host: "lab", Witness: "log", From: to.Add(-time.Second), To: to, Lost: -1, Why: "journal rotated"}
}

func give(t testing.TB, s tallyman.Sink, records ...tallyman.Record) {
	t.Helper()
	if err := s.Write(t.Context(), tallyman.Batch{Records: records}); err != nil {
		t.Fatal(err)
	}
}
