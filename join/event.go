package join

import (
	"encoding/json"
	"strings"

	"tallyman"
)

func event(e *tallyman.Evidence, id tallyman.UUID) *tallyman.Event {
	v := &tallyman.Event{
		ID: id, At: e.Time, Host: e.Host, Witness: e.Witness, Kind: e.Kind.String(), Client: e.Peer, Server: e.Self,
		User: e.User, Proc: e.Proc, Path: e.Path, Login: e.Session, Text: eventText(e),
	}
	if e.Kind == tallyman.KindMounted || e.Kind == tallyman.KindUnmounted {
		v.ToClass, v.Device = onWhat(e)
	}
	return v
}

// onWhat is the class of what was mounted, and its device in one line. Without details it is what its volume is called.
func onWhat(e *tallyman.Evidence) (class, device string) {
	var d struct {
		Class  string `json:"to_class"`
		Device string `json:"device"`
	}
	if json.Unmarshal([]byte(e.Details), &d) != nil || d.Device == "" {
		return d.Class, e.Volume
	}
	return d.Class, d.Device
}

// eventText is what the witness said, with what its reason and details say besides: an event has no field for them.
func eventText(e *tallyman.Evidence) string {
	mark := ""
	switch { // Event.Says knows these words too
	case e.Reason == tallyman.Bounce, e.Reason == tallyman.DataPeerMismatch:
		mark = string(e.Reason) + ":"
	case e.Kind == tallyman.KindLoginFailed && strings.Contains(e.Details, `"repeats":true`):
		mark = "told before:"
	}
	if strings.HasPrefix(e.Err, mark) {
		return e.Err
	}
	return strings.TrimSpace(mark + " " + e.Err)
}
