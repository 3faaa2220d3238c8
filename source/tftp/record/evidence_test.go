package record

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/tftp/engine"
	"tallyman/source/tftp/packet"
)

// batches remembers what was recorded, call by call.
type batches [][]tallyman.Evidence

func (b *batches) Record(batch ...tallyman.Evidence) {
	*b = append(*b, append([]tallyman.Evidence(nil), batch...))
}
func (b *batches) Commit(context.Context, ...tallyman.Evidence) error { return nil }

func scribe() (*Scribe, *batches) {
	b := &batches{}
	return New(b, "here", tallyman.Proc{PID: 7}), b
}

// aRead is what the tests tell of.
func aRead() *About {
	return &About{
		Op: tallyman.OpGet, Client: netip.MustParseAddrPort("192.0.2.1:1024"), Server: netip.MustParseAddrPort("192.0.2.9:40000"),
		Began: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), Name: "boot\xff", Path: "/srv/boot", Handle: "1:2", Size: 10, Expected: 10,
		Options: "tsize\x000\x00", Grant: engine.Grant{BlockSize: 512, Window: 1, TSize: 10},
	}
}

func TestEvidenceOfOneTransferNamesItAlike(t *testing.T) {
	transfer := aRead()
	w, got := scribe()
	end := End{Outcome: engine.Outcome{Bytes: 10, LastBlock: 1, RTT: time.Millisecond}, Reason: tallyman.FinalAck, Size: -1, Digest: "sha256:aa"}
	w.Opened(transfer)
	w.Progress(transfer, 5)
	w.Ended(transfer, &end, true)
	if len(*got) != 3 {
		t.Fatalf("%d calls", len(*got))
	}
	var kinds []tallyman.Kind
	for _, batch := range *got {
		for _, e := range batch {
			kinds = append(kinds, e.Kind)
			if e.Peer != transfer.Client || e.Self != transfer.Server || e.Began != transfer.Began || e.Name != "boot\xff" ||
				e.Host != "here" || e.Witness != "server" || e.Proto != "tftp" || e.Proc.PID != 7 || e.Size != 10 {
				t.Errorf("%v says %+v", e.Kind, e)
			}
		}
	}
	if len(kinds) != 4 || kinds[0] != tallyman.KindRequest || kinds[1] != tallyman.KindOpened || kinds[2] != tallyman.KindProgress || kinds[3] != tallyman.KindClosed {
		t.Errorf("kinds are %v", kinds)
	}
	closed := (*got)[2][0]
	if closed.Moved != 10 || closed.Reason != tallyman.FinalAck || closed.Digest != "sha256:aa" || !strings.Contains(closed.Details, `"rtt_us":1000`) {
		t.Errorf("closed says %+v", closed)
	}
	if (*got)[1][0].Moved != 5 || (*got)[0][1].Moved != -1 {
		t.Error("what has moved is made up")
	}
}

func TestQuickTransferIsOneBatch(t *testing.T) {
	transfer := aRead()
	w, got := scribe()
	w.Ended(transfer, &End{Size: -1, Reason: tallyman.ClientError, Outcome: engine.Outcome{ClientSaid: true, ClientText: "enough"}}, false)
	if len(*got) != 1 || len((*got)[0]) != 2 {
		t.Fatalf("recorded %v", *got)
	}
	if e := (*got)[0][0]; e.Kind != tallyman.KindRequest || e.Time != transfer.Began {
		t.Errorf("request says %+v", e)
	}
	if e := (*got)[0][1]; e.Err != "enough" || e.Size != 10 || !strings.Contains(e.Details, `"client_code":0`) {
		t.Errorf("closed says %+v", e)
	}
}

func TestOurOwnTroubleStandsBeforeTheClientsWords(t *testing.T) {
	transfer := aRead()
	w, _ := scribe()
	e := w.Closed(transfer, &End{Size: 99, Err: "no room", Outcome: engine.Outcome{ClientSaid: true, ClientText: "bye"}})
	if e.Err != "no room" || e.Size != 99 {
		t.Errorf("closed says %+v", e)
	}
}

func TestRefusalNamesRequestAndAnswer(t *testing.T) {
	transfer := aRead()
	w, got := scribe()
	q := Request{
		Op: tallyman.OpPut, Client: transfer.Client, Server: transfer.Server,
		Request: packet.Request{Op: packet.WRQ, Name: []byte("x\n"), ModeName: []byte("octet")},
		Answer:  &packet.Error{Code: packet.FileExists},
	}
	w.Refused(&q, tallyman.Exists, "/srv/x exists")
	e := (*got)[0][0]
	if e.Kind != tallyman.KindRefusal || e.Reason != tallyman.Exists || e.Err != "/srv/x exists" || e.Name != "x\n" || e.Op != tallyman.OpPut ||
		e.Details != `{"error_code":6,"mode":"octet"}` || !e.Time.Equal(e.Began) {
		t.Errorf("refusal says %+v", e)
	}
}

func TestFloodIsOneRecordAtOnceAndOneEachTenSeconds(t *testing.T) {
	transfer := aRead()
	w, got := scribe()
	f := Flood{Reason: tallyman.RateLimited, What: "requests"}
	at := func(now time.Duration, all bool, want string) {
		t.Helper()
		*got = nil
		w.Flood(&f, now, all)
		said := ""
		if len(*got) == 1 {
			said = (*got)[0][0].Details
		}
		if said != want {
			t.Errorf("at %v: %q, want %q", now, said, want)
		}
	}
	at(0, true, "")
	f.Add(transfer.Client, transfer.Server)
	at(time.Second, false, `{"count":1}`)
	for range 1000 {
		f.Add(netip.MustParseAddrPort("192.0.2.2:5"), transfer.Server)
	}
	at(2*time.Second, false, "")
	at(11*time.Second, false, `{"count":1000}`)
	f.Add(transfer.Client, transfer.Server)
	at(12*time.Second, true, `{"count":1}`)
	if e := (*got)[0][0]; e.Reason != tallyman.RateLimited || e.Peer != transfer.Client || e.Err != "1 requests, the first by the client named here" {
		t.Errorf("flood says %+v", e)
	}
}

func TestQuotaComesBackAfterTenSeconds(t *testing.T) {
	q := Quota{Most: 2}
	takes := func(now time.Duration, want bool) {
		t.Helper()
		if q.Take(now) != want {
			t.Errorf("at %v: %v", now, !want)
		}
	}
	takes(0, true)
	takes(time.Second, true)
	takes(9*time.Second, false)
	takes(10*time.Second, true)
	takes(11*time.Second, true)
	takes(19*time.Second, false)
}
