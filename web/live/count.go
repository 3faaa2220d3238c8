package live

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"tallyman"
)

// tally counts what goes by.
type tally struct {
	resyncs   prometheus.Counter
	slow      prometheus.Counter
	transfers *prometheus.CounterVec
	bytes     *prometheus.CounterVec

	// seen holds the newest transfers that were counted, so that an amendment is not counted twice; at most ringSize, the oldest
	// goes first. The feed's mutex guards it.
	seen  map[tallyman.UUID]struct{}
	order [ringSize]tallyman.UUID
	place int
}

func newTally() *tally {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	one := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	return &tally{
		resyncs:   one("tallyman_web_stream_resyncs_total", "Streams that fell behind and were told to start again."),
		slow:      one("tallyman_web_stream_slow_total", "Streams that were disconnected because the viewer took nothing."),
		transfers: vec("tallyman_transfers_total", "Transfers that ended, by their first verdict.", "proto", "op", "verdict"),
		bytes:     vec("tallyman_transfer_bytes_total", "Payload bytes proven to have moved.", "proto", "op"),
		seen:      make(map[tallyman.UUID]struct{}, ringSize),
	}
}

// protocols is the closed list of label values.
var protocols = []string{"tftp", "ftp", "ftps", "sftp", "local"}

// count counts a transfer when it is first seen ended.
func (t *tally) count(tr *tallyman.Transfer) {
	if tr.Judgement.Verdict <= tallyman.Active || !tr.Merged.IsZero() {
		return
	}
	if _, again := t.seen[tr.ID]; again {
		return
	}
	delete(t.seen, t.order[t.place])
	t.order[t.place] = tr.ID
	t.place = (t.place + 1) % len(t.order)
	t.seen[tr.ID] = struct{}{}
	proto := "other"
	if slices.Contains(protocols, tr.Proto) {
		proto = tr.Proto
	}
	t.transfers.WithLabelValues(proto, tr.Op.String(), tr.Judgement.Verdict.String()).Inc()
	if tr.Bytes > 0 {
		t.bytes.WithLabelValues(proto, tr.Op.String()).Add(float64(tr.Bytes))
	}
}

// Collectors are the metrics of the feed.
func (f *Feed) Collectors() []prometheus.Collector {
	return []prometheus.Collector{f.tally.resyncs, f.tally.slow, f.tally.transfers, f.tally.bytes}
}
