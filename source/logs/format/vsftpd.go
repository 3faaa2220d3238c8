package format

import (
	"strings"
	"time"

	"tallyman"
	"tallyman/source/logs/format/line"
)

// vsftpd reads vsftpd: its own log (vsftpd_log_file, with dual_log_enable or without xferlog_std_format), with the lines of
// log_ftp_protocol or without, and the same through syslog (syslog_enable), where PAM's lines stand beside it. An upload whose client died is logged as OK.
type vsftpd struct {
	commands *memo[int32, vsftpdCommand] // by pid: the command that waits for its reply
	failed   *memo[string, bool]         // by client: a FAIL LOGIN whose reply is to come
}

type vsftpdCommand struct {
	at         time.Time
	verb, name string
	running    bool // 1xx was sent
	refused    tallyman.Reason
}

func newVsftpd(Options) Format {
	return &vsftpd{commands: newMemo[int32, vsftpdCommand](), failed: newMemo[string, bool]()}
}

// vsftpdLine reads "Fri Nov 20 17:42:01 2026 [pid 26625] " at the start of a line of its own log.
func vsftpdLine(raw string, c line.Clock) (Entry, bool) {
	at, rest, ok := c.Asctime(raw)
	if !ok {
		return Entry{}, false
	}
	rest, ok = strings.CutPrefix(rest, " [pid ")
	digits, rest, cut := strings.Cut(rest, "] ")
	pid, isNumber := number(digits)
	if !ok || !cut || !isNumber || pid > 1<<31-1 {
		return Entry{}, false
	}
	return Entry{Time: at, Ident: "vsftpd", PID: int32(pid), Message: rest, Raw: raw}, true
}

func (f *vsftpd) Take(e *Entry, out []tallyman.Evidence) ([]tallyman.Evidence, Result) {
	m := e.Message
	if host, user, ok := pamFailure(m); ok {
		v := e.session(tallyman.KindLoginFailed, "ftp")
		v.Reason, v.User, v.Err = tallyman.LoginFailed, user, "authentication failure"
		e.finish(&v, append(client(&v, host), fact{"via", "pam"})...)
		return append(out, v), Result{}
	}
	if pamOther(m) {
		return out, noted(whySession)
	}
	user := ""
	if strings.HasPrefix(m, "[") {
		var ok bool
		if vsftpdReadings(m) > 1 {
			return out, refused(whyAmbiguous)
		}
		if user, m, ok = strings.Cut(m[1:], "] "); !ok {
			return out, refused(whyUnknown)
		}
	}
	what, rest, ok := strings.Cut(m, `: Client "`)
	ip, rest, cut := strings.Cut(rest, `"`)
	if !ok || !cut {
		return out, refused(whyUnknown)
	}
	at, isAddr := peer(ip)
	if !isAddr {
		return out, refused(whyNoAddress)
	}
	v := e.session(tallyman.KindClosed, "ftp")
	v.Peer, v.User = at, user
	switch what {
	case "CONNECT":
		return out, noted(whySession)
	case "OK LOGIN":
		v.Kind = tallyman.KindLogin
		e.finish(&v)
		return append(out, v), Result{}
	case "FAIL LOGIN":
		v.Kind, v.Reason = tallyman.KindLoginFailed, tallyman.LoginFailed
		v.Err, _ = between(rest, `, "`, `"`)
		f.failed.put(keep(ip), true)
		e.finish(&v)
		return append(out, v), Result{}
	case "FTP command", "FTP response":
		text, ok := between(rest, `, "`, `"`)
		if !ok {
			return out, refused(whyUnknown)
		}
		if what == "FTP command" {
			return f.command(e, &v, text, out)
		}
		return f.reply(e, &v, text, ip, out)
	}
	return f.done(e, &v, what, rest, out)
}

// vsftpdSays is all that stands between the user and the client.
var vsftpdSays = [...]string{
	"CONNECT", "OK LOGIN", "FAIL LOGIN", "FTP command", "FTP response", "OK UPLOAD", "FAIL UPLOAD", "OK DOWNLOAD", "FAIL DOWNLOAD", "OK APPEND", "FAIL APPEND",
	"OK MKDIR", "FAIL MKDIR", "OK RMDIR", "FAIL RMDIR", "OK DELETE", "FAIL DELETE", "OK RENAME", "FAIL RENAME", "OK CHMOD", "FAIL CHMOD",
}

// vsftpdReadings is in how many places of "[USER] OK LOGIN: Client "IP"..." the user may end. Who fails to log in has any name, a path holds any text, and
// nothing is quoted: "u] OK LOGIN: Client "1.2.3.4"" is a name of a user.
func vsftpdReadings(m string) (n int) {
	for from := 0; ; {
		i := strings.Index(m[from:], `] `)
		if i < 0 {
			return n
		}
		from += i + 2
		for _, what := range vsftpdSays {
			if rest, ok := strings.CutPrefix(m[from:], what); ok && strings.HasPrefix(rest, `: Client "`) {
				n++
			}
		}
	}
}

// command notes what a client asks; of transfers it is told.
func (f *vsftpd) command(e *Entry, v *tallyman.Evidence, text string, out []tallyman.Evidence) ([]tallyman.Evidence, Result) {
	verb, name, _ := strings.Cut(text, " ")
	c := vsftpdCommand{at: v.Time, verb: keep(verb), name: keep(name)}
	if e.PID != 0 {
		f.commands.put(e.PID, c)
	}
	op := ftpOp(verb)
	if !op.MovesContent() {
		return out, noted(whySession)
	}
	v.Kind, v.Op, v.Name, v.Began = tallyman.KindRequest, op, name, v.Time
	e.finish(v)
	return append(out, *v), Result{}
}

// reply is judged by the command before it: vsftpd answers one after the other.
func (f *vsftpd) reply(e *Entry, v *tallyman.Evidence, text, ip string, out []tallyman.Evidence) ([]tallyman.Evidence, Result) {
	digits, words, _ := strings.Cut(text, " ")
	code, ok := number(digits)
	if !ok {
		return out, noted(whySession) // a further line of one reply
	}
	c, known := f.commands.get(e.PID)
	if code < 200 {
		c.running = true
		if known {
			f.commands.put(e.PID, c)
		}
		return out, noted(whyProgress)
	}
	switch {
	case code < 400:
		return out, noted(whySession) // the OK line tells it
	case strings.HasPrefix(words, "Login incorrect"):
		if said, _ := f.failed.get(ip); said {
			f.failed.drop(ip)
			return out, noted(whyRepeated)
		}
		v.Kind, v.Reason = tallyman.KindLoginFailed, tallyman.LoginFailed
	case code == 530 && (!known || ftpOp(c.verb) == tallyman.NoOp) && !strings.HasPrefix(words, "Please login"):
		v.Kind, v.Reason = tallyman.KindLoginFailed, tallyman.LoginFailed
	case known && ftpOp(c.verb).MovesContent() && !c.running:
		v.Kind, v.Op, v.Name, v.Began = tallyman.KindRefusal, ftpOp(c.verb), c.name, c.at
		v.Reason = ftpRefusal(code, words, v.Op)
		if code == 425 {
			v.Kind, v.Reason = tallyman.KindClosed, tallyman.ClientGone
		}
		c.refused = v.Reason
		f.commands.put(e.PID, c)
	case known && ftpOp(c.verb).MovesContent():
		v.Kind, v.Op, v.Name, v.Began, v.Reason = tallyman.KindClosed, ftpOp(c.verb), c.name, c.at, ftpFailure(code)
	default:
		v.Kind, v.Op, v.Reason = tallyman.KindCommandRefused, ftpOp(c.verb), tallyman.NotAllowed
	}
	v.Err = text
	facts := []fact{{"code", code}}
	switch {
	case known && v.Kind == tallyman.KindCommandRefused:
		facts = append(facts, refusedCommand(v, c.verb, c.name)...)
	case known && v.Kind != tallyman.KindLoginFailed:
		facts = append(facts, fact{"command", c.verb})
	}
	e.finish(v, facts...)
	return append(out, *v), Result{}
}

// done reads what follows the client in "OK UPLOAD: Client "IP", "PATH", 3000000 bytes, 668878.42Kbyte/sec". The bytes are left out when they are 0.
func (f *vsftpd) done(e *Entry, v *tallyman.Evidence, what, rest string, out []tallyman.Evidence) ([]tallyman.Evidence, Result) {
	result, verb, _ := strings.Cut(what, " ")
	if result != "OK" && result != "FAIL" {
		return out, refused(whyUnknown)
	}
	well := result == "OK"
	switch verb {
	case "UPLOAD":
		v.Op = tallyman.OpPut
	case "DOWNLOAD":
		v.Op = tallyman.OpGet
	case "APPEND":
		v.Op = tallyman.OpAppend
	case "MKDIR":
		v.Op = tallyman.OpMkdir
	case "RMDIR":
		v.Op = tallyman.OpRmdir
	case "DELETE":
		v.Op = tallyman.OpDelete
	case "RENAME":
		v.Op = tallyman.OpRename
	case "CHMOD":
		v.Op = tallyman.OpAttrib
	default:
		return out, refused(whyUnknown)
	}
	path, ok := strings.CutPrefix(rest, `, "`)
	if v.Op.MovesContent() {
		head, rate, cut := cutLast(path, `, `)
		if !ok || !cut || !strings.HasSuffix(rate, "Kbyte/sec") {
			return out, refused(whyUnknown)
		}
		path, v.Moved = head, 0
		if !strings.HasSuffix(head, `"`) {
			before, size, cut := cutLast(head, `, `)
			n, isNumber := number(strings.TrimSuffix(size, " bytes"))
			if !cut || !isNumber || !strings.HasSuffix(size, " bytes") {
				return out, refused(whyNumber)
			}
			path, v.Moved = before, n
		}
	}
	path, cut := strings.CutSuffix(path, `"`)
	if !ok || !cut {
		return out, refused(whyUnknown)
	}
	v.Path = path
	if c, known := f.commands.get(e.PID); known && ftpOp(c.verb).MovesContent() && v.Op.MovesContent() {
		v.Began, v.Name = c.at, c.name
		if v.Op = ftpOp(c.verb); c.refused != "" && !well {
			v.Kind, v.Reason, v.Moved = tallyman.KindRefusal, c.refused, -1
			e.finish(v)
			return append(out, *v), Result{}
		}
	}
	var facts []fact
	switch v.Op {
	case tallyman.OpRename:
		if strings.Count(path, " ") != 1 { // "OLD NEW", unquoted
			v.Path, v.Name, facts = "", path, []fact{{"name", "ambiguous"}}
		} else {
			v.From, v.Path, _ = strings.Cut(path, " ")
		}
	case tallyman.OpAttrib:
		v.Path, _, _ = cutLast(path, " ")
	default:
	}
	switch {
	case well:
		v.Reason = wellDone(v.Op)
		facts = append(facts, unconfirmed(v)...)
	case !v.Op.MovesContent():
		v.Kind, v.Reason = tallyman.KindCommandRefused, tallyman.NotAllowed
	case v.Moved > 0:
		v.Reason, facts = tallyman.ClientGone, append(facts, isAssumed())
	default: // it was refused, or nothing came
		v.Kind, v.Reason, v.Moved, facts = tallyman.KindRefusal, tallyman.NotAllowed, -1, append(facts, isAssumed())
	}
	e.finish(v, facts...)
	return append(out, *v), Result{}
}
