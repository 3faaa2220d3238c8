package ftp

import (
	"strings"
	"time"

	"tallyman"
	"tallyman/source/logs/format/entry"
	"tallyman/source/logs/format/line"
)

// vsftpd reads vsftpd: its own log (vsftpd_log_file, with dual_log_enable or without xferlog_std_format), with the lines of
// log_ftp_protocol or without, and the same through syslog (syslog_enable), where PAM's lines stand beside it. An upload whose client died is logged as OK.
type vsftpd struct {
	commands *entry.Memo[int32, vsftpdCommand] // by pid: the command that waits for its reply
	failed   *entry.Memo[string, bool]         // by client: a FAIL LOGIN whose reply is to come
}

type vsftpdCommand struct {
	at         time.Time
	verb, name string
	running    bool // 1xx was sent
	refused    tallyman.Reason
}

// NewVsftpd returns the format of vsftpd, in its own file or in syslog.
func NewVsftpd(entry.Options) entry.Format {
	return &vsftpd{commands: entry.NewMemo[int32, vsftpdCommand](), failed: entry.NewMemo[string, bool]()}
}

// VsftpdLine reads "Fri Nov 20 17:42:01 2026 [pid 26625] " at the start of a line of its own log.
func VsftpdLine(raw string, c line.Clock) (entry.Entry, bool) {
	at, rest, ok := c.Asctime(raw)
	if !ok {
		return entry.Entry{}, false
	}
	rest, ok = strings.CutPrefix(rest, " [pid ")
	digits, rest, cut := strings.Cut(rest, "] ")
	pid, isNumber := entry.Number(digits)
	if !ok || !cut || !isNumber || pid > 1<<31-1 {
		return entry.Entry{}, false
	}
	return entry.Entry{Time: at, Ident: "vsftpd", PID: int32(pid), Message: rest, Raw: raw}, true
}

// Take implements entry.Format.
func (f *vsftpd) Take(e *entry.Entry, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	m := e.Message
	if host, user, ok := entry.PAMFailure(m); ok {
		v := e.Session(tallyman.KindLoginFailed, "ftp")
		v.Reason, v.User, v.Err = tallyman.LoginFailed, user, "authentication failure"
		e.Finish(&v, append(entry.Client(&v, host), entry.NewFact("via", "pam"))...)
		return append(out, v), entry.Result{}
	}
	if entry.PAMOther(m) {
		return out, entry.Note(entry.WhySession)
	}
	user := ""
	if strings.HasPrefix(m, "[") {
		var ok bool
		if vsftpdReadings(m) > 1 {
			return out, entry.Refuse(entry.WhyAmbiguous)
		}
		if user, m, ok = strings.Cut(m[1:], "] "); !ok {
			return out, entry.Refuse(entry.WhyUnknown)
		}
	}
	what, rest, ok := strings.Cut(m, `: Client "`)
	ip, rest, cut := strings.Cut(rest, `"`)
	if !ok || !cut {
		return out, entry.Refuse(entry.WhyUnknown)
	}
	at, isAddr := entry.Peer(ip)
	if !isAddr {
		return out, entry.Refuse(entry.WhyNoAddress)
	}
	v := e.Session(tallyman.KindClosed, "ftp")
	v.Peer, v.User = at, user
	switch what {
	case "CONNECT":
		return out, entry.Note(entry.WhySession)
	case "OK LOGIN":
		v.Kind = tallyman.KindLogin
		e.Finish(&v)
		return append(out, v), entry.Result{}
	case "FAIL LOGIN":
		v.Kind, v.Reason = tallyman.KindLoginFailed, tallyman.LoginFailed
		v.Err, _ = entry.Between(rest, `, "`, `"`)
		f.failed.Put(entry.Keep(ip), true)
		e.Finish(&v)
		return append(out, v), entry.Result{}
	case "FTP command", "FTP response":
		text, ok := entry.Between(rest, `, "`, `"`)
		if !ok {
			return out, entry.Refuse(entry.WhyUnknown)
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
func (f *vsftpd) command(e *entry.Entry, v *tallyman.Evidence, text string, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	verb, name, _ := strings.Cut(text, " ")
	c := vsftpdCommand{at: v.Time, verb: entry.Keep(verb), name: entry.Keep(name)}
	if e.PID != 0 {
		f.commands.Put(e.PID, c)
	}
	op := ftpOp(verb)
	if !op.MovesContent() {
		return out, entry.Note(entry.WhySession)
	}
	v.Kind, v.Op, v.Name, v.Began = tallyman.KindRequest, op, name, v.Time
	e.Finish(v)
	return append(out, *v), entry.Result{}
}

// reply is judged by the command before it: vsftpd answers one after the other.
func (f *vsftpd) reply(e *entry.Entry, v *tallyman.Evidence, text, ip string, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	digits, words, _ := strings.Cut(text, " ")
	code, ok := entry.Number(digits)
	if !ok {
		return out, entry.Note(entry.WhySession) // a further line of one reply
	}
	c, known := f.commands.Get(e.PID)
	if code < 200 {
		c.running = true
		if known {
			f.commands.Put(e.PID, c)
		}
		return out, entry.Note(entry.WhyProgress)
	}
	switch {
	case code < 400:
		return out, entry.Note(entry.WhySession) // the OK line tells it
	case strings.HasPrefix(words, "Login incorrect"):
		if said, _ := f.failed.Get(ip); said {
			f.failed.Drop(ip)
			return out, entry.Note(entry.WhyRepeated)
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
		f.commands.Put(e.PID, c)
	case known && ftpOp(c.verb).MovesContent():
		v.Kind, v.Op, v.Name, v.Began, v.Reason = tallyman.KindClosed, ftpOp(c.verb), c.name, c.at, ftpFailure(code)
	default:
		v.Kind, v.Op, v.Reason = tallyman.KindCommandRefused, ftpOp(c.verb), tallyman.NotAllowed
	}
	v.Err = text
	facts := []entry.Fact{entry.NewFact("code", code)}
	switch {
	case known && v.Kind == tallyman.KindCommandRefused:
		facts = append(facts, refusedCommand(v, c.verb, c.name)...)
	case known && v.Kind != tallyman.KindLoginFailed:
		facts = append(facts, entry.NewFact("command", c.verb))
	}
	e.Finish(v, facts...)
	return append(out, *v), entry.Result{}
}

// done reads what follows the client in "OK UPLOAD: Client "IP", "PATH", 3000000 bytes, 668878.42Kbyte/sec". The bytes are left out when they are 0.
func (f *vsftpd) done(e *entry.Entry, v *tallyman.Evidence, what, rest string, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	result, verb, _ := strings.Cut(what, " ")
	if result != "OK" && result != "FAIL" {
		return out, entry.Refuse(entry.WhyUnknown)
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
		return out, entry.Refuse(entry.WhyUnknown)
	}
	path, ok := strings.CutPrefix(rest, `, "`)
	if v.Op.MovesContent() {
		head, rate, cut := entry.CutLast(path, `, `)
		if !ok || !cut || !strings.HasSuffix(rate, "Kbyte/sec") {
			return out, entry.Refuse(entry.WhyUnknown)
		}
		path, v.Moved = head, 0
		if !strings.HasSuffix(head, `"`) {
			before, size, cut := entry.CutLast(head, `, `)
			n, isNumber := entry.Number(strings.TrimSuffix(size, " bytes"))
			if !cut || !isNumber || !strings.HasSuffix(size, " bytes") {
				return out, entry.Refuse(entry.WhyNumber)
			}
			path, v.Moved = before, n
		}
	}
	path, cut := strings.CutSuffix(path, `"`)
	if !ok || !cut {
		return out, entry.Refuse(entry.WhyUnknown)
	}
	v.Path = path
	if c, known := f.commands.Get(e.PID); known && ftpOp(c.verb).MovesContent() && v.Op.MovesContent() {
		v.Began, v.Name = c.at, c.name
		if v.Op = ftpOp(c.verb); c.refused != "" && !well {
			v.Kind, v.Reason, v.Moved = tallyman.KindRefusal, c.refused, -1
			e.Finish(v)
			return append(out, *v), entry.Result{}
		}
	}
	var facts []entry.Fact
	switch v.Op {
	case tallyman.OpRename:
		if strings.Count(path, " ") != 1 { // "OLD NEW", unquoted
			v.Path, v.Name, facts = "", path, []entry.Fact{entry.NewFact("name", "ambiguous")}
		} else {
			v.From, v.Path, _ = strings.Cut(path, " ")
		}
	case tallyman.OpAttrib:
		v.Path, _, _ = entry.CutLast(path, " ")
	default:
	}
	switch {
	case well:
		v.Reason = entry.WellDone(v.Op)
		facts = append(facts, unconfirmed(v)...)
	case !v.Op.MovesContent():
		v.Kind, v.Reason = tallyman.KindCommandRefused, tallyman.NotAllowed
	case v.Moved > 0:
		v.Reason, facts = tallyman.ClientGone, append(facts, entry.Assumed())
	default: // it was refused, or nothing came
		v.Kind, v.Reason, v.Moved, facts = tallyman.KindRefusal, tallyman.NotAllowed, -1, append(facts, entry.Assumed())
	}
	e.Finish(v, facts...)
	return append(out, *v), entry.Result{}
}
