package rule

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tallyman"
)

// plaintext finds logins whose password everybody on the way could read: once a user, host and day (UTC), whoever saw it.
type plaintext struct{ told }

// day is the time within which a login is told of once. The key names the day, so that a login of the next one is told.
const day = 24 * time.Hour

func newPlaintext(cfg Config) detector {
	cfg.Quiet = day
	return &plaintext{newTold(cfg)}
}

// clearText opens the text of such a login, of our own server (source/ftp) and of packets (source/wire). A log says nothing of the kind.
const clearText = "password in clear text"

func (p *plaintext) take(r tallyman.Record) (found, bool) {
	e, ok := r.(*tallyman.Event)
	if !ok || e.Kind != tallyman.KindLogin.String() || !strings.HasPrefix(e.Text, clearText) || !slices.Contains([]string{"server", "wire"}, e.Witness) || nobody(e) {
		return found{}, false
	}
	user := tallyman.Escape(e.User)
	remedy := "let its clients use TLS or SFTP"
	if e.Witness == "server" {
		remedy = "set serve.ftp.tls to required, or use SFTP"
	}
	return p.find(e, user+" on "+e.Host+" "+e.At.UTC().Format(time.DateOnly),
		fmt.Sprintf("%s logged in from %s, and everybody on the way could read the password: %s", user, e.Client.Addr().Unmap(), remedy))
}

// nobody reports whether the password is none: anonymous asks for an address by courtesy (RFC 1635). Of our own server ftp may be somebody.
func nobody(e *tallyman.Event) bool {
	return e.User == "" || strings.EqualFold(e.User, "anonymous") || e.Witness != "server" && strings.EqualFold(e.User, "ftp")
}
