package ftp

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"tallyman"
	"tallyman/source/logs/format/entry"
	"tallyman/source/logs/format/line"
)

// sftpgo reads the JSON log of SFTPGo, one object in a line: transfers (Upload, Download), logins, failed ones too, and changes of the tree. An FTP upload that was
// cut is logged without an error.
type sftpgo struct{}

// sftpgoRecord is the part of a line that is read.
type sftpgoRecord struct {
	Level        string `json:"level"`
	Time         string `json:"time"`
	Sender       string `json:"sender"`
	LocalAddr    string `json:"local_addr"`
	RemoteAddr   string `json:"remote_addr"`
	ClientIP     string `json:"client_ip"`
	Username     string `json:"username"`
	FilePath     string `json:"file_path"`
	TargetPath   string `json:"target_path"`
	VirtualPath  string `json:"virtual_path"`
	ConnectionID string `json:"connection_id"`
	Protocol     string `json:"protocol"`
	LoginType    string `json:"login_type"`
	SizeBytes    *int64 `json:"size_bytes"`
	ElapsedMS    *int64 `json:"elapsed_ms"`
	Error        string `json:"error"`
	Message      string `json:"message"`
}

// NewSFTPGo returns the format of SFTPGo.
func NewSFTPGo(entry.Options) entry.Format { return sftpgo{} }

// SFTPGoLine reads a line of SFTPGo's log.
func SFTPGoLine(raw string, c line.Clock) (entry.Entry, bool) {
	if !strings.HasPrefix(raw, `{"`) || !strings.Contains(raw, `"sender":`) {
		return entry.Entry{}, false
	}
	var r sftpgoRecord
	if json.Unmarshal([]byte(raw), &r) != nil {
		return entry.Entry{}, false
	}
	at, rest, ok := c.ISO(r.Time)
	return entry.Entry{Time: at, Message: raw, Raw: raw}, ok && rest == "" && r.Sender != ""
}

// Take implements entry.Format.
func (sftpgo) Take(e *entry.Entry, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	var r sftpgoRecord
	if err := json.Unmarshal([]byte(e.Message), &r); err != nil {
		return out, entry.Refuse(entry.WhyNotOwn)
	}
	if v, facts, ok := sftpgoLogin(e, &r); ok {
		e.Finish(&v, facts...)
		return append(out, v), entry.Result{}
	}
	proto := strings.ToLower(r.Protocol)
	switch proto {
	case "ssh", "scp":
		proto = "sftp"
	case "sftp", "ftp":
	default:
		return out, entry.Note("about another protocol")
	}
	v := e.Say(tallyman.KindClosed, proto)
	v.User, v.Session, v.Err = r.Username, r.ConnectionID, r.Error
	facts := sftpgoEnds(&v, &r)
	switch r.Sender {
	case "Upload", "Download":
		v.Op, v.Name, v.Path = tallyman.OpPut, r.VirtualPath, r.FilePath
		if r.Sender == "Download" {
			v.Op = tallyman.OpGet
		}
		if r.SizeBytes != nil && *r.SizeBytes >= 0 {
			v.Moved = *r.SizeBytes
		}
		if r.ElapsedMS != nil && *r.ElapsedMS >= 0 {
			v.Began = v.Time.Add(-time.Duration(*r.ElapsedMS) * time.Millisecond)
			facts = append(facts, entry.NewFact("ms", *r.ElapsedMS))
		}
		v.Reason = entry.WellDone(v.Op)
		if r.Error != "" || r.Level == "error" {
			v.Reason = sftpgoReason(r.Error)
		} else if proto == "ftp" {
			facts = append(facts, entry.Assumed())
		}
	case "connection_failed":
		v.Kind, v.Reason = tallyman.KindLoginFailed, tallyman.LoginFailed
		if r.LoginType != "" {
			facts = append(facts, entry.NewFact("method", r.LoginType))
		}
	case "Rename", "Remove", "Mkdir", "Rmdir", "Symlink", "Chmod", "Chown", "Chtimes", "Truncate":
		v.Op, v.Reason = sftpgoOp(r.Sender), tallyman.ClosedWell
		v.Name, v.Path = r.VirtualPath, r.FilePath
		if r.TargetPath != "" {
			v.From, v.Path = r.FilePath, r.TargetPath
		}
	default:
		return out, entry.Note(entry.WhySession)
	}
	e.Finish(&v, facts...)
	return append(out, v), entry.Result{}
}

// sftpgoLogin reads what stands in words only:
//
//	User "bob" logged in with "password" from ip "192.0.2.1", TLS enabled? false
//	User "bob" logged in with "keyboard-interactive", from ip "192.0.2.1", client version "SSH-2.0-x", negotiated algorithms: {...}
func sftpgoLogin(e *entry.Entry, r *sftpgoRecord) (v tallyman.Evidence, facts []entry.Fact, ok bool) {
	proto := map[string]string{"SSH": "sftp", "FTP": "ftp"}[r.Sender]
	rest, ok := strings.CutPrefix(r.Message, "User ")
	if proto == "" || !ok {
		return v, nil, false
	}
	user, rest, ok1 := quoted(rest, " logged in with ")
	method, rest, ok2 := quoted(rest, " from ip ", ", from ip ")
	address, _, ok3 := quoted(rest, "")
	if !ok1 || !ok2 || !ok3 {
		return v, nil, false
	}
	v = e.Session(tallyman.KindLogin, proto)
	v.User, v.Session = user, r.ConnectionID
	return v, append(entry.Client(&v, address), entry.NewFact("method", method)), true
}

// quoted reads a Go string at the start of text, and one of the ends behind it.
func quoted(text string, ends ...string) (value, rest string, ok bool) {
	q, err := strconv.QuotedPrefix(text)
	if err != nil {
		return "", "", false
	}
	value, err = strconv.Unquote(q)
	for _, end := range ends {
		if rest, ok = strings.CutPrefix(text[len(q):], end); ok {
			return value, rest, err == nil
		}
	}
	return "", "", false
}

// sftpgoEnds sets both ends: the client has its port.
func sftpgoEnds(v *tallyman.Evidence, r *sftpgoRecord) (facts []entry.Fact) {
	if at, ok := entry.Endpoint(r.RemoteAddr); ok {
		v.Peer = at
	} else if r.ClientIP != "" {
		facts = entry.Client(v, r.ClientIP)
	} else if r.RemoteAddr != "" {
		facts = entry.Client(v, r.RemoteAddr)
	}
	if at, ok := entry.Endpoint(r.LocalAddr); ok {
		v.Self = at
	}
	return facts
}

func sftpgoOp(sender string) tallyman.Op {
	switch sender {
	case "Rename":
		return tallyman.OpRename
	case "Remove":
		return tallyman.OpDelete
	case "Mkdir":
		return tallyman.OpMkdir
	case "Rmdir":
		return tallyman.OpRmdir
	case "Symlink":
		return tallyman.OpSymlink
	case "Truncate":
		return tallyman.OpModify
	}
	return tallyman.OpAttrib
}

// sftpgoReason is what the error of a transfer means.
func sftpgoReason(text string) tallyman.Reason {
	switch {
	case strings.Contains(text, "connection reset by peer"), strings.Contains(text, "unexpected EOF"), strings.Contains(text, "broken pipe"),
		strings.Contains(text, "use of closed network connection"):
		return tallyman.ClientGone
	case strings.Contains(text, "no space left"):
		return tallyman.DiskFull
	case strings.Contains(text, "quota"):
		return tallyman.Quota
	case strings.Contains(text, "transfer aborted"):
		return tallyman.ClientAbort
	case strings.Contains(text, "timeout"):
		return tallyman.Timeout
	}
	return tallyman.ServerError
}
