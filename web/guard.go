package web

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"tallyman/web/account"
)

// door is where a request came in.
type door struct {
	socket   bool // the unix socket: its file mode has decided already
	loopback bool // only this machine can reach it
	tls      bool
}

type doorKey struct{}

func doorOf(r *http.Request) door {
	d, _ := r.Context().Value(doorKey{}).(door)
	return d
}

// guard sets the headers that hold for every answer and refuses names that are not ours: a page of another site that made its own name point
// here (DNS rebinding) gets 421.
func (s *Server) guard(d door, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if !d.socket && !s.hostAllowed(r) {
			writeJSON(w, http.StatusMisdirectedRequest, problem(http.StatusMisdirectedRequest,
				"the name %q is not one of this server's: add it to web.hosts", r.Host))
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), doorKey{}, d)))
	})
}

// hostAllowed accepts loopback, the configured name, the listed names, and the very address that the connection came in by: a site that
// points its own name here cannot put an address into the Host header.
func (s *Server) hostAllowed(r *http.Request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if host == "localhost" || host == strings.ToLower(s.parts.Name) && host != "" {
		return true
	}
	for _, h := range *s.hosts.Load() {
		if host == strings.ToLower(h) {
			return true
		}
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	if ip.IsLoopback() {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && local.AddrPort().Addr().Unmap() == ip.Unmap()
}

// who says who asks; the error is 401 and says how to get in.
func (s *Server) who(r *http.Request) (account.Person, error) {
	d := doorOf(r)
	if d.socket {
		return account.Person{Name: "local", Role: account.Admin}, nil
	}
	if text, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		if p, ok := s.accounts.OfToken(text); ok {
			return p, nil
		}
		return account.Person{}, problem(http.StatusUnauthorized, "the token is unknown: make a new one with tallyman web token")
	}
	needs := &Problem{Status: http.StatusUnauthorized, Text: "not logged in: open the set-up link that the server printed at its start", Needs: "link"}
	if s.accounts.Locked() {
		needs = &Problem{Status: http.StatusUnauthorized, Text: "not logged in: log in with name and password, or send a token", Needs: "login"}
	}
	c, err := r.Cookie(s.cookieName(d))
	if err != nil {
		return account.Person{}, needs
	}
	p, hasPassword, ok := s.accounts.OfSession(c.Value, s.now())
	if !ok || !hasPassword && !d.loopback {
		return account.Person{}, needs
	}
	return p, nil
}

// ownSite refuses what another site made a browser send. Programs with a token carry no ambient right that could be abused.
func (s *Server) ownSite(r *http.Request) error {
	if program(r) {
		return nil
	}
	if err := s.cross.Check(r); err != nil {
		return problem(http.StatusForbidden, "another site sent this request: %v", err)
	}
	return nil
}

func program(r *http.Request) bool {
	return doorOf(r).socket || strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ")
}

// ours refuses orders that no page of ours sends: those of other sites, and, for browsers that do not say where a request comes from, all
// that a form could send.
func (s *Server) ours(r *http.Request) error {
	if err := s.ownSite(r); err != nil || program(r) {
		return err
	}
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if strings.TrimSpace(kind) != "application/json" && r.Header.Get("X-Tallyman") == "" {
		return problem(http.StatusForbidden, "an order needs Content-Type: application/json or the header X-Tallyman: 1, so that no form of another site can send it")
	}
	return nil
}
