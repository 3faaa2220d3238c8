package ftp

import (
	"strings"

	"tallyman"
	"tallyman/source/logs/format/entry"
)

// ftpd reads what the old daemons (BSD, Solaris, wu-ftpd) write to syslog: logins and denials. Their transfers stand in xferlog; the IMPORT and EXPORT
// lines of one of them name neither client nor result.
type ftpd struct{}

// NewFTPD returns the format of the old ftpd of BSD, Solaris and wu-ftpd.
func NewFTPD(entry.Options) entry.Format { return ftpd{} }

// Take implements entry.Format.
func (ftpd) Take(e *entry.Entry, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	m := strings.TrimRight(e.Message, " ")
	if strings.HasPrefix(m, "[ID ") {
		if _, rest, ok := strings.Cut(m, "] "); ok {
			m = rest
		}
	}
	v := e.Session(tallyman.KindLoginFailed, "ftp")
	v.Reason = tallyman.LoginFailed
	from := ""
	switch {
	case strings.HasPrefix(m, "FTP LOGIN FROM "), strings.HasPrefix(m, "ANONYMOUS FTP LOGIN FROM "):
		_, rest, _ := strings.Cut(m, "LOGIN FROM ")
		v.Kind, v.Reason = tallyman.KindLogin, ""
		from, v.User, _ = strings.Cut(rest, ", ")
	case strings.HasPrefix(m, "refused connect from "):
		from, v.Reason, v.Err = m[len("refused connect from "):], tallyman.Policy, "refused connect"
	case strings.HasPrefix(m, "repeated login failures from "):
		from, v.Err = m[len("repeated login failures from "):], "repeated login failures"
		if strings.HasSuffix(from, ")") { // ADDRESS (NAME)
			from, _, _ = strings.Cut(from, " (")
		}
	case strings.HasPrefix(m, "failed login from "):
		from, v.Err = m[len("failed login from "):], "failed login"
	case strings.HasPrefix(m, "FTP LOGIN REFUSED ("):
		why, rest, _ := strings.Cut(m[len("FTP LOGIN REFUSED "):], " FROM ")
		from, v.User, _ = strings.Cut(rest, ", ")
		v.Err = "login refused " + why
	case strings.HasPrefix(m, "FTP session closed"):
		return out, entry.Note(entry.WhySession)
	case strings.HasPrefix(m, "FTPD: IMPORT file "), strings.HasPrefix(m, "FTPD: EXPORT file "):
		return out, entry.Note("names neither client nor result")
	case strings.HasPrefix(m, "connect"), strings.HasPrefix(m, "User ") && strings.Contains(m, " timed out after "):
		return out, entry.Note(entry.WhySession)
	case strings.HasPrefix(m, "warning: "), strings.HasPrefix(m, "gethostbyaddr: "):
		return out, entry.Note(entry.WhyServer)
	default:
		host, user, ok := entry.PAMFailure(m)
		switch {
		case ok:
			from, v.User, v.Err = host, user, "authentication failure"
		case entry.PAMOther(m):
			return out, entry.Note(entry.WhySession)
		default:
			return out, entry.Refuse(entry.WhyUnknown)
		}
	}
	if name, at, ok := strings.Cut(from, " ["); ok && strings.HasSuffix(at, "]") && !strings.ContainsAny(name, " []") { // NAME [ADDRESS]
		from = strings.TrimSuffix(at, "]")
	}
	if from == "" || strings.ContainsAny(from, " \t") {
		return out, entry.Refuse(entry.WhyNoAddress)
	}
	e.Finish(&v, entry.Client(&v, from)...)
	return append(out, v), entry.Result{}
}
