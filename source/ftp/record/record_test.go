package record

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/ftp/engine"
)

func session() *Session {
	return &Session{
		Host: "here", Proc: tallyman.Proc{PID: 7}, ID: "ftp-1", Secure: true,
		Client: netip.MustParseAddrPort("192.0.2.1:1024"), Server: netip.MustParseAddrPort("192.0.2.9:21"),
	}
}

func upload() engine.Transfer {
	return engine.Transfer{
		Op: tallyman.OpPut, Began: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), Verb: "STOR", Name: "f\xff", User: "u", Path: "/srv/f", Handle: "1:2",
		Announced: -1, Size: -1, Passive: true, Codes: []int{150, 226}, Reason: tallyman.CloseNotify,
		End: engine.Ending{Bytes: 10, Delivered: -1, TLS: "TLS 1.3", Resumed: true, Peer: netip.MustParseAddrPort("192.0.2.1:2000"), Local: netip.MustParseAddrPort("192.0.2.9:50000")},
	}
}

func TestEvidenceOfOneTransferNamesItAlike(t *testing.T) {
	s, x := session(), upload()
	all := append(s.Begin(&x), s.Progress(&x), s.Stored(x, 10, "sha256:aa"), s.Finish(&x))
	all = append(all, s.Refuse(&x)...)
	kinds := ""
	for _, e := range all {
		kinds += e.Kind.String() + " "
		if e.Peer != s.Client || e.Self != s.Server || e.Began != x.Began || e.Name != "f\xff" || e.Host != "here" || e.Witness != "server" || e.Proto != "ftps" ||
			e.Session != "ftp-1" || e.User != "u" || e.Proc.PID != 7 || e.File != "1:2" {
			t.Errorf("%v says %+v", e.Kind, e)
		}
	}
	if kinds != "request opened progress closed closed request refusal " {
		t.Error(kinds)
	}
	if e := all[3]; e.Reason != tallyman.ReplyUnacknowledged || e.Size != 10 || e.Digest != "sha256:aa" {
		t.Errorf("stored says %+v", e)
	}
	if e := all[4]; e.Reason != tallyman.CloseNotify || e.Moved != 10 ||
		e.Details != `{"command":"STOR","data":"192.0.2.1:2000>192.0.2.9:50000","data_mode":"passive","replies":[150,226],"tls":"TLS 1.3","tls_resumed":true,"type":"I"}` {
		t.Errorf("closed says %+v", e)
	}
}

func TestADownloadThatFailedClaimsOnlyWhatWasDelivered(t *testing.T) {
	s, x := session(), upload()
	x.Op, x.Size, x.Offset, x.End.Delivered = tallyman.OpGet, 100, 20, 4
	if e := s.Finish(&x); e.Moved != 4 || e.Expected != 80 || e.Size != 100 {
		t.Errorf("%+v", e)
	}
}

func TestNamesAndEventsAreTold(t *testing.T) {
	s := session()
	e := s.Named(&engine.Named{Op: tallyman.OpRename, Name: "a", Path: "/srv/a", To: "/srv/b"}, "u")
	if e.Kind != tallyman.KindClosed || e.Reason != tallyman.ClosedWell || e.From != "/srv/a" || e.Path != "/srv/b" {
		t.Errorf("%+v", e)
	}
	e = s.Named(&engine.Named{Op: tallyman.OpDelete, Path: "/srv/a", Err: &engine.Refusal{Reason: tallyman.Policy, Text: "no"}}, "u")
	if e.Kind != tallyman.KindRefusal || e.Reason != tallyman.Policy || e.Err != "no" {
		t.Errorf("%+v", e)
	}
	e = s.Event(&engine.Event{Kind: tallyman.KindLogin, User: "u", Text: "password over TLS"})
	if e.Kind != tallyman.KindLogin || e.User != "u" || e.Session != "ftp-1" || e.Size != -1 {
		t.Errorf("%+v", e)
	}
}

func FuzzFactsAreJSON(f *testing.F) {
	f.Add("STOR", "TLS 1.3", int64(5), 226)
	f.Add("\"\\\x00\xff", "\u202e", int64(-5), -1)
	f.Fuzz(func(t *testing.T, verb, version string, n int64, code int) {
		x := engine.Transfer{Verb: verb, Offset: n, Announced: n, Codes: []int{code, code}, ASCII: n%2 == 0, End: engine.Ending{TLS: version, Strangers: code, Delivered: n}}
		if got := facts(&x); !json.Valid([]byte(got)) {
			t.Fatalf("%s is no JSON", got)
		}
	})
}
