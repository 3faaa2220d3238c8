package join_test

import (
	"net/netip"
	"testing"
	"time"

	"tallyman"
)

// named tells of one operation, as the witness does.
func (s *story) named(witness string, kind tallyman.Kind, op tallyman.Op, reason tallyman.Reason) {
	s.tell(time.Second, kind, func(e *tallyman.Evidence) {
		e.Witness, e.Proto, e.Op, e.Reason, e.Began, e.Name, e.Path = witness, "sftp", op, reason, t0, "a", "/srv/a"
		e.Peer = netip.MustParseAddrPort("10.0.0.7:1234")
		if op == tallyman.OpRename {
			e.From, e.Path = "/srv/a", "/srv/b"
		}
	})
}

func TestWhatMovesNoContentIsGivenNoVerdict(t *testing.T) {
	f := func(witness string, kind tallyman.Kind, reason tallyman.Reason, outcome string) {
		t.Helper()
		for _, op := range []tallyman.Op{tallyman.OpRename, tallyman.OpDelete, tallyman.OpMkdir, tallyman.OpRmdir, tallyman.OpLink} {
			var s story
			s.named(witness, kind, op, reason)
			got := records(t, patient(), s.list)
			if len(got) != 1 {
				t.Fatalf("%s of %s: %d records", op, witness, len(got))
			}
			j := got[0].Judgement
			if j.Verdict != tallyman.NoVerdict || j.Outcome() != outcome || got[0].Content != tallyman.NoContent || !tallyman.Legal(j.Verdict, j.Reason) {
				t.Errorf("%s of %s: %+v, %s, content %s", op, witness, j, j.Outcome(), got[0].Content)
			}
			if op == tallyman.OpRename && (got[0].Path != "/srv/a" || got[0].NewPath != "/srv/b") {
				t.Errorf("renamed from %q to %q", got[0].Path, got[0].NewPath)
			}
		}
	}
	f("server", tallyman.KindClosed, tallyman.ClosedWell, "success")
	f("server", tallyman.KindRefusal, tallyman.NotFound, "failure")
	f("server", tallyman.KindClosed, tallyman.ControlLost, "failure")
	f("log", tallyman.KindClosed, tallyman.ClosedWell, "unknown") // a claim
	f("log", tallyman.KindRefusal, tallyman.NotAllowed, "failure")
}

// What runs is found again after a restart: it is active, as whatever runs.
func TestWhatMovesNoContentIsActiveWhileItRuns(t *testing.T) {
	var s story
	s.named("server", tallyman.KindRequest, tallyman.OpMkdir, "")
	if got := records(t, patient(), s.list); len(got) != 1 || got[0].Judgement.Verdict != tallyman.Active || got[0].Judgement.Outcome() != "" {
		t.Errorf("%+v", got)
	}
}

// Only the rest of the content moved: the record says so, unless a digest of the whole is known.
func TestAResumedTransferSawAPartOfTheContent(t *testing.T) {
	f := func(details string, digest tallyman.Digest, want tallyman.Content) {
		t.Helper()
		var s story
		s.tell(time.Second, tallyman.KindClosed, func(e *tallyman.Evidence) {
			e.Proto, e.Op, e.Reason, e.Began, e.Name, e.Moved, e.Details, e.Digest = "ftp", tallyman.OpGet, tallyman.ReplyAcknowledged, t0, "a", 500, details, digest
			e.Peer = netip.MustParseAddrPort("10.0.0.7:1234")
		})
		if got := records(t, patient(), s.list); len(got) != 1 || got[0].Judgement.Verdict != tallyman.Complete || got[0].Content != want || got[0].Digest != digest {
			t.Errorf("%s: %+v", details, got)
		}
	}
	f(`{"command":"RETR"}`, "", tallyman.Full)
	f(`{"command":"RETR","offset":500}`, "", tallyman.Partial)
	f(`{"command":"STOR","offset":500}`, "sha256:aa", tallyman.Full)
}
