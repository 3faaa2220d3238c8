package entry

import "strings"

// PAMFailure reads what pam_unix says of a failed login, in the forms that it has had:
//
//	pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=test rhost=192.0.2.1  user=test
//	(pam_unix) authentication failure; ...                 authentication failure; ...   (with the module in the tag)
//
// user is ruser where the module names no user: it knows none of this name.
func PAMFailure(message string) (host, user string, ok bool) {
	m := message
	if rest, found := strings.CutPrefix(m, "(pam_unix) "); found {
		m = rest
	} else if rest, found := strings.CutPrefix(m, "pam_"); found {
		_, m, _ = strings.Cut(rest, ": ")
	}
	fields, found := strings.CutPrefix(m, "authentication failure; ")
	if !found {
		return "", "", false
	}
	// Values are not quoted, and a user may hold spaces: keys are taken from the left, rhost is the first after tty.
	_, rest, found := strings.Cut(fields, " ruser=")
	if !found {
		return "", "", false
	}
	ruser, rest, found := CutLast(rest, " rhost=")
	if !found {
		return "", "", false
	}
	host, rest, _ = strings.Cut(rest, " ")
	user = ruser
	if named, found := strings.CutPrefix(strings.TrimLeft(rest, " "), "user="); found {
		user = named
	}
	return strings.TrimSuffix(host, " [preauth]"), strings.TrimSuffix(user, " [preauth]"), true
}

// PAMOther reports the other lines of PAM modules: they tell nothing that the server does not.
func PAMOther(message string) bool {
	return strings.HasPrefix(message, "pam_") || strings.HasPrefix(message, "(pam_") || strings.HasPrefix(message, "PAM ")
}
