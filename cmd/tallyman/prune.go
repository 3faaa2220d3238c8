package main

import (
	"context"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/ledger/sqlstore"
)

// pruneEvery is how often a running server prunes; the first time comes soon after the start.
const (
	pruneEvery = time.Hour
	pruneFirst = time.Minute
)

// prune takes away what is too old until ctx ends. Each pruning that took something away is a record.
func (h *house) prune(ctx context.Context) {
	next := time.NewTimer(pruneFirst)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		keep := keepOf(h.current(), time.Now())
		h.boundByDisk(&keep)
		done, err := h.ledger.Prune(ctx, keep)
		if err != nil && ctx.Err() == nil {
			h.log.Error("ledger not pruned", "err", err)
		}
		if !done.IsZero() {
			h.order(pruned(done))
			h.log.Info("ledger pruned", "transfers", done.Transfers, "evidence", done.Evidence, "events", done.Events)
		}
		next.Reset(pruneEvery)
	}
}

// warm asks what the page asks first, so that the ledger has the counts of the last days in memory when somebody looks.
func (h *house) warm(ctx context.Context) {
	for _, by := range []string{"hour", "client", "file"} {
		if _, err := h.ledger.Stats(ctx, tallyman.StatsQuery{By: by, From: time.Now().AddDate(0, 0, -30)}); err != nil && ctx.Err() == nil {
			h.log.Warn("counts not read ahead", "by", by, "err", err)
		}
	}
}

// boundByDisk lowers the size that the ledger may take, when less than keep.min_free is left on its disk: by what is missing.
func (h *house) boundByDisk(keep *sqlstore.Keep) {
	var st unix.Statfs_t
	if err := unix.Statfs(h.state, &st); err != nil {
		h.log.Warn("free space of the state folder not known", "err", err)
		return
	}
	free, want := st.Bavail*uint64(st.Bsize), h.current().Keep.MinFree.Of(st.Blocks*uint64(st.Bsize))
	if free >= want {
		return
	}
	status, err := h.ledger.Status(context.Background())
	if err != nil {
		h.log.Warn("size of the ledger not known", "err", err)
		return
	}
	most := max(status.Used-int64(want-free), 1<<20)
	if keep.MaxSize == 0 || most < keep.MaxSize {
		keep.MaxSize = most
		h.log.Warn("the disk of the state folder is nearly full: old records go", "free", tallyman.Count(int64(free)), "min_free", tallyman.Count(int64(want)))
	}
}
