package ssh

import (
	"strings"

	"tallyman"
	"tallyman/source/logs/format/entry"
)

// sshRules is what sshd writes, by the start of the message without "error: ", "fatal: " and "[preauth]" (auth.c, sshd.c, packet.c of 4 to 10).
var sshRules = [...]struct {
	start string
	take  func(a *sshLine, rest string) entry.Result
}{
	{"Accepted ", sshAccepted},
	{"Failed ", sshFailed},
	{"Invalid user ", sshInvalid},
	{"Illegal user ", sshInvalid},
	{"PAM: ", sshPAM},
	{"ROOT LOGIN REFUSED FROM ", sshRoot},
	{"User ", sshNotAllowed},
	{"refused connect from ", sshRefused},
	{"Received disconnect from ", sshDisconnect},
	{"Connection closed by ", sshClosed},
	{"Connection reset by ", sshClosed},
	{"Disconnected from ", sshClosed},
	{"Disconnecting", sshDisconnecting},
	{"maximum authentication attempts exceeded for ", sshMaximum},
	{"Unable to negotiate with ", sshNegotiate},
	{"Unable to negotiate a key exchange", sshNegotiateUnknown},
	{"no matching ", sshNegotiateUnknown},
	{"Did not receive identification string from ", sshScan},
	{"Bad protocol version identification ", sshScan},
	{"Magic value check failed ", sshScan},
	{"Read from socket failed: ", sshReset},
	{"SSH: Server;Ltype: ", sshInfo},
	{"Connection from ", sshConnected},
	{"kex_exchange_identification: ", sshKex},
	{"banner exchange: Connection from ", sshBroken},
	{"ssh_dispatch_run_fatal: Connection from ", sshBroken},
	{"Timeout before authentication for ", sshTimeout},
	{"Timeout, client not responding from ", sshSilent},
	{"Read error from remote host ", sshReadError},
	{"pam_unix(", sshPAMUnix},
	{"authentication failure; ", sshPAMUnix},
	{"input_userauth_request: ", sshSession},
	{"Postponed ", sshSession},
	{"Partial ", sshSession},
	{"Address ", sshSession},
	{"reverse mapping checking ", sshSession},
	{"Nasty PTR record ", sshSession},
	{"Starting session: ", sshSession},
	{"subsystem request for ", sshSession},
	{"Close session: ", sshSession},
	{"Closing connection to ", sshSession},
	{"Transferred: ", sshSession},
	{"User child is on pid ", sshSession},
	{"message repeated ", sshSession},
	{"Server listening on ", sshServer},
	{"Received signal ", sshServer},
	{"Received SIGHUP", sshServer},
}

func sshSession(*sshLine, string) entry.Result { return entry.Note(entry.WhySession) }
func sshServer(*sshLine, string) entry.Result  { return entry.Note(entry.WhyServer) }

// sshAccepted reads "METHOD for USER from IP port N ssh2: KEY".
func sshAccepted(a *sshLine, rest string) entry.Result {
	method, rest, ok := strings.Cut(rest, " for ")
	facts, found := a.known(rest)
	if !ok || !found {
		return entry.Refuse(entry.WhyUnknown)
	}
	if w := a.c.waits; w != nil && w.User != a.c.user && w.User != "" {
		a.out = a.c.release(a.out) // another user was tried before
	}
	a.c.waits, a.c.keys = nil, 0
	delete(a.f.waiting, a.e.PID)
	v, more := a.evidence(tallyman.KindLogin)
	a.e.Finish(&v, append(append(facts, more...), entry.NewFact("method", method))...)
	a.out = append(a.out, v)
	return entry.Result{}
}

// sshFailed reads "METHOD for [invalid user] USER from IP port N ssh2: MORE". A key that is not accepted is no failure yet: clients offer all they have.
func sshFailed(a *sshLine, rest string) entry.Result {
	method, rest, ok := strings.Cut(rest, " for ")
	rest, invalid := strings.CutPrefix(rest, "invalid user ")
	facts, found := a.known(rest)
	if !ok || !found {
		return entry.Refuse(entry.WhyUnknown)
	}
	switch {
	case method == "none":
		return entry.Note(entry.WhySession)
	case method == "publickey" && !invalid && a.e.PID != 0:
		a.c.keys++
		return entry.Note(entry.WhyPending)
	}
	return a.fail(tallyman.LoginFailed, "failed "+method, append(facts, entry.NewFact("method", method))...)
}

func sshInvalid(a *sshLine, rest string) entry.Result {
	r, ok := sshFrom{}, false
	if before, end, cut := entry.CutLast(" "+rest, " from "); cut { // the name stands between "user " and the last " from "
		if r, ok = readEnd(end); ok {
			r.user = strings.TrimPrefix(before, " ")
		}
	}
	if !ok {
		return entry.Refuse(entry.WhyUnknown)
	}
	a.at(r.host, r.port)
	a.c.user = entry.Keep(r.user)
	return a.fail(tallyman.LoginFailed, "invalid user")
}

// sshPAM reads "Authentication failure for [illegal user] USER from HOST [via ADDRESS]".
func sshPAM(a *sshLine, rest string) entry.Result {
	text, rest, ok := strings.Cut(rest, " for ")
	rest = strings.TrimPrefix(rest, "illegal user ")
	facts, found := a.known(rest)
	if !ok || !found {
		return entry.Refuse(entry.WhyUnknown)
	}
	return a.fail(tallyman.LoginFailed, "PAM: "+text, facts...)
}

func sshRoot(a *sshLine, rest string) entry.Result {
	r, ok := readEnd(rest)
	if !ok {
		return entry.Refuse(entry.WhyUnknown)
	}
	a.at(r.host, r.port)
	a.c.user = "root"
	return a.fail(tallyman.Policy, "root login refused")
}

// sshNotAllowed reads "USER from HOST not allowed because WHY"; a locked account has no host.
func sshNotAllowed(a *sshLine, rest string) entry.Result {
	who, why, ok := entry.CutLast(rest, " not allowed because ")
	if !ok {
		return entry.Refuse(entry.WhyUnknown)
	}
	user, host, hasHost := entry.CutLast(who, " from ")
	if !hasHost || strings.Contains(host, " ") {
		a.c.user = entry.Keep(who)
		return entry.Note(entry.WhyPending)
	}
	a.at(host, "")
	a.c.user = entry.Keep(user)
	return a.fail(tallyman.Policy, "not allowed because "+why)
}

// sshRefused is TCP wrappers: "HOST (IP)".
func sshRefused(a *sshLine, rest string) entry.Result {
	_, ip, ok := entry.CutLast(rest, " (")
	ip, closed := strings.CutSuffix(ip, ")")
	if !ok || !closed {
		return entry.Refuse(entry.WhyUnknown)
	}
	a.at(ip, "")
	return a.fail(tallyman.Policy, "refused connect")
}

// sshDisconnect reads "IP: 11: Bye Bye" and "IP port N:11: Bye Bye". Before a login it ends an attempt.
func sshDisconnect(a *sshLine, rest string) entry.Result {
	host, after, hasPort := strings.Cut(rest, " port ")
	text := ""
	if hasPort && !strings.Contains(host, " ") {
		port, more, _ := strings.Cut(after, ":")
		a.at(host, port)
		text = strings.TrimPrefix(more, " ")
	} else {
		host, more, ok := strings.Cut(rest, ": ")
		if !ok {
			return entry.Refuse(entry.WhyUnknown)
		}
		a.at(host, "")
		text = more
	}
	if a.preauth || strings.HasSuffix(text, "Auth fail") {
		return a.fail(tallyman.ClientGone, text)
	}
	return entry.Note(entry.WhySession)
}

// sshClosed reads "[authenticating user U|invalid user U|user U] IP [port N]".
func sshClosed(a *sshLine, rest string) entry.Result {
	who := ""
	for _, class := range [...]string{"authenticating user ", "invalid user ", "user "} {
		if after, ok := strings.CutPrefix(rest, class); ok {
			who, rest = class, after
			break
		}
	}
	r, ok := readLast(rest)
	if !ok || who == "" && r.user != "" {
		return entry.Refuse(entry.WhyUnknown)
	}
	a.at(r.host, r.port)
	if who != "" {
		a.c.user = entry.Keep(r.user)
	}
	switch {
	case a.preauth && who != "user ":
		return a.fail(tallyman.ClientGone, "ended before the login")
	case a.c.waits != nil:
		waits := a.c.waits
		if !waits.Peer.IsValid() {
			waits.Peer, _ = entry.Endpoint(r.host + ":" + r.port)
		}
		return a.fail(waits.Reason, waits.Err)
	}
	return entry.Note(entry.WhySession)
}

// sshDisconnecting reads ": TEXT", or " invalid user U IP port N: TEXT".
func sshDisconnecting(a *sshLine, rest string) entry.Result {
	text, direct := strings.CutPrefix(rest, ": ")
	if !direct {
		for _, class := range [...]string{" authenticating user ", " invalid user "} {
			if after, ok := strings.CutPrefix(rest, class); ok {
				// The text behind the port may hold what a client sent, the name before it too: the first port with a colon that makes sense.
				for i := 0; i < len(after); i++ {
					if !strings.HasPrefix(after[i:], ": ") {
						continue
					}
					if r, ok := readLast(after[:i]); ok && r.port != "" {
						a.at(r.host, r.port)
						a.c.user, text = entry.Keep(r.user), after[i+2:]
						break
					}
				}
			}
		}
		if text == rest || text == "" {
			return entry.Refuse(entry.WhyUnknown)
		}
	}
	many := strings.HasPrefix(text, "Too many authentication failures")
	switch {
	case many && a.c.told:
		return entry.Note(entry.WhyRepeated)
	case a.c.host == "":
		return a.wait(text)
	case many:
		return a.fail(tallyman.LoginFailed, text)
	}
	return a.fail(tallyman.BadRequest, text)
}

func sshMaximum(a *sshLine, rest string) entry.Result {
	rest = strings.TrimPrefix(rest, "invalid user ")
	facts, ok := a.known(rest)
	if !ok {
		return entry.Refuse(entry.WhyUnknown)
	}
	return a.fail(tallyman.LoginFailed, "maximum authentication attempts exceeded", facts...)
}

// sshNegotiate reads "IP port N: no matching cipher found. Their offer: ...".
func sshNegotiate(a *sshLine, rest string) entry.Result {
	who, text, ok := strings.Cut(rest, ": ")
	r, found := readLast(who)
	if !ok || !found || r.user != "" {
		return entry.Refuse(entry.WhyUnknown)
	}
	a.at(r.host, r.port)
	return a.fail(tallyman.BadRequest, text)
}

func sshNegotiateUnknown(a *sshLine, _ string) entry.Result {
	if a.c.host == "" {
		return entry.Note(entry.WhyNoAddress)
	}
	return a.fail(tallyman.BadRequest, "no common algorithms")
}

// sshScan is a line that ends in "from IP [port N]", behind text of the client.
func sshScan(a *sshLine, rest string) entry.Result {
	if _, end, ok := entry.CutLast(rest, "from "); ok {
		rest = end
	}
	r, ok := readLast(rest)
	if !ok || r.user != "" {
		return entry.Refuse(entry.WhyUnknown)
	}
	a.at(r.host, r.port)
	return a.fail(tallyman.BadRequest, "no SSH client")
}

func sshReset(a *sshLine, text string) entry.Result {
	if a.c.host == "" {
		return entry.Note(entry.WhyNoAddress)
	}
	return a.fail(tallyman.ClientGone, text)
}

// sshInfo reads "Version;Remote: IP-PORT;..." (the HPN patches).
func sshInfo(a *sshLine, rest string) entry.Result {
	if _, remote, ok := strings.Cut(rest, ";Remote: "); ok {
		remote, _, _ = strings.Cut(remote, ";")
		if host, port, ok := entry.CutLast(remote, "-"); ok {
			a.at(host, port)
		}
	}
	return entry.Note(entry.WhySession)
}

// sshConnected begins a connection: a pid that comes again is another one.
func sshConnected(a *sshLine, rest string) entry.Result {
	host, rest, _ := strings.Cut(rest, " ")
	port, _, _ := strings.Cut(strings.TrimPrefix(rest, "port "), " ")
	a.out = a.c.release(a.out)
	delete(a.f.waiting, a.e.PID)
	*a.c = sshConnection{}
	a.at(host, port)
	return entry.Note(entry.WhySession)
}

func sshKex(a *sshLine, text string) entry.Result {
	if a.c.host == "" {
		return a.wait(text)
	}
	return a.fail(tallyman.BadRequest, text)
}

// sshBroken reads "IP port N: TEXT".
func sshBroken(a *sshLine, rest string) entry.Result { return sshNegotiate(a, rest) }

// sshTimeout reads "IP port N" and "connection from IP to ADDRESS, pid = N".
func sshTimeout(a *sshLine, rest string) entry.Result {
	if from, ok := strings.CutPrefix(rest, "connection from "); ok {
		rest, _, _ = strings.Cut(from, " to ")
	}
	r, ok := readLast(rest)
	if !ok || r.user != "" {
		return entry.Refuse(entry.WhyUnknown)
	}
	a.at(r.host, r.port)
	return a.fail(tallyman.ClientSilent, "timeout before authentication")
}

// sshPAMUnix: PAM says a failure before sshd does, and for a second module although the login succeeds. It waits for the next line of this
// connection; another user or client shows that the one before has failed.
func sshPAMUnix(a *sshLine, _ string) entry.Result {
	host, user, ok := entry.PAMFailure(a.e.Message)
	if !ok {
		return entry.Note(entry.WhySession)
	}
	if w := a.c.waits; w != nil && (w.User != user || a.c.host != host) {
		a.out = a.c.release(a.out)
	}
	a.at(host, "")
	a.c.user = entry.Keep(user)
	result := a.wait("authentication failure")
	if len(a.out) > 0 {
		return entry.Result{}
	}
	return result
}

// sshSilent reads "user U IP port N": the client did not answer (ClientAliveInterval).
func sshSilent(a *sshLine, rest string) entry.Result {
	r, ok := readLast(strings.TrimPrefix(rest, "user "))
	if !ok {
		return entry.Refuse(entry.WhyUnknown)
	}
	a.f.silence.give(r.user, r.host, a.e.Time)
	return entry.Note(entry.WhySession)
}

// sshReadError reads "IP port N: TEXT".
func sshReadError(_ *sshLine, rest string) entry.Result {
	if r, ok := readLast(rest[:max(strings.LastIndex(rest, ": "), 0)]); !ok || r.user != "" {
		return entry.Refuse(entry.WhyUnknown)
	}
	return entry.Note(entry.WhySession)
}
