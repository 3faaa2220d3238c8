package join_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tallyman"
)

// end is what one witness says of the end of the transfer that request began.
func (s *story) end(witness string, reason tallyman.Reason, change func(*tallyman.Evidence)) {
	s.tell(4*time.Second, tallyman.KindClosed, func(e *tallyman.Evidence) {
		e.Peer, e.Began, e.Op = netip.MustParseAddrPort("10.0.0.7:1234"), t0, s.list[0].Op
		e.Witness, e.Reason = witness, reason
		if change != nil {
			change(e)
		}
	})
}

func TestWitnessesAreWeighed(t *testing.T) {
	is := func(what string, op tallyman.Op, server tallyman.Reason, verdict tallyman.Verdict, reason tallyman.Reason, against string, more func(*story)) {
		t.Helper()
		var s story
		s.request(0, "10.0.0.7:1234", "fw.bin", op, server)
		more(&s)
		for range 2 {
			got := records(t, patient(), s.list)
			if len(got) != 1 {
				t.Fatalf("%s: %d records", what, len(got))
			}
			j := got[0].Judgement
			if j.Verdict != verdict || j.Reason != reason || fmt.Sprint(j.Against) != "["+against+"]" {
				t.Errorf("%s: %s %s, against %v", what, j.Verdict, j.Reason, j.Against)
			}
			slices.Reverse(s.list)
		}
	}
	get, put := tallyman.OpGet, tallyman.OpPut
	is("packets against the server", get, tallyman.FinalAck, tallyman.Contradicted, tallyman.OutcomeMismatch, "wire", func(s *story) {
		s.end("wire", tallyman.ClientSilent, nil)
	})
	is("packets that come first", get, tallyman.ClientSilent, tallyman.Contradicted, tallyman.OutcomeMismatch, "wire", func(s *story) {
		s.end("wire", tallyman.FinalAck, func(e *tallyman.Evidence) { e.Time = t0.Add(time.Millisecond) })
	})
	is("packets prove what the server could not", get, tallyman.DeliveredUnconfirmed, tallyman.Complete, tallyman.FinalAck, "", func(s *story) {
		s.end("wire", tallyman.FinalAck, nil)
	})
	is("a log that claims success beside proof of failure", put, tallyman.ClientSilent, tallyman.Failed, tallyman.ClientSilent, "log", func(s *story) {
		s.end("log", tallyman.Stored, nil)
	})
	is("a log that knows nothing contradicts nobody", get, tallyman.FinalAck, tallyman.Complete, tallyman.FinalAck, "", func(s *story) {
		s.end("log", tallyman.ClosedUnproven, nil)
	})
	is("log and files disagree", put, "", tallyman.Contradicted, tallyman.OutcomeMismatch, "log", func(s *story) {
		s.end("files", tallyman.ClosedWell, nil)
		s.end("log", tallyman.ClientSilent, nil)
	})
	is("log and files agree, and nobody proves it", put, "", tallyman.Active, "", "", func(s *story) {
		s.end("files", tallyman.ClosedWell, nil)
		s.end("log", tallyman.Stored, nil)
	})
	is("the file is shorter than what came", put, tallyman.Stored, tallyman.Contradicted, tallyman.StoredShort, "", func(s *story) {
		s.end("files", tallyman.ClosedWell, func(e *tallyman.Evidence) { e.Size = 2999 })
	})
	is("netascii makes a file shorter", put, tallyman.Stored, tallyman.Complete, tallyman.Stored, "", func(s *story) {
		s.list[len(s.list)-1].Details = `{"mode":"netascii"}`
		s.end("files", tallyman.ClosedWell, func(e *tallyman.Evidence) { e.Size, e.Details = 2900, `{"modified":true}` })
	})
	is("another size came than was announced", put, "", tallyman.Contradicted, tallyman.AnnouncedSize, "", func(s *story) {
		s.end("wire", tallyman.Stored, func(e *tallyman.Evidence) { e.Moved, e.Expected = 3000, 4000 })
	})
	is("a broken upload has another digest than the file of that name", put, tallyman.ClientSilent, tallyman.Failed, tallyman.ClientSilent, "", func(s *story) {
		s.end("hash", "", func(e *tallyman.Evidence) { e.Kind, e.Digest = tallyman.KindDigested, "sha256:bb" })
	})
	is("digests of one kind differ behind one of another", get, tallyman.FinalAck, tallyman.Contradicted, tallyman.HashMismatch, "", func(s *story) {
		s.end("hash", "", func(e *tallyman.Evidence) { e.Kind, e.Digest, e.Time = tallyman.KindDigested, "md5:cc", t0 })
		s.end("wire", tallyman.FinalAck, func(e *tallyman.Evidence) { e.Digest = "sha256:dd" })
	})
}

func TestPacketsOfTheControlConnectionAloneProveNoContent(t *testing.T) {
	var s story
	s.list = append(s.list, tallyman.Evidence{Op: tallyman.OpPut})
	s.end("wire", tallyman.ReplyAcknowledged, nil)
	got := records(t, patient(), s.list[1:])[0]
	if got.Judgement.Verdict != tallyman.Complete || got.Content != tallyman.Absent {
		t.Errorf("%+v, content %s", got.Judgement, got.Content)
	}
}

// TestAnyTestimonyGivesALegalRecord lets all witnesses say anything.
func TestContentIsWhatThePacketsShowed(t *testing.T) {
	f := func(details string, sum tallyman.Digest, want tallyman.Content) {
		t.Helper()
		e := tallyman.Unknown()
		e.Host, e.Witness, e.Kind, e.Proto, e.Op = "lab", "wire", tallyman.KindClosed, "ftp", tallyman.OpGet
		e.Time, e.Began, e.Peer, e.Reason = t0.Add(time.Second), t0, netip.MustParseAddrPort("10.0.0.7:1234"), tallyman.ReplyAcknowledged
		e.Moved, e.Details, e.Digest = 1000, details, sum
		if got := records(t, patient(), []tallyman.Evidence{e}); len(got) != 1 || got[0].Judgement.Verdict != tallyman.Complete || got[0].Content != want {
			t.Errorf("%s: %+v", details, got)
		}
	}
	f(`{"command":"RETR"}`, "sha256:00", tallyman.Full)
	f(`{"headers_only":true}`, "", tallyman.Absent)
	f(`{"missing_bytes":7}`, "", tallyman.Partial)
	f(`{"late":true}`, "", tallyman.Partial)
}

func TestRequestAndAnswerOfAnotherPortAreOneTransfer(t *testing.T) {
	request := tallyman.Unknown()
	request.Host, request.Witness, request.Kind, request.Proto, request.Op = "lab", "wire", tallyman.KindRequest, "tftp", tallyman.OpGet
	request.Time, request.Began, request.Peer, request.Self = t0, t0, netip.MustParseAddrPort("10.0.0.7:1234"), netip.MustParseAddrPort("10.0.0.1:69")
	closed := request
	closed.Kind, closed.Time, closed.Self, closed.Reason, closed.Moved = tallyman.KindClosed, t0.Add(time.Second), netip.MustParseAddrPort("10.0.0.1:40000"), tallyman.FinalAck, 5
	got := records(t, patient(), []tallyman.Evidence{request, closed})
	if len(got) != 1 || got[0].Judgement.Verdict != tallyman.Complete {
		t.Errorf("%d records: %+v", len(got), got)
	}
}

func TestAnyTestimonyGivesALegalRecord(t *testing.T) {
	reasons := append(tallyman.Reasons(), "", "no-such-code")
	rapid.Check(t, func(rt *rapid.T) {
		var s story
		for range rapid.IntRange(1, 8).Draw(rt, "evidence") {
			kind := rapid.SampledFrom([]tallyman.Kind{
				tallyman.KindRequest, tallyman.KindRefusal, tallyman.KindOpened, tallyman.KindProgress, tallyman.KindClosed, tallyman.KindDigested,
			}).Draw(rt, "kind")
			at := time.Duration(rapid.IntRange(0, 9).Draw(rt, "at")) * time.Second
			s.tell(at, kind, func(e *tallyman.Evidence) {
				e.Peer, e.Began = netip.MustParseAddrPort("10.0.0.7:1234"), t0
				e.Witness = rapid.SampledFrom([]string{"server", "wire", "log", "files", "hash"}).Draw(rt, "witness")
				e.Op = rapid.SampledFrom([]tallyman.Op{tallyman.OpGet, tallyman.OpPut}).Draw(rt, "op")
				e.Reason = rapid.SampledFrom(reasons).Draw(rt, "reason")
				e.Digest = tallyman.Digest(rapid.SampledFrom([]string{"", "", "sha256:aa", "sha256:bb", "md5:cc"}).Draw(rt, "digest"))
				e.Moved = int64(rapid.IntRange(-1, 2).Draw(rt, "moved"))
				e.Size = int64(rapid.IntRange(-1, 2).Draw(rt, "size"))
				e.Expected = int64(rapid.IntRange(-1, 2).Draw(rt, "expected"))
			})
		}
		got := records(t, patient(), s.list)
		if len(got) != 1 {
			rt.Fatalf("%d records", len(got))
		}
		tr := got[0]
		j := tr.Judgement
		var all []string
		proof := false
		for _, e := range s.list {
			all = append(all, e.Witness)
			proof = proof || e.Witness == "server" || e.Witness == "wire"
		}
		slices.Sort(all)
		sides := slices.Sorted(slices.Values(append(slices.Clone(j.For), j.Against...)))
		switch {
		case !tallyman.Legal(j.Verdict, j.Reason):
			rt.Fatalf("illegal pair: %s %s", j.Verdict, j.Reason)
		case tr.Digest != "" && tr.Content != tallyman.Full:
			rt.Fatalf("a digest of content that is %s", tr.Content)
		case j.Verdict == tallyman.Complete && !proof:
			rt.Fatalf("claims alone make complete: %+v", s.list)
		case len(j.Against) > 0 && j.Verdict != tallyman.Contradicted && !slices.Equal(j.Against, []string{"log"}):
			rt.Fatalf("%v are against, and it is %s", j.Against, j.Verdict)
		case j.Reason == tallyman.OutcomeMismatch && len(j.Against) == 0 && !slices.ContainsFunc(s.list, says(tallyman.OutcomeMismatch)):
			rt.Fatal("an outcome mismatch without anybody against")
		case j.Reason == tallyman.HashMismatch && tr.Digest != "":
			rt.Fatal("one of two digests that differ is given as the digest")
		case !slices.Equal(sides, slices.Compact(all)):
			rt.Fatalf("witnesses %v, for and against %v", all, sides)
		}
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		rng.Shuffle(len(s.list), func(a, b int) { s.list[a], s.list[b] = s.list[b], s.list[a] })
		again := records(t, patient(), s.list)[0].Judgement
		if fmt.Sprint(again) != fmt.Sprint(j) {
			rt.Fatalf("in another order: %+v, was %+v", again, j)
		}
	})
}

func says(r tallyman.Reason) func(tallyman.Evidence) bool {
	return func(e tallyman.Evidence) bool { return e.Reason == r }
}
