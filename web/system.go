package web

import (
	"context"
	"net/http"
	"time"
)

// State is how a part of the program is doing.
type State string

// The states. Live and Off are as they should be.
const (
	Live     State = "live"     // it works
	Starting State = "starting" // it will
	Blind    State = "blind"    // it runs and cannot see all: Text says why
	Broken   State = "failed"   // it does not run: Text says why and what to do
	Off      State = "off"      // the configuration switched it off
)

// Witness is one source by the name that it signs with.
type Witness struct {
	Name  string    `json:"name"`
	State State     `json:"state"`
	Since time.Time `json:"since,omitzero"`
	Text  string    `json:"text,omitempty"`
}

// Listener is one address on which the program serves.
type Listener struct {
	Proto string    `json:"proto"`
	Addr  string    `json:"addr"`           // as bound
	Root  string    `json:"root,omitempty"` // the served folder
	Write string    `json:"write,omitempty"`
	State State     `json:"state"`
	Since time.Time `json:"since,omitzero"`
	Text  string    `json:"text,omitempty"`
	Try   string    `json:"try,omitempty"` // a command to paste, as in curl -T hello.txt tftp://10.20.0.5/
}

// Watched is a server of somebody else that is watched.
type Watched struct {
	Server  string    `json:"server"` // tftpd-hpa
	Proto   string    `json:"proto"`
	PID     int32     `json:"pid"`
	Program string    `json:"program,omitempty"`
	Unit    string    `json:"unit,omitempty"`
	By      string    `json:"by,omitempty"`   // who starts it for each connection: inetd, xinetd, systemd; pid is then its
	Since   time.Time `json:"since,omitzero"` // its start
	Ended   bool      `json:"ended,omitempty"`
	Addrs   []string  `json:"addrs,omitempty"` // where it listens
	Roots   []string  `json:"roots,omitempty"`
	Logs    []string  `json:"logs,omitempty"`
	Proof   string    `json:"proof,omitempty"` // what all witnesses prove together
	Doubts  []string  `json:"doubts,omitempty"`
	Cover   []Cover   `json:"cover,omitempty"`
}

// Mount is a place where something is mounted, or a folder that a cloud client keeps in step. Device is one line; what is not known is absent.
type Mount struct {
	Path     string    `json:"path"`
	ToClass  string    `json:"to_class"` // local, removable, network, cloud
	Device   string    `json:"device,omitempty"`
	Vendor   string    `json:"vendor,omitempty"`
	Model    string    `json:"model,omitempty"`
	Serial   string    `json:"serial,omitempty"`
	Label    string    `json:"label,omitempty"`
	Share    string    `json:"share,omitempty"`
	Provider string    `json:"provider,omitempty"`
	Account  string    `json:"account,omitempty"`
	FS       string    `json:"fs,omitempty"`
	Source   string    `json:"source,omitempty"`
	ReadOnly bool      `json:"read_only,omitempty"`
	Folder   bool      `json:"folder,omitempty"`
	User     string    `json:"user,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	Why      string    `json:"why,omitempty"` // how the class was found out
}

// Cover is what one witness can say of a server that is watched.
type Cover struct {
	Witness string `json:"witness"`
	State   State  `json:"state"`
	Proves  string `json:"proves"`          // or why it sees nothing
	Lacks   string `json:"lacks,omitempty"` // what it does not see
	More    string `json:"more,omitempty"`  // what would prove more
}

// Store is how spool or ledger are doing.
type Store struct {
	State State  `json:"state"`
	Text  string `json:"text,omitempty"`
	Bytes int64  `json:"bytes,omitempty"`
	Limit int64  `json:"limit,omitempty"`
}

// System is what the parts of the program say about themselves. Name, Version, Started and Streams are filled in by this room.
type System struct {
	Name      string           `json:"name"`
	Version   string           `json:"version"`
	Started   time.Time        `json:"started"`
	UptimeS   int64            `json:"uptime_s"`
	Witnesses []Witness        `json:"witnesses"`
	Listeners []Listener       `json:"listeners"`
	Watched   []Watched        `json:"watched,omitempty"`
	Backlog   int64            `json:"backlog"` // evidence that is seen and not yet in the ledger
	Spool     Store            `json:"spool"`
	Ledger    Store            `json:"ledger"`
	Streams   int              `json:"streams"`
	Counters  map[string]int64 `json:"counters"` // room_noun_total; others are gauges
}

// Orders are what a person may tell the program. Stop returns once the drain has begun. Reload returns the keys that need a restart; an error
// means that the old configuration stands.
type Orders interface {
	Stop(ctx context.Context) error
	Reload(ctx context.Context) (needRestart []string, err error)
}

func (s *Server) system() System {
	sys := s.parts.System()
	sys.Name, sys.Version, sys.Started = s.parts.Name, s.parts.Version, s.started
	sys.UptimeS = int64(s.now().Sub(s.started) / time.Second)
	sys.Streams = s.parts.Feed.Viewers()
	if sys.Witnesses == nil {
		sys.Witnesses = []Witness{}
	}
	if sys.Listeners == nil {
		sys.Listeners = []Listener{}
	}
	return sys
}

func (s *Server) getSystem(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, s.system())
	return nil
}

func (s *Server) getServices(w http.ResponseWriter, _ *http.Request) error {
	sys := s.system()
	if sys.Watched == nil {
		sys.Watched = []Watched{}
	}
	writeJSON(w, http.StatusOK, map[string]any{"services": sys.Listeners, "watched": sys.Watched})
	return nil
}

// getMounts lists what is mounted now. A server that does not watch mounts has none.
func (s *Server) getMounts(w http.ResponseWriter, _ *http.Request) error {
	list := []Mount{}
	if s.parts.Mounts != nil {
		list = append(list, s.parts.Mounts()...)
	}
	writeJSON(w, http.StatusOK, map[string]any{"mounts": list})
	return nil
}

// getHealth says that the process answers, and nothing else.
func (s *Server) getHealth(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
	return nil
}

// getReady says whether every part that is switched on works; reasons name those that do not. It is open to all, so it names parts, not why.
func (s *Server) getReady(w http.ResponseWriter, _ *http.Request) error {
	sys := s.system()
	reasons := []string{}
	check := func(what string, state State) {
		if state != Live && state != Off {
			reasons = append(reasons, what+" is "+string(state))
		}
	}
	check("spool", sys.Spool.State)
	check("ledger", sys.Ledger.State)
	for _, x := range sys.Witnesses {
		check("witness "+x.Name, x.State)
	}
	for _, l := range sys.Listeners {
		check("listener "+l.Proto, l.State)
	}
	status := http.StatusOK
	if len(reasons) > 0 {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, map[string]any{"ready": len(reasons) == 0, "reasons": reasons})
	return nil
}

func (s *Server) postStop(w http.ResponseWriter, r *http.Request) error {
	if err := s.parts.Orders.Stop(r.Context()); err != nil {
		return problem(http.StatusConflict, "stop: %v", err)
	}
	writeJSON(w, http.StatusAccepted, map[string]string{"status": "draining: no new transfers, running ones may end"})
	return nil
}

func (s *Server) postReload(w http.ResponseWriter, r *http.Request) error {
	keys, err := s.parts.Orders.Reload(r.Context())
	if err != nil {
		return problem(http.StatusUnprocessableEntity, "the old configuration stands: %v", err)
	}
	if keys == nil {
		keys = []string{}
	}
	writeJSON(w, http.StatusOK, map[string]any{"status": "reloaded", "need_restart": keys})
	return nil
}
