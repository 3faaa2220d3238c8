package engine

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"tallyman"
	"tallyman/source/ftp/command"
)

// firstFreePort is the lowest port that data is sent to: below are services of others (RFC 2577, 3).
const firstFreePort = 1024

func (m *Machine) doPasv(c command.Command) {
	switch {
	case !m.cfg.Passive:
		m.passiveOff(c)
	case m.extended:
		m.reply(501, "EPSV ALL was said")
	case !m.cfg.Server.Addr().Unmap().Is4():
		m.reply(522, "PASV is for IPv4: use EPSV")
	default:
		m.listen(c)
	}
}

func (m *Machine) doEpsv(c command.Command) {
	own := "1"
	if !m.cfg.Server.Addr().Unmap().Is4() {
		own = "2"
	}
	switch arg := strings.ToUpper(c.Arg); {
	case !m.cfg.Passive:
		m.passiveOff(c)
	case arg == "ALL":
		m.extended = true
		m.reply(200, "EPSV it is from now on")
	case arg != "" && arg != own:
		m.reply(522, "The network of this connection is ("+own+")")
	default:
		m.listen(c)
	}
}

func (m *Machine) passiveOff(c command.Command) {
	m.refuseCommand(c, tallyman.Policy, "serve.ftp.pasv_mode is false")
	m.reply(502, "passive mode is off here (pasv_mode), use PORT or EPRT")
}

func (m *Machine) listen(c command.Command) {
	m.passive, m.active = false, false
	m.doing = c
	m.do(Listen{})
}

// Listening says on which port the client is expected, or why not.
func (m *Machine) Listening(now time.Time, port uint16, err error) {
	m.now = now
	c := m.doing
	m.doing = command.Command{}
	switch {
	case err != nil:
		m.reply(425, "No data port is free: try again")
	case c.Verb == "EPSV":
		m.passive = true
		m.reply(229, fmt.Sprintf("Passive (|||%d|)", port))
	default:
		m.passive = true
		at := m.cfg.Server.Addr().Unmap()
		if m.cfg.Public.Is4() {
			at = m.cfg.Public
		}
		m.reply(227, "Passive ("+string(command.AppendPort(nil, netip.AddrPortFrom(at, port)))+")")
	}
	m.goOn()
}

func (m *Machine) doPort(c command.Command) {
	if !m.cfg.Active {
		m.refuseCommand(c, tallyman.Policy, "serve.ftp.port_mode is false")
		m.reply(502, "active mode is off here (port_mode), use PASV or EPSV")
		return
	}
	if m.extended {
		m.reply(501, "EPSV ALL was said")
		return
	}
	read, family := command.Port, 501
	if c.Verb == "EPRT" {
		read, family = command.ExtendedPort, 522
	}
	at, err := read(c.Arg)
	switch {
	case errors.Is(err, command.ErrFamily):
		m.reply(family, "The networks here are (1,2)")
		return
	case err != nil:
		m.reply(501, "The address is malformed")
		return
	}
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	if own := m.cfg.Client.Addr().Unmap(); at.Addr() == own.WithZone("") {
		at = netip.AddrPortFrom(own, at.Port()) // EPRT knows no zone; who is on this link is on this link
	}
	if at.Addr() != m.cfg.Client.Addr().Unmap() || at.Port() < firstFreePort {
		m.do(Event{Kind: tallyman.KindCommandRefused, Reason: tallyman.Bounce, User: m.user, Third: at, Text: fmt.Sprintf("%s names %s, the client is %s", c.Verb, at, m.cfg.Client.Addr().Unmap())})
		m.reply(501, "Data goes to your own address only, to a port from "+strconv.Itoa(firstFreePort)+" on")
		return
	}
	m.passive, m.active = false, true
	m.do(Aim{At: at})
	m.reply(200, "OK")
}

// connected reports whether a data connection was prepared, and says what to do if not.
func (m *Machine) connected() bool {
	switch {
	case !m.passive && !m.active && m.cfg.Passive:
		m.reply(425, "EPSV or PASV first")
	case !m.passive && !m.active:
		m.reply(425, "PORT or EPRT first")
	case m.cfg.TLS == Required && !m.private:
		m.reply(521, "Data connections must be private here (tls: required): PBSZ 0, PROT P")
	default:
		return true
	}
	return false
}
