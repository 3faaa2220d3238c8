package ftp

import (
	"strings"

	"tallyman"
	"tallyman/source/logs/format/entry"
)

// proftpd reads what ProFTPD writes to syslog or SystemLog: sessions and logins. Transfers stand in TransferLog (xferlog) and ExtendedLog.
//
//	proftpd[25891] localhost (andy[1.2.3.4]): USER kjsad: no such user found from andy [1.2.3.5] to ::ffff:192.168.1.14:21
//	proftpd[5517]: 192.0.2.13 (192.0.2.13[192.0.2.13]) - SECURITY VIOLATION: Root login attempted
//
// The client is taken from the head, which the server writes, and never from the message, which may repeat what the client sent.
type proftpd struct{}

// NewProftpd returns the format of ProFTPD in syslog.
func NewProftpd(entry.Options) entry.Format { return proftpd{} }

// Take implements entry.Format.
func (proftpd) Take(e *entry.Entry, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	m := strings.TrimRight(e.Message, " ")
	if host, ok := entry.Between(m, "refused connect from ", ")"); ok { // TCP wrappers
		if _, from, cut := entry.CutLast(host, " ("); cut {
			v := e.Session(tallyman.KindLoginFailed, "ftp")
			v.Reason, v.Err = tallyman.Policy, "refused connect"
			e.Finish(&v, entry.Client(&v, from)...)
			return append(out, v), entry.Result{}
		}
	}
	name, from, message, ok := proftpdHead(m)
	if !ok {
		return out, entry.Note(entry.WhyServer)
	}
	v := e.Session(tallyman.KindLoginFailed, "ftp")
	v.Reason = tallyman.LoginFailed
	facts := entry.Client(&v, from)
	if v.Peer.IsValid() && name != from && name != "" {
		facts = append(facts, entry.NewFact("client", name))
	}
	user, said, isUser := proftpdUser(message)
	switch {
	case isUser && strings.HasPrefix(said, "Login successful"):
		v.Kind, v.Reason, v.User = tallyman.KindLogin, "", user
	case isUser && (strings.HasPrefix(said, "no such user found") || strings.HasPrefix(said, "(Login failed)") || strings.HasPrefix(said, "Limit access denies login")):
		v.User, v.Err = user, said
	case strings.HasPrefix(message, "SECURITY VIOLATION: "):
		v.Err = message[len("SECURITY VIOLATION: "):]
		if !strings.Contains(strings.ToLower(v.Err), "login attempted") {
			v.Kind, v.Reason = tallyman.KindCommandRefused, tallyman.DataPeerMismatch
		} else {
			v.User = "root"
		}
	case strings.HasPrefix(message, "Maximum login attempts"):
		v.Err = message
		facts = append(facts, entry.NewFact("repeats", true))
	case strings.HasPrefix(message, "Refused PORT "), strings.HasPrefix(message, "Refused EPRT "):
		v.Kind, v.Reason, v.Err = tallyman.KindCommandRefused, tallyman.Bounce, message
		facts = append(facts, entry.NewFact("command", message[8:12]))
	case strings.HasPrefix(message, "Connection from ") && strings.HasSuffix(message, " denied."):
		v.Reason, v.Err = tallyman.Policy, "connection denied"
	case strings.HasPrefix(message, "Data transfer stall timeout"), strings.HasPrefix(message, "FTP no transfer timeout"),
		strings.HasPrefix(message, "notice: user "), strings.HasPrefix(message, "FTP session "), strings.HasPrefix(message, "FTP login timed out"),
		strings.HasPrefix(message, "no such user "), strings.HasPrefix(message, "SSH2 session "), entry.PAMOther(message):
		return out, entry.Note(entry.WhySession)
	default:
		return out, entry.Note(entry.WhyServer)
	}
	e.Finish(&v, facts...)
	return append(out, v), entry.Result{}
}

// proftpdHead reads "SERVER (CLIENT[IP]): MESSAGE" or "SERVER (CLIENT[IP]) - MESSAGE".
func proftpdHead(m string) (name, ip, message string, ok bool) {
	server, rest, ok := strings.Cut(m, " (")
	if !ok || strings.ContainsAny(server, " \t") {
		return "", "", "", false
	}
	name, rest, ok = strings.Cut(rest, "[")
	if !ok || strings.ContainsAny(name, " ()") {
		return "", "", "", false
	}
	ip, rest, ok = strings.Cut(rest, "])")
	if !ok || strings.ContainsAny(ip, " ()[") {
		return "", "", "", false
	}
	for _, sep := range [...]string{": ", " - "} {
		if message, ok = strings.CutPrefix(rest, sep); ok {
			return name, ip, message, true
		}
	}
	return "", "", "", false
}

// proftpdUser reads "USER NAME: ..." and "USER NAME (Login failed): ...". A name may hold the texts that follow names, so the last one counts.
func proftpdUser(m string) (user, said string, ok bool) {
	rest, ok := strings.CutPrefix(m, "USER ")
	if !ok {
		rest, ok = strings.CutPrefix(m, "ANON ")
	}
	if !ok {
		return "", "", false
	}
	last := -1
	for _, end := range [...]string{": Login successful", ": no such user found", " (Login failed)", ": Limit access denies login"} {
		last = max(last, strings.LastIndex(rest, end))
	}
	if last < 0 {
		return "", "", false
	}
	return rest[:last], strings.TrimLeft(rest[last:], ": "), true
}
