package engine

import (
	"strings"
	"time"

	"tallyman"
	"tallyman/source/ftp/command"
)

func (m *Machine) doUser(c command.Command) {
	switch {
	case m.loggedIn:
		m.reply(503, "You are logged in already: QUIT first")
	case c.Arg == "":
		m.reply(501, "USER needs a name")
	default:
		m.asking = c.Arg
		m.reply(331, "Password, please")
	}
}

func (m *Machine) doPass(c command.Command) {
	switch {
	case m.loggedIn:
		m.reply(503, "You are logged in already")
	case m.asking == "":
		m.reply(503, "USER first")
	default:
		m.doing = command.Command{Verb: "PASS"}
		m.do(Login{User: m.asking, Password: c.Arg})
	}
}

// LoggedIn says whether the login was right; user is the name of the account, why what was wrong. How long an answer to a wrong one is held back is the
// caller's: commands wait meanwhile.
func (m *Machine) LoggedIn(now time.Time, user string, why *Refusal) {
	m.now = now
	m.doing = command.Command{}
	if m.lost || m.leaving {
		m.part()
		return
	}
	if why == nil {
		m.loggedIn, m.user, m.tries = true, user, 0
		m.idleAt = now.Add(m.cfg.Idle)
		m.do(Event{Kind: tallyman.KindLogin, User: user, Text: m.manner()})
		m.reply(230, "Welcome")
		m.goOn()
		m.rest()
		return
	}
	m.tries++
	m.do(Event{Kind: tallyman.KindLoginFailed, Reason: why.Reason, User: m.asking, Text: m.manner() + ": " + why.Text})
	m.asking = ""
	if m.tries >= m.cfg.Tries {
		m.leave(421, "Too many wrong logins")
		return
	}
	m.reply(530, "Name or password is wrong")
	m.goOn()
	m.rest()
}

func (m *Machine) manner() string {
	if m.secure {
		return "password over TLS"
	}
	return "password in clear text"
}

func (m *Machine) doAuth(c command.Command) {
	switch kind := strings.ToUpper(c.Arg); {
	case m.cfg.TLS == None:
		m.reply(502, "TLS is off here (tls: none)")
	case m.secure:
		m.reply(503, "TLS is on already")
	case kind != "TLS" && kind != "TLS-C" && kind != "SSL" && kind != "TLS-P":
		m.reply(504, "AUTH TLS is what is known here")
	default:
		m.reply(234, "Begin the handshake")
		m.do(Secure{})
	}
}

func (m *Machine) doPbsz(c command.Command) {
	switch {
	case !m.secure:
		m.reply(503, "AUTH TLS first")
	case c.Arg != "0":
		m.sized = true
		m.reply(200, "PBSZ=0")
	default:
		m.sized = true
		m.reply(200, "OK")
	}
}

func (m *Machine) doProt(c command.Command) {
	switch level := strings.ToUpper(c.Arg); {
	case !m.secure:
		m.reply(503, "AUTH TLS first")
	case !m.sized:
		m.reply(503, "PBSZ 0 first")
	case level == "P":
		m.private = true
		m.reply(200, "Data connections are private")
	case level == "C" && m.cfg.TLS == Required:
		m.reply(534, "Data connections must be private here (tls: required)")
	case level == "C":
		m.private = false
		m.reply(200, "Data connections are clear")
	case level == "S" || level == "E":
		m.reply(536, "PROT P or PROT C")
	default:
		m.reply(504, "PROT P or PROT C")
	}
}

func (m *Machine) doQuit(command.Command) { m.leave(221, "Goodbye") }
