package web

import (
	"errors"
	"net/http"
	"time"

	"tallyman/web/ask"
	"tallyman/web/live"
)

// patience is how long a viewer may take nothing of a stream or an export before it is disconnected.
const patience = 15 * time.Second

// getStream sends records as they come.
func (s *Server) getStream(w http.ResponseWriter, r *http.Request) error {
	where, err := ask.Where(r.URL.Query().Get("q"), s.parts.Parse, s.now())
	if err != nil {
		return err
	}
	last, err := ask.Limit(r.URL.Query().Get("last"), 0)
	if err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", "text/event-stream")
		return nil
	}
	err = s.parts.Feed.Serve(w, r, live.Stream{
		Where: where, Last: uint64(last), Match: s.parts.Match, Ledger: s.parts.Ledger, System: func() any { return s.system() },
		Allowed: func() error { _, err := s.who(r); return err }, Now: s.now, Patience: s.patience,
	})
	if errors.Is(err, live.ErrFull) {
		return problem(http.StatusServiceUnavailable, "%v", err)
	}
	s.log.Debug("live stream ended", "err", err)
	return nil
}
