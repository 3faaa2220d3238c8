package rule

import (
	"encoding/json"
	"fmt"
	"strings"

	"tallyman"
)

// bounce finds clients that let an FTP server connect to a third party (RFC 2577, section 3).
type bounce struct{ told }

func newBounce(cfg Config) detector { return &bounce{newTold(cfg)} }

// asked opens the text of an event that tells of a third party: a flow on the wire, a refused command in a log (join).
const asked = "bounce:"

func (b *bounce) take(r tallyman.Record) (found, bool) {
	switch r := r.(type) {
	case *tallyman.Event:
		if strings.HasPrefix(r.Text, asked) && r.Client.IsValid() {
			to := "a third party"
			if r.Kind == tallyman.KindFlow.String() && r.Server.IsValid() {
				to = r.Server.String()
			}
			return b.find(r, keyOf(r.Client.Addr().Unmap(), r.Host), fmt.Sprintf("%s asked an FTP server to connect to %s: %s", r.Client.Addr().Unmap(), to, tallyman.Escape(strings.TrimSpace(strings.TrimPrefix(r.Text, asked)))))
		}
	case *tallyman.Transfer:
		if r.Judgement.Reason == tallyman.Bounce && r.Merged.IsZero() && r.Client.IsValid() {
			var d struct{ Bounce string }
			to := "a third party"
			if json.Unmarshal([]byte(r.Details), &d) == nil && d.Bounce != "" {
				to = tallyman.Escape(d.Bounce)
			}
			client := r.Client.Addr().Unmap()
			return b.find(r, keyOf(client, r.Host), fmt.Sprintf("%s asked an FTP server to connect to %s, for %s “%s”: %s", client, to, r.Op, r.File(), r.Judgement.Word()))
		}
	}
	return found{}, false
}

// find makes the finding about a record, if its key was not told of late.
func (t told) find(r tallyman.Record, key, why string) (found, bool) {
	f := found{key: key, why: why}
	switch r := r.(type) {
	case *tallyman.Event:
		f.at, f.about = r.At, []tallyman.UUID{r.ID}
	case *tallyman.Transfer:
		f.at, f.about = r.Start, []tallyman.UUID{r.ID}
	}
	return f, !t.again(key, f.about[0], f.at)
}
