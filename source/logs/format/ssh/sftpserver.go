package ssh

import (
	"strings"
	"time"

	"tallyman"
	"tallyman/source/logs/format/entry"
)

// sftpServer reads internal-sftp and sftp-server of OpenSSH at level INFO (-l INFO): one process per session. "close" and "forced close" are the best
// claims that a log makes. Names are escaped by vis(3), and come back as the bytes they were.
//
// "sent status" is the answer to the request before it, which may be one that is not logged (stat, write): behind an open it is only assumed. A client may
// close a file in order after its writes have failed: the lines in between say so.
type sftpServer struct {
	sessions *entry.Memo[int32, *sftpSession]
	handles  int                    // that the sessions hold, and those of sessions that were forgotten
	waiting  map[int32]*sftpSession // those whose last command waits for its answer
	ssh      *Silence
}

type sftpSession struct {
	user, peer string
	open       map[string]sftpOpen // by path
	last       sftpLast
	silent     bool // sshd gave its client up
}

type sftpOpen struct {
	at     time.Time
	op     tallyman.Op
	failed tallyman.Reason // of a read or write that failed
	text   string          // what the server said of that
	doubt  bool            // something failed, and it may have been a write
}

// sftpLast is the request that the next status may answer.
type sftpLast struct {
	entry    entry.Entry
	op       tallyman.Op
	name, to string
}

// mostHandles bounds the open files of a session; OpenSSH itself stops at the limit of descriptors. allHandles bounds those of all sessions: beyond it all
// sessions are forgotten, so that a log that tells of no close costs pairings, never memory.
const (
	mostHandles = 4096
	allHandles  = 1 << 16
)

// NewSFTPServer returns the format of internal-sftp and sftp-server.
func NewSFTPServer(silence *Silence) entry.Format {
	return &sftpServer{sessions: entry.NewMemo[int32, *sftpSession](), waiting: map[int32]*sftpSession{}, ssh: silence}
}

// Take implements entry.Format.
func (f *sftpServer) Take(e *entry.Entry, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	m := strings.TrimSuffix(e.Message, " [postauth]")
	s, known := f.sessions.Get(e.PID)
	if !known || e.PID == 0 {
		s = &sftpSession{open: map[string]sftpOpen{}}
		if e.PID != 0 {
			f.sessions.Put(e.PID, s)
		}
	}
	if status, ok := strings.CutPrefix(m, "sent status "); ok {
		return f.status(e, s, status, out)
	}
	out = s.answer(out, entry.Assumed())
	delete(f.waiting, e.PID)
	verb, rest, _ := strings.Cut(m, " ")
	switch verb {
	case "session":
		return f.session(e, s, rest, out)
	case "open":
		return f.open(e, s, rest, out)
	case "close":
		return f.close(e, s, rest, tallyman.ClosedWell, out)
	case "forced":
		if rest, ok := strings.CutPrefix(rest, "close "); ok {
			return f.close(e, s, rest, tallyman.ClientGone, out)
		}
	case "error:":
		return f.broken(e.PID, s, rest, out)
	case "opendir", "closedir":
		return f.list(e, s, rest, verb == "opendir", out)
	case "remove":
		return f.command(e, s, tallyman.OpDelete, strings.TrimPrefix(rest, "name "), "", out)
	case "rmdir":
		return f.command(e, s, tallyman.OpRmdir, strings.TrimPrefix(rest, "name "), "", out)
	case "mkdir":
		rest, _, ok := entry.CutLast(strings.TrimPrefix(rest, "name "), " mode 0")
		if ok {
			return f.command(e, s, tallyman.OpMkdir, rest, "", out)
		}
	case "rename", "posix-rename", "symlink", "link", "hardlink":
		op := tallyman.OpRename
		if verb == "symlink" {
			op = tallyman.OpSymlink
		} else if strings.HasSuffix(verb, "link") {
			op = tallyman.OpLink
		}
		from, ok := strings.CutPrefix(rest, "old ")
		if strings.Count(from, `" new "`) > 1 {
			return out, entry.Refuse(entry.WhyAmbiguous)
		}
		if from, to, cut := strings.Cut(from, `" new "`); ok && cut {
			return f.command(e, s, op, from+`"`, `"`+to, out)
		}
	case "set":
		if i := strings.LastIndex(rest, `" `); i > 0 {
			return f.command(e, s, tallyman.OpAttrib, rest[:i+1], "", out)
		}
	case "received", "statvfs", "fsync", "copy-data:", "lsetstat", "fsetstat", "setstat", "debug1:", "debug2:", "debug3:", "read", "write", "realpath", "lstat", "stat", "fstat", "limits", "sent":
		return out, entry.Note(entry.WhyProgress)
	}
	return out, entry.Refuse(entry.WhyUnknown)
}

// of starts evidence about the session.
func (s *sftpSession) of(e *entry.Entry, kind tallyman.Kind) tallyman.Evidence {
	v := e.Session(kind, "sftp")
	v.User = s.user
	if at, ok := entry.Peer(s.peer); ok {
		v.Peer = at
	}
	return v
}

// Session reads "opened for local user U from [IP]".
func (f *sftpServer) session(e *entry.Entry, s *sftpSession, rest string, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	what, rest, ok := strings.Cut(rest, " for local user ")
	user, ip, cut := entry.CutLast(rest, " from [")
	ip, end := strings.CutSuffix(ip, "]")
	if !ok || !cut || !end {
		return out, entry.Refuse(entry.WhyUnknown)
	}
	switch what {
	case "opened":
		f.handles -= len(s.open)
		*s = sftpSession{user: entry.Keep(user), peer: entry.Keep(ip), open: map[string]sftpOpen{}}
		f.ssh.begin(s.user, s.peer)
	case "closed":
		f.handles -= len(s.open)
		f.sessions.Drop(e.PID)
		f.ssh.end(user, ip)
	default:
		return out, entry.Refuse(entry.WhyUnknown)
	}
	return out, entry.Note(entry.WhySession)
}

// open reads `"P" flags WRITE,CREATE,TRUNCATE mode 0644`.
func (f *sftpServer) open(e *entry.Entry, s *sftpSession, rest string, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	quoted, flags, ok := entry.CutLast(rest, " flags ")
	flags, mode, cut := strings.Cut(flags, " mode 0")
	path, isPath := unquote(quoted)
	if !ok || !cut || !isPath || strings.Contains(flags, " ") || mode != "" && !entry.DigitsOnly(mode) {
		return out, entry.Refuse(entry.WhyUnknown)
	}
	o := sftpOpen{at: tallyman.Clean(e.Time), op: tallyman.OpGet}
	switch {
	case strings.Contains(flags, "APPEND"):
		o.op = tallyman.OpAppend
	case strings.Contains(flags, "WRITE"):
		o.op = tallyman.OpPut
	}
	f.hold(e.PID, s, path, o)
	s.last = sftpLast{op: o.op, name: entry.Keep(path)}
	v := s.of(e, tallyman.KindRequest)
	v.Op, v.Name, v.Path, v.Began = o.op, path, path, o.at
	e.Finish(&v, entry.NewFact("flags", flags))
	return append(out, v), entry.Result{}
}

// close reads `"P" bytes read R written W`.
func (f *sftpServer) close(e *entry.Entry, s *sftpSession, rest string, reason tallyman.Reason, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	quoted, counts, ok := entry.CutLast(rest, " bytes read ")
	digits, digits2, cut := strings.Cut(counts, " written ")
	read, isRead := entry.Number(digits)
	written, isWritten := entry.Number(digits2)
	path, isPath := unquote(quoted)
	if !ok || !cut || !isRead || !isWritten || !isPath {
		return out, entry.Refuse(entry.WhyUnknown)
	}
	o := f.drop(s, path)
	switch {
	case o.op != tallyman.NoOp:
	case written > 0:
		o.op = tallyman.OpPut
	case read > 0:
		o.op = tallyman.OpGet
	}
	v := s.of(e, tallyman.KindClosed)
	v.Op, v.Name, v.Path, v.Began, v.Moved = o.op, path, path, o.at, written
	if o.op == tallyman.OpGet {
		v.Moved = read
	}
	var facts []entry.Fact
	if read > 0 && written > 0 {
		facts = []entry.Fact{entry.NewFact("read", read), entry.NewFact("written", written)}
	}
	switch v.Reason = reason; {
	case o.failed != "":
		v.Reason, v.Err = o.failed, o.text
	case reason == tallyman.ClientGone && (s.silent || f.ssh.took(s.user, s.peer, e.Time)):
		v.Reason, s.silent = tallyman.ClientSilent, true
	case o.doubt:
		facts = append(facts, entry.Assumed())
	}
	e.Finish(&v, facts...)
	return append(out, v), entry.Result{}
}

// longestName is how much of a name these lines hold (sftp-server.c: %.100s).
const longestName = 100

// broken reads `process_write: write "P": No space left on device`, and the same of read and seek.
func (f *sftpServer) broken(pid int32, s *sftpSession, rest string, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	function, rest, _ := strings.Cut(rest, ": ")
	verb, rest, ok := strings.Cut(rest, " ")
	quoted, text, cut := entry.CutLast(rest, ": ")
	path, isPath := unquote(quoted)
	if !ok || !cut || !isPath || function != "process_write" && function != "process_read" || verb != "write" && verb != "read" && verb != "seek" {
		return out, entry.Refuse(entry.WhyUnknown)
	}
	for name, o := range s.open {
		if name == path || len(path) == longestName && strings.HasPrefix(name, path) {
			o.failed, o.text = entry.FileReason(text, tallyman.IOError), entry.Keep(text)
			s.open[name] = o
			return out, entry.Note(entry.WhyProgress)
		}
	}
	if len(s.open) < mostHandles && len(path) < longestName { // its open was not seen
		f.hold(pid, s, path, sftpOpen{failed: entry.FileReason(text, tallyman.IOError), text: entry.Keep(text)})
	}
	return out, entry.Note(entry.WhyProgress)
}

// hold remembers an open file.
func (f *sftpServer) hold(pid int32, s *sftpSession, path string, o sftpOpen) {
	if pid == 0 {
		return // the next line does not know this session
	}
	if len(s.open) >= mostHandles {
		f.handles -= len(s.open)
		clear(s.open)
	}
	if f.handles >= allHandles {
		clear(s.open)
		f.sessions, f.handles = entry.NewMemo[int32, *sftpSession](), 0
		f.sessions.Put(pid, s)
	}
	f.handles -= len(s.open)
	s.open[entry.Keep(path)] = o
	f.handles += len(s.open)
}

// drop forgets an open file and returns what was known of it.
func (f *sftpServer) drop(s *sftpSession, path string) sftpOpen {
	o := s.open[path]
	f.handles -= len(s.open)
	delete(s.open, path)
	f.handles += len(s.open)
	return o
}

func (f *sftpServer) list(e *entry.Entry, s *sftpSession, rest string, begins bool, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	path, ok := unquote(rest)
	if !ok {
		return out, entry.Refuse(entry.WhyUnknown)
	}
	v := s.of(e, tallyman.KindRequest)
	v.Op, v.Name, v.Path, v.Began = tallyman.OpList, path, path, tallyman.Clean(e.Time)
	if begins {
		f.hold(e.PID, s, path, sftpOpen{at: v.Began, op: tallyman.OpList})
		s.last = sftpLast{op: tallyman.OpList, name: entry.Keep(path)}
	} else {
		v.Kind, v.Reason, v.Began = tallyman.KindClosed, tallyman.ClosedWell, f.drop(s, path).at
	}
	e.Finish(&v)
	return append(out, v), entry.Result{}
}

// command keeps what changes the tree back until the answer is known: only a failure has a line of its own.
func (f *sftpServer) command(e *entry.Entry, s *sftpSession, op tallyman.Op, quoted, to string, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	name, ok := unquote(quoted)
	target, ok2 := "", true
	if to != "" {
		target, ok2 = unquote(to)
	}
	if !ok || !ok2 {
		return out, entry.Refuse(entry.WhyUnknown)
	}
	s.last = sftpLast{entry: *e, op: op, name: name, to: target}
	if e.PID == 0 || len(f.waiting) >= mostWaiting {
		return s.answer(out, entry.Assumed()), entry.Result{}
	}
	f.waiting[e.PID] = s
	return out, entry.Note(entry.WhyPending)
}

// answer tells the command that had no failure.
func (s *sftpSession) answer(out []tallyman.Evidence, facts ...entry.Fact) []tallyman.Evidence {
	last := s.last
	s.last = sftpLast{}
	if last.entry.Raw == "" && last.entry.Message == "" {
		return out
	}
	v := s.of(&last.entry, tallyman.KindClosed)
	v.Op, v.Name, v.Path, v.Reason = last.op, last.name, last.name, tallyman.ClosedWell
	if last.to != "" {
		v.From, v.Path = last.name, last.to
	}
	last.entry.Finish(&v, facts...)
	return append(out, v)
}

// Settle implements entry.Settler.
func (f *sftpServer) Settle(then time.Time, out []tallyman.Evidence) []tallyman.Evidence {
	for pid, s := range f.waiting {
		if !s.last.entry.Time.After(then) {
			out = s.answer(out, entry.Assumed())
			delete(f.waiting, pid)
		}
	}
	return out
}

// answered is how soon behind its open the failure of one is written down. What comes later answers another request, one that is not logged.
const answered = 250 * time.Millisecond

// status reads the failure of a request. From DEBUG on (log_level above VERBOSE, sftp-server.c) success is written down too.
func (f *sftpServer) status(e *entry.Entry, s *sftpSession, status string, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	last := s.last
	delete(f.waiting, e.PID)
	if status == "Success" {
		n := len(out)
		if out = s.answer(out); len(out) > n {
			return out, entry.Result{}
		}
		return out, entry.Note(entry.WhyProgress)
	}
	s.last = sftpLast{}
	if last.op.MovesContent() && tallyman.Clean(e.Time).Sub(s.open[last.name].at) > answered {
		last.op = tallyman.NoOp
	}
	if last.op == tallyman.NoOp && status == "Failure" {
		s.suspect()
	}
	if last.op == tallyman.NoOp || status == "End of file" {
		return out, entry.Note(entry.WhyProgress)
	}
	v := s.of(e, tallyman.KindRefusal)
	if !last.op.MovesContent() {
		v.Kind = tallyman.KindCommandRefused
	}
	v.Op, v.Name, v.Path, v.Err, v.Reason = last.op, last.name, last.name, status, entry.FileReason(status, entry.Denial(last.op))
	if last.to != "" {
		v.From, v.Path = last.name, last.to
	}
	if o, known := s.open[last.name]; known {
		v.Began = o.at
	}
	e.Finish(&v, entry.Assumed())
	return append(out, v), entry.Result{}
}

// suspect doubts each upload that runs: a write that was cut short is answered "Failure", and has no line that names it.
func (s *sftpSession) suspect() {
	for name, o := range s.open {
		if o.op == tallyman.OpPut || o.op == tallyman.OpAppend {
			o.doubt = true
			s.open[name] = o
		}
	}
}

// unquote takes the quotes off and undoes vis(3) with VIS_CSTYLE, VIS_NL, VIS_TAB and VIS_OCTAL (log.c of OpenSSH). A quote in a name is not escaped.
func unquote(s string) (string, bool) {
	s, ok := entry.Between(s, `"`, `"`)
	if !ok || !strings.Contains(s, `\`) {
		return s, ok
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b = append(b, s[i])
			continue
		}
		i++
		if i >= len(s) {
			return "", false
		}
		if s[i] >= '0' && s[i] <= '3' && i+2 < len(s) && octal(s[i+1]) && octal(s[i+2]) {
			b = append(b, (s[i]-'0')<<6|(s[i+1]-'0')<<3|(s[i+2]-'0'))
			i += 2
			continue
		}
		at := strings.IndexByte(visLetters, s[i])
		if at < 0 {
			return "", false
		}
		b = append(b, visBytes[at])
	}
	return string(b), true
}

// A letter behind a backslash, and the byte that it stands for.
const (
	visLetters = `nrtbavf0s\`
	visBytes   = "\n\r\t\b\a\v\f\x00 \\"
)

func octal(c byte) bool { return c >= '0' && c <= '7' }
