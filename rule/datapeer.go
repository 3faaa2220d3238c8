package rule

import (
	"fmt"
	"strings"

	"tallyman"
)

// dataPeer finds data connections that come from somebody else than the client: the data of a transfer was stolen, or put in (RFC 2577, section 3).
type dataPeer struct{ told }

func newDataPeer(cfg Config) detector { return &dataPeer{newTold(cfg)} }

// stranger opens the text of an event in which a server turned such a connection away (join).
const stranger = "data-peer-mismatch:"

func (d *dataPeer) take(r tallyman.Record) (found, bool) {
	switch r := r.(type) {
	case *tallyman.Event:
		if strings.HasPrefix(r.Text, stranger) && r.Client.IsValid() {
			client := r.Client.Addr().Unmap()
			return d.find(r, keyOf(client, r.Host), fmt.Sprintf("the data connection of %s did not come from %s: %s", client, client, tallyman.Escape(r.Text)))
		}
	case *tallyman.Transfer:
		if r.Judgement.Reason == tallyman.DataPeerMismatch && r.Merged.IsZero() && r.Client.IsValid() {
			client := r.Client.Addr().Unmap()
			return d.find(r, keyOf(client, r.Host), fmt.Sprintf("the data connection of %s “%s” did not come from its client %s: %s", r.Op, r.File(), client, r.Judgement.Word()))
		}
	}
	return found{}, false
}
