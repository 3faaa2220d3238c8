package main

import (
	"context"
	"log/slog"
	"time"

	"tallyman"
	"tallyman/cmd/tallyman/watch"
	"tallyman/witness"
)

// lanes returns what gives each witness of a transfer its lane: from its evidence, from who watched then, and from the gaps of that time.
func lanes(state string, ledger tallyman.Ledger, log *slog.Logger) func(context.Context, *tallyman.Transfer) []tallyman.Lane {
	return func(ctx context.Context, t *tallyman.Transfer) []tallyman.Lane {
		w, err := watch.Then(state, t)
		if err != nil {
			log.Warn("who watched then is not known", "err", err)
		}
		if w.Gaps, err = gapsOf(ctx, ledger, t); err != nil {
			log.Warn("gaps of the time of a transfer are not known", "err", err)
		}
		return witness.Lanes(t, &w)
	}
}

// A gap is looked for until so long after a transfer: it is recorded at its end. So many are looked at.
const (
	gapsUntil = 30 * 24 * time.Hour
	gapsRead  = 1000
)

// gapsOf returns the gaps of the transfer's host that lie over its time.
func gapsOf(ctx context.Context, ledger tallyman.Ledger, t *tallyman.Transfer) (out []*tallyman.Gap, err error) {
	end := t.End
	if end.IsZero() {
		end = time.Now()
	}
	q := tallyman.Query{
		From: t.Start, To: end.Add(gapsUntil), Limit: gapsRead, Where: tallyman.Term{Field: tallyman.FieldKind, Cmp: tallyman.Equal, Text: "gap"},
	}
	for r, err := range ledger.Events(ctx, q) {
		if err != nil {
			return out, err
		}
		if g, ok := r.(*tallyman.Gap); ok && g.Host == t.Host && g.From.Before(end) {
			out = append(out, g)
		}
	}
	return out, nil
}
