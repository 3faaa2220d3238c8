package witness

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"tallyman"
)

// hostProto is the protocol of what happens on a machine, without a server.
const hostProto = "local"

// onHost sums up what the files say of what was done on this machine.
func onHost(t *tallyman.Transfer) []tallyman.Fact {
	var out list
	var s struct {
		Cmdline, Comm, Container, Exe, Found, Mode, Owner, Target, Type string
		Parents                                                         []string
		Login                                                           *int64 `json:"login_uid"`
		Why                                                             string `json:"who_why"`
	}
	e := &t.Evidence[len(t.Evidence)-1]
	_ = json.Unmarshal([]byte(e.Details), &s) // details that are none are shown as they are
	out.add(cmp.Or(s.Type, "file"), tallyman.Escape(e.Path), prefixed("before ", tallyman.Escape(e.From)), prefixed("points to ", s.Target))
	if e.Proc.PID != 0 {
		login := ""
		if s.Login != nil {
			login = fmt.Sprintf("logged in as user %d", *s.Login)
		}
		out.add("process", fmt.Sprintf("%s[%d]", cmp.Or(s.Exe, s.Comm, "a program"), e.Proc.PID), prefixed("as ", tallyman.Escape(e.User)), login,
			prefixed("in container ", s.Container), s.Why)
	} else {
		out.add("process", "not known: "+s.Why)
	}
	out.add("command", s.Cmdline)
	out.add("parents", strings.Join(s.Parents, ", "))
	out.add("rights", prefixed("now ", s.Mode), prefixed("of ", s.Owner))
	if e.Size >= 0 {
		out.add("size", tallyman.Count(e.Size)+" bytes")
	}
	switch s.Found {
	case "rescan":
		out.add("found", "by comparing, some time after "+e.Began.Format("2006-01-02 15:04:05")+" UTC")
	case "look":
		out.add("found", "by looking: the kernel had merged events")
	}
	return out
}
