//go:build ui

package web

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"testing"
	"time"

	"tallyman"
)

// watched reads testdata/watched.ndjson: answers of a tallyman watch about transfers with tftpd-hpa and vsftpd of Debian, as /api/v1/transfers/{id} gave
// them. Their times are moved so that the newest began half an hour ago.
func watched(t *testing.T, now time.Time) (all []*tallyman.Transfer, lanes map[tallyman.UUID][]tallyman.Lane) {
	t.Helper()
	b, err := os.ReadFile("testdata/watched.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	lanes = map[tallyman.UUID][]tallyman.Lane{}
	var newest time.Time
	in := bufio.NewScanner(bytes.NewReader(b))
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var a struct {
			Transfer *tallyman.Transfer
			Lanes    []tallyman.Lane
		}
		if err := json.Unmarshal(in.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		all, lanes[a.Transfer.ID] = append(all, a.Transfer), a.Lanes
		if a.Transfer.Start.After(newest) {
			newest = a.Transfer.Start
		}
	}
	by := now.Add(-30 * time.Minute).Sub(newest)
	for _, tr := range all {
		moved := []*time.Time{&tr.Start, &tr.End, &tr.Seen}
		for i := range tr.Evidence {
			moved = append(moved, &tr.Evidence[i].Time, &tr.Evidence[i].Began, &tr.Evidence[i].Seen)
		}
		for _, at := range moved {
			if !at.IsZero() {
				*at = tallyman.Clean(at.Add(by))
			}
		}
	}
	return all, lanes
}

// beside is what stands beside the transfers: somebody guesses a password and tries a bounce, and a witness is blind for a while.
func beside(now time.Time) []tallyman.Record {
	client, server := netip.MustParseAddrPort("192.0.2.66:4000"), netip.MustParseAddrPort("192.0.2.1:21")
	id := func(seq uint64) tallyman.UUID { return tallyman.DrawUUID(now, tallyman.ID{Epoch: 9, Seq: seq}) }
	event := func(seq uint64, kind, user, text string) *tallyman.Event {
		return &tallyman.Event{
			ID: id(seq), At: tallyman.Clean(now.Add(time.Duration(seq) * time.Second)), Host: "vm", Witness: "wire", Kind: kind, Client: client, Server: server, User: user, Text: text,
		}
	}
	return []tallyman.Record{
		event(1, "login-failed", "lu", "530 Login incorrect."), event(2, "login", "lu", ""), event(3, "command-refused", "lu", "SITE EXEC <b>ls</b>: 500 Unknown SITE command."),
		event(4, "flow", "lu", "bounce: PORT 10,9,9,9,0,80 to 192.0.2.1:21 names a third party, answered 500"),
		&tallyman.Gap{ID: id(5), Host: "vm", Witness: "wire", From: tallyman.Clean(now.Add(-time.Minute)), To: tallyman.Clean(now), Lost: 4200, Why: "the kernel dropped packets"},
	}
}
