package web

import (
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// counters are what this room counts. No label of a metric ever holds an address, a name of a file or a name of a person.
type counters struct {
	requests *prometheus.CounterVec
	logins   *prometheus.CounterVec
}

func newCounters() counters {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	return counters{
		requests: vec("tallyman_web_requests_total", "Requests answered, by route and status.", "route", "status"),
		logins:   vec("tallyman_web_logins_total", "Tries to log in, by result.", "result"),
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
	gauge("tallyman_web_streams", "Open live streams.", float64(c.s.parts.Feed.Viewers()), nil)
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
	reg.MustRegister(s.counts.requests, s.counts.logins, scrape{s})
	reg.MustRegister(s.parts.Feed.Collectors()...)
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}
