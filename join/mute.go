package join

import (
	"strings"
	"time"

	"tallyman"
)

// sftp-server of OpenSSH writes down that a file is closed, in order or forced, and then closes it (process_close and sftp_server_cleanup_exit in
// sftp-server.c). When the client is gone, and the pipe to its sshd broke while it had something to say, it dies of SIGPIPE without a line, and the kernel
// closes the file: of 64 clients that were killed at full speed, 28 left no "forced close". So a close that its log, which was followed all the time, does
// not tell is the end of a client that never said CLOSE.

// hush finds the files that were closed without a word, once the log had time to come. It looks once a second.
func (j *Join) hush() {
	if !apart(j.now, j.hushed, time.Second) {
		return
	}
	j.hushed = j.now
	for _, c := range j.ended {
		if c.face.role == filesRole && c.up != nil && !c.mute && !c.released && apart(j.now, c.heard, j.cfg.Flush) && j.unsaid(c.root()) {
			c.mute = true
			j.touch(c.root())
		}
	}
}

// unsaid reports whether the log told of the opening, the files of the end, and nobody who knows more anything.
func (j *Join) unsaid(c *cluster) bool {
	var asked, closed *tallyman.Evidence
	all, _ := c.all()
	for i := range all {
		switch e := &all[i]; {
		case proves(e):
			return false
		case e.Witness == "log" && ends(e) && !mistakable(e):
			return false
		case e.Witness == "log" && e.Proto == "sftp" && e.Kind == tallyman.KindRequest && e.Proc.PID != 0:
			asked = e
		case e.Witness == "files" && e.Kind == tallyman.KindClosed && !strings.Contains(e.Details, `"close":"unseen"`):
			closed = e
		}
	}
	return asked != nil && closed != nil && !j.unread(asked, closed.Time.Add(j.cfg.Flush))
}

// unread reports whether lines may have been missed between the request and a moment.
func (j *Join) unread(asked *tallyman.Evidence, until time.Time) bool {
	for i := range j.gaps {
		if g := &j.gaps[i]; g.Witness == asked.Witness && g.Host == asked.Host && !g.Time.Before(asked.Time) && !g.Began.After(until) {
			return true
		}
	}
	return false
}
