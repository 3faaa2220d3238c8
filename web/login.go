package web

import (
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"tallyman/web/account"
)

// firstAccount is whom the set-up link logs in.
const firstAccount = "admin"

type credentials struct {
	Name     string `json:"name"`
	Password string `json:"password"`
	Link     string `json:"link"`
}

// Link returns the one-time set-up link, "" when an account has a password or the link is used up. The secret stands behind #, which browsers
// send to nobody.
func (s *Server) Link() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == "" {
		return ""
	}
	return s.URL() + "#setup=" + s.link
}

// takeLink uses the link up.
func (s *Server) takeLink(text string, use func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == "" || !account.SameSecret(text, s.link) {
		return problem(http.StatusForbidden, "the set-up link is used up or mistyped: restart the server for a new one, or set a password with tallyman web user passwd")
	}
	if err := use(); err != nil {
		return err
	}
	s.link = ""
	return nil
}

// getLogin tells the page whom it shows, or how one gets in.
func (s *Server) getLogin(w http.ResponseWriter, r *http.Request) error {
	p, err := s.who(r)
	if err != nil {
		p := problemOf(err)
		writeJSON(w, http.StatusOK, map[string]any{"needs": p.Needs, "text": p.Text, "choose_password": !doorOf(r).loopback})
		return nil
	}
	writeJSON(w, http.StatusOK, p)
	return nil
}

// postLogin opens a session by name and password, or by the set-up link. Off loopback the link asks for a password, which it sets.
func (s *Server) postLogin(w http.ResponseWriter, r *http.Request) error {
	if err := s.takeTry(w, r); err != nil {
		return err
	}
	var c credentials
	if err := readJSON(w, r, &c); err != nil {
		return err
	}
	p, err := s.enter(w, r, c)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, p)
	return nil
}

// takeTry counts a try to log in; the error says how long to wait for the next one.
func (s *Server) takeTry(w http.ResponseWriter, r *http.Request) error {
	wait := s.tries.Wait(remote(r), s.now())
	if wait == 0 {
		return nil
	}
	s.counts.logins.WithLabelValues("limited").Inc()
	w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
	return problem(http.StatusTooManyRequests, "too many tries to log in: wait %d seconds", int(wait/time.Second)+1)
}

// enter opens a session and gives the browser its cookie.
func (s *Server) enter(w http.ResponseWriter, r *http.Request, c credentials) (account.Person, error) {
	name, err := s.admit(doorOf(r), c)
	if err != nil {
		s.counts.logins.WithLabelValues("refused").Inc()
		s.log.Warn("login refused", "client", r.RemoteAddr)
		return account.Person{}, err
	}
	text, err := s.accounts.Begin(name, s.now())
	if err != nil {
		return account.Person{}, err
	}
	s.counts.logins.WithLabelValues("accepted").Inc()
	s.log.Info("login", "user", name, "client", r.RemoteAddr)
	http.SetCookie(w, s.cookie(r, text, account.SessionLife))
	p, _, _ := s.accounts.OfSession(text, s.now())
	return p, nil
}

// admit checks the credentials and returns the account.
func (s *Server) admit(d door, c credentials) (string, error) {
	if c.Link != "" {
		return firstAccount, s.takeLink(c.Link, func() error {
			if c.Password != "" {
				if err := s.accounts.SetPassword(firstAccount, account.Admin, c.Password); err != nil {
					return problem(http.StatusBadRequest, "%v", err)
				}
				return nil
			}
			if !d.loopback {
				return &Problem{
					Status: http.StatusBadRequest, Needs: "password",
					Text: "this page can be reached from other machines: choose a password of at least 10 characters",
				}
			}
			return nil
		})
	}
	s.hashing <- struct{}{} // 19 MiB each: at most two at once
	defer func() { <-s.hashing }()
	if !s.accounts.Check(c.Name, c.Password) {
		return "", &Problem{Status: http.StatusUnauthorized, Needs: "login", Text: "name or password is wrong"}
	}
	return c.Name, nil
}

func (s *Server) postLogout(w http.ResponseWriter, r *http.Request) error {
	if err := s.leave(w, r); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "logged out"})
	return nil
}

// leave ends the session, and takes the cookie back.
func (s *Server) leave(w http.ResponseWriter, r *http.Request) error {
	if c, err := r.Cookie(s.cookieName(doorOf(r))); err == nil {
		if err := s.accounts.End(c.Value); err != nil {
			return err
		}
	}
	http.SetCookie(w, s.cookie(r, "", -time.Second))
	return nil
}

// cookieName carries the port: cookies of one host are shared by all its ports (RFC 6265, section 8.5). The prefix makes browsers insist on Secure
// and on this host.
func (s *Server) cookieName(d door) string {
	name := "tallyman-" + strconv.Itoa(int(s.Addr().Port()))
	if d.tls {
		return "__Host-" + name
	}
	return name
}

func (s *Server) cookie(r *http.Request, text string, life time.Duration) *http.Cookie {
	d := doorOf(r)
	return &http.Cookie{ //nolint:gosec // Secure wherever there is TLS: on plain loopback a browser would not give such a cookie back
		Name: s.cookieName(d), Value: text, Path: "/", MaxAge: int(life / time.Second),
		HttpOnly: true, Secure: d.tls, SameSite: http.SameSiteStrictMode,
	}
}

// remote is the address of the client, the zero Addr when it has none.
func remote(r *http.Request) netip.Addr {
	ap, _ := netip.ParseAddrPort(r.RemoteAddr)
	return ap.Addr()
}
