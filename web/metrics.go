package web

import (
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tallyman"
)

// tally counts what goes by. No label ever holds an address, a name of a file or a name of a person.
type tally struct {
	requests  *prometheus.CounterVec
	logins    *prometheus.CounterVec
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
		requests:  vec("tallyman_web_requests_total", "Requests answered, by route and status.", "route", "status"),
		logins:    vec("tallyman_web_logins_total", "Tries to log in, by result.", "result"),
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

// scrape turns what the parts of the program count into metrics at the moment that somebody asks.
type scrape struct{ s *Server }

// Describe sends nothing: which counters there are is known to the parts alone (an unchecked collector).
func (scrape) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c scrape) Collect(out chan<- prometheus.Metric) {
	sys := c.s.parts.System()
	gauge := func(name, help string, v float64, labels map[string]string) {
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, labels), prometheus.GaugeValue, v)
	}
	gauge("tallyman_build_info", "Constant 1, with the version.", 1, map[string]string{"version": c.s.parts.Version})
	gauge("tallyman_pipe_backlog", "Evidence that is seen and not yet in the ledger.", float64(sys.Backlog), nil)
	gauge("tallyman_web_streams", "Open live streams.", float64(c.s.parts.Feed.viewers()), nil)
	for _, w := range sys.Witnesses {
		up := 0.0
		if w.State == Live {
			up = 1
		}
		gauge("tallyman_source_live", "1 while the witness can see.", up, map[string]string{"witness": w.Name})
	}
	for name, v := range sys.Counters {
		if !metricName(name) {
			continue
		}
		kind := prometheus.GaugeValue
		if strings.HasSuffix(name, "_total") {
			kind = prometheus.CounterValue
		}
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc("tallyman_"+name, "Counted by a part of the program.", nil, nil), kind, float64(v))
	}
}

// metricName accepts lower-case words joined by underscores.
func metricName(name string) bool {
	for _, c := range name {
		if c != '_' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return name != "" && name[0] >= 'a'
}

func (s *Server) metrics() http.Handler {
	reg := prometheus.NewRegistry()
	t := s.parts.Feed.tally
	reg.MustRegister(t.requests, t.logins, t.resyncs, t.slow, t.transfers, t.bytes, scrape{s})
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}
