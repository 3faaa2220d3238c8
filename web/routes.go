package web

import (
	"net/http"
	"strconv"
)

// right is what a route asks of the caller.
type right uint8

const (
	open  right = iota // nothing
	see                // to be logged in
	order              // to be operator or admin
	ours               // nothing but that no other site sent it: log in, log out
	form               // the same, for a form of the page without JavaScript
)

// route is one row of the API. The table makes the routing, the checks, the metric labels and the OpenAPI text.
type route struct {
	method, path string
	summary      string
	query        []string // names of queryText
	kind         string   // of the answer, when it is not JSON
	needs        right
	serve        func(http.ResponseWriter, *http.Request) error
}

const api = "/api/v1"

// queryText says what each parameter means.
var queryText = map[string]string{
	"q":     "filter in the query language, as in verdict:failed client:10.20.0.0/16 -file:*.tmp",
	"from":  "start of the time: RFC 3339, a date, now, now-24h (units s m h d w)",
	"to":    "end of the time, not included",
	"limit": "records a page, 1 to 1000",
	"after": "the \"next\" of the page before",
	"day":   "a UTC day, as in 2026-11-20",
	"by":    "hour, verdict, proto, host, client or file",
	"last":  "begin with so many of the newest records, at most 1000",
}

func (s *Server) routes() []route {
	list := []string{"q", "from", "to", "limit", "after"}
	export := []string{"q", "from", "to", "after"}
	counts := []string{"from", "to", "limit"}
	return []route{
		{"GET", api + "/transfers", "Transfers, newest first", list, "", see, s.getTransfers},
		{"GET", api + "/transfers/{id}", "One transfer with its evidence, the verdict as a sentence, what each witness says alone, and the evidence that was missing", nil, "", see, s.getTransfer},
		{"GET", api + "/transfers.csv", "All transfers that the filter shows, as CSV", export, "text/csv", see, s.getCSV},
		{"GET", api + "/transfers.ndjson", "All transfers that the filter shows, one JSON object a line", export, "application/x-ndjson", see, s.getNDJSON},
		{"GET", api + "/events", "Events, newest first", list, "", see, s.getEvents},
		{"GET", api + "/gaps", "Gaps: when a witness could not see, newest first", list, "", see, s.getGaps},
		{"GET", api + "/findings", "Findings of the rules, newest first", list, "", see, s.getFindings},
		{"GET", api + "/stats", "Counts from roll-ups; the last 24 hours without from", append([]string{"by"}, counts...), "", see, s.getStats},
		{"GET", api + "/files", "Counts by file", counts, "", see, s.getFiles},
		{"GET", api + "/clients", "Counts by client", counts, "", see, s.getClients},
		{"GET", api + "/words", "The closed lists: verdicts with their outcome, reasons with what they mean", nil, "", see, s.getWords},
		{"GET", api + "/services", "The addresses on which this program serves, and the servers of others that it watches, with what each witness proves of them", nil, "", see, s.getServices},
		{"GET", api + "/mounts", "What is mounted now, and the folders that cloud clients keep in step, with class and device", nil, "", see, s.getMounts},
		{"GET", api + "/system", "How the parts of the program are doing", nil, "", see, s.getSystem},
		{"GET", api + "/stream", "Live records as server-sent events, resumable by Last-Event-ID", []string{"q", "last"}, "text/event-stream", see, s.getStream},
		{"GET", api + "/ledger", "How large the ledger is", nil, "", see, s.getLedger},
		{"GET", api + "/ledger/recount", "The roll-ups of a UTC day beside a count of its records", []string{"day"}, "", see, s.getRecount},
		{"POST", api + "/ledger/backup", "A copy of the ledger as of one moment", nil, "application/vnd.sqlite3", order, s.postBackup},
		{"POST", api + "/stop", "Drain and stop: no new transfers, running ones may end", nil, "", order, s.postStop},
		{"POST", api + "/reload", "Read the configuration again; the old one stands if the new is invalid", nil, "", order, s.postReload},
		{"GET", api + "/login", "Who is logged in, or how one gets in", nil, "", open, s.getLogin},
		{"POST", api + "/login", "Log in by name and password, or by the set-up link", nil, "", ours, s.postLogin},
		{"POST", api + "/logout", "End the session", nil, "", ours, s.postLogout},
		{"GET", api + "/openapi.json", "This description", nil, "", open, s.getOpenAPI},
		{"GET", "/healthz", "The process answers", nil, "", open, s.getHealth},
		{"GET", "/readyz", "Every part that is switched on works; 503 names those that do not", nil, "", open, s.getReady},
	}
}

// mux makes the handler of one door.
func (s *Server) mux(d door) http.Handler {
	m := http.NewServeMux()
	for _, rt := range append(s.routes(), s.plainRoutes()...) {
		m.Handle(rt.method+" "+rt.path, s.through(rt))
	}
	scrape := s.metrics()
	needs := see
	if d.loopback {
		needs = open
	}
	m.Handle("GET /metrics", s.through(route{path: "/metrics", needs: needs, serve: func(w http.ResponseWriter, r *http.Request) error {
		scrape.ServeHTTP(w, r)
		return nil
	}}))
	m.Handle("/", s.through(route{path: "/", needs: open, serve: s.getPage}))
	return s.guard(d, m)
}

// through checks the right, calls the route, maps its error and counts the answer.
func (s *Server) through(rt route) http.Handler {
	return http.HandlerFunc(func(to http.ResponseWriter, r *http.Request) {
		w := &counted{ResponseWriter: to}
		defer func() {
			s.counts.requests.WithLabelValues(rt.path, strconv.Itoa(w.status)).Inc()
		}()
		err := s.allow(rt.needs, r)
		if err == nil {
			err = rt.serve(w, r)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	})
}

func (s *Server) allow(needs right, r *http.Request) error {
	switch needs {
	case open:
		return nil
	case form:
		return s.ownSite(r)
	case ours:
		return s.ours(r)
	case order:
		if err := s.ours(r); err != nil {
			return err
		}
	case see:
	}
	p, err := s.who(r)
	if err == nil && needs == order && !p.Role.MayOrder() {
		err = problem(http.StatusForbidden, "%s may look but give no orders: that needs the role operator", p.Name)
	}
	return err
}
