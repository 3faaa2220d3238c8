package format

import (
	"strings"

	"tallyman"
)

// ftpd reads what the old daemons (BSD, Solaris, wu-ftpd) write to syslog: logins and denials. Their transfers stand in xferlog; the IMPORT and EXPORT
// lines of one of them name neither client nor result.
type ftpd struct{}

func newFTPD(Options) Format { return ftpd{} }

func (ftpd) Take(e *Entry, out []tallyman.Evidence) ([]tallyman.Evidence, Result) {
	m := strings.TrimRight(e.Message, " ")
	if strings.HasPrefix(m, "[ID ") {
		if _, rest, ok := strings.Cut(m, "] "); ok {
			m = rest
		}
	}
	v := e.session(tallyman.KindLoginFailed, "ftp")
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
		return out, noted(whySession)
	case strings.HasPrefix(m, "FTPD: IMPORT file "), strings.HasPrefix(m, "FTPD: EXPORT file "):
		return out, noted("names neither client nor result")
	case strings.HasPrefix(m, "connect"), strings.HasPrefix(m, "User ") && strings.Contains(m, " timed out after "):
		return out, noted(whySession)
	case strings.HasPrefix(m, "warning: "), strings.HasPrefix(m, "gethostbyaddr: "):
		return out, noted(whyServer)
	default:
		host, user, ok := pamFailure(m)
		switch {
		case ok:
			from, v.User, v.Err = host, user, "authentication failure"
		case pamOther(m):
			return out, noted(whySession)
		default:
			return out, refused(whyUnknown)
		}
	}
	if name, at, ok := strings.Cut(from, " ["); ok && strings.HasSuffix(at, "]") && !strings.ContainsAny(name, " []") { // NAME [ADDRESS]
		from = strings.TrimSuffix(at, "]")
	}
	if from == "" || strings.ContainsAny(from, " \t") {
		return out, refused(whyNoAddress)
	}
	e.finish(&v, client(&v, from)...)
	return append(out, v), Result{}
}
