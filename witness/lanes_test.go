package witness_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/witness"
)

var t0 = time.Date(2026, 11, 27, 6, 0, 0, 0, time.UTC)

func said(name string, kind tallyman.Kind, after time.Duration, change func(*tallyman.Evidence)) tallyman.Evidence {
	e := tallyman.Unknown()
	e.Host, e.Witness, e.Kind, e.Time, e.Began, e.Proto, e.Op = "lab", name, kind, t0.Add(after), t0, "tftp", tallyman.OpPut
	change(&e)
	return e
}

// stored is an upload that its server could not store whole, as wire and files saw it (W4 of the rows).
func stored() *tallyman.Transfer {
	return &tallyman.Transfer{
		Start: t0, End: t0.Add(60 * time.Millisecond), Host: "lab", Proto: "tftp", Op: tallyman.OpPut, Bytes: 1500000, Expected: -1,
		Judgement: tallyman.Judgement{Verdict: tallyman.Contradicted, Reason: tallyman.StoredShort, For: []string{"wire"}, Against: []string{"files"}},
		Evidence: []tallyman.Evidence{
			said("wire", tallyman.KindRequest, 0, func(e *tallyman.Evidence) { e.Name, e.Peer = "a\x1b", netip.MustParseAddrPort("10.0.0.7:4000") }),
			said("files", tallyman.KindOpened, time.Millisecond, func(e *tallyman.Evidence) { e.Path, e.Size = "/srv/a\x1b", 0 }),
			said("files", tallyman.KindClosed, 59*time.Millisecond, func(e *tallyman.Evidence) {
				e.Path, e.Size, e.Proc.PID = "/srv/a\x1b", 1048576, 812
				e.Details = `{"accessed":false,"close":"write","comm":"in.tftpd","modified":true,"truncated":true,"user":"nobody"}`
			}),
			said("wire", tallyman.KindClosed, 60*time.Millisecond, func(e *tallyman.Evidence) {
				e.Reason, e.Moved, e.Digest, e.Peer = tallyman.FinalAck, 1500000, "sha256:aa", netip.MustParseAddrPort("10.0.0.7:4000")
				e.Details = `{"asked":{"blksize":"1428","tsize":"1500000"},"blksize":1428,"blocks":1051,"blocks_acked":1051,"duplicates":1,"granted":{"blksize":"1428"},` +
					`"last_packet":"2026-11-27T06:00:00.060000Z","missing_bytes":1428,"packets":2105,"requests":2,"retransmits":3,"window":4}`
			}),
		},
	}
}

func TestEachLaneSaysWhatItsWitnessSaw(t *testing.T) {
	tr := stored()
	lanes := witness.Lanes(tr, &witness.Watch{})
	if len(lanes) != 2 || lanes[0].Witness != "wire" || lanes[1].Witness != "files" {
		t.Fatalf("%+v", lanes)
	}
	wire, files := lanes[0], lanes[1]
	if wire.Verdict != tallyman.Complete || wire.Reason != tallyman.FinalAck || wire.Side != tallyman.SideFor || wire.Alone == "" {
		t.Errorf("%+v", wire)
	}
	if files.Verdict != tallyman.Unproven || files.Side != tallyman.SideAgainst || files.Alone != "on the disk it is 1,048,576 bytes, and 1,500,000 came" {
		t.Errorf("%+v", files)
	}
	f := func(l *tallyman.Lane, name, want string) {
		t.Helper()
		for _, k := range l.Facts {
			if k.Name == name {
				if k.Text != want {
					t.Errorf("%s: %q", name, k.Text)
				}
				return
			}
		}
		t.Errorf("no %s in %+v", name, l.Facts)
	}
	f(&wire, "packets", "2,105 packets, the last 60.0 ms after the first")
	f(&wire, "blocks", "1,051 of 1,428 bytes sent, 1,051 acknowledged, window 4")
	f(&wire, "options", "asked blksize=1428 tsize=1500000, granted blksize=1428")
	f(&wire, "again", "3 retransmitted, 1 duplicate, asked 2 times")
	f(&wire, "bytes", "1,500,000 confirmed")
	f(&wire, "gaps", "1,428 bytes were not captured")
	f(&wire, "digest", "sha256:aa")
	f(&files, "file", `/srv/a\x1b`)
	f(&files, "process", "in.tftpd[812], as nobody")
	f(&files, "done", "changed, emptied first")
	f(&files, "size at close", "1,048,576 bytes, open for 59.0 ms")
}

func TestOurServerSaysWhatItsClientCompared(t *testing.T) {
	lanes := witness.Lanes(&tallyman.Transfer{Proto: "ftp", Op: tallyman.OpPut, Evidence: []tallyman.Evidence{
		said("server", tallyman.KindClosed, 0, func(e *tallyman.Evidence) { e.Details = `{"command":"STOR","compared":"SIZE HASH"}` }),
	}}, &witness.Watch{})
	for _, f := range lanes[0].Facts {
		if f.Name == "compared" && f.Text == "the client asked afterwards what is stored, by SIZE HASH" {
			return
		}
	}
	t.Errorf("%+v", lanes)
}

func TestSilenceAfterTheLastPacketIsSaid(t *testing.T) {
	tr := stored()
	last := &tr.Evidence[3]
	last.Reason, last.Time, tr.End = tallyman.ClientSilent, t0.Add(65*time.Second), t0.Add(65*time.Second)
	if got := witness.Lanes(tr, &witness.Watch{})[0].Facts[0].Text; got != "2,105 packets, the last 60.0 ms after the first, then silence for 1m5s" {
		t.Errorf("%q", got)
	}
}

func TestEvidenceThatIsMissingIsNamedWithWhatWouldBringIt(t *testing.T) {
	f := func(what string, tr *tallyman.Transfer, w witness.Watch, name string, side tallyman.Side, want ...string) {
		t.Helper()
		for _, l := range witness.Lanes(tr, &w) {
			if l.Witness != name {
				continue
			}
			var got []string
			for _, k := range l.Lacks {
				got = append(got, k.String())
			}
			if l.Side != side || strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("%s: %s, %q", what, l.Side, got)
			}
			return
		}
		t.Errorf("%s: no lane", what)
	}
	posts := func(p ...witness.Post) witness.Watch { return witness.Watch{Server: "tftpd-hpa", Posts: p} }
	log := witness.Post{Witness: "log", Sees: true, Why: "tftpd-hpa runs without -vv: requests are unseen", More: "add -vv to TFTP_OPTIONS"}
	f("a log that tells nothing", stored(), posts(log), "log", tallyman.SideSilent, "no line of the log: tftpd-hpa runs without -vv: requests are unseen -> add -vv to TFTP_OPTIONS")
	wire := witness.Post{Witness: "wire", Why: "the capture was not allowed (needs CAP_NET_RAW)", More: "run it as root"}
	closed := stored()
	closed.Evidence = closed.Evidence[1:3]
	f("a wire that may not be opened", closed, posts(wire), "wire", tallyman.SideAbsent, "no packets: the capture was not allowed (needs CAP_NET_RAW) -> run it as root")
	f("a wire that saw nothing", closed, posts(witness.Post{Witness: "wire", Sees: true}), "wire", tallyman.SideSilent, "no packets, though it watched")
	nameless := witness.Post{Witness: "wire", Sees: true, Nameless: "Linux is too old", Named: "Linux 6.10"}
	f("packets without a process", stored(), posts(nameless), "wire", tallyman.SideFor, "which process sent the packets: Linux is too old -> Linux 6.10")
	named := stored()
	named.Evidence[3].Proc.PID = 812
	f("packets with one", named, posts(nameless), "wire", tallyman.SideFor)
	refused := stored()
	refused.Evidence, refused.Judgement = refused.Evidence[:1], tallyman.Judgement{Verdict: tallyman.Refused, Reason: tallyman.NotFound}
	f("no file of a refusal", refused, posts(witness.Post{Witness: "files", Sees: true}), "files", tallyman.SideSilent)
	f("files nobody watched", refused, posts(witness.Post{Witness: "files"}), "files", tallyman.SideAbsent, "no file: it did not watch")
	w := posts()
	w.Gaps = []*tallyman.Gap{{Witness: "wire", From: t0, To: t0.Add(3 * time.Second), Why: "the ring was full\x1b", Lost: 4200}}
	f("a gap", stored(), w, "wire", tallyman.SideFor, `it could not see for 3s: the ring was full\x1b, 4,200 lost`)
	asked := stored()
	asked.Evidence = append(asked.Evidence, said("log", tallyman.KindRequest, 0, func(e *tallyman.Evidence) { e.Details, e.Raw = `{"format":"tftpd-hpa"}`, "WRQ" }))
	f("a log that writes no ends", asked, posts(witness.Post{Witness: "log", Sees: true}), "log", tallyman.SideFor, "a line that says how it ended: tftpd-hpa writes none")
}

func TestDetailsOfOtherShapesAreNoFacts(t *testing.T) {
	tr := stored()
	tr.Evidence[3].Details = `{"packets":"many","asked":[1],"blocks":7}`
	for _, f := range witness.Lanes(tr, &witness.Watch{})[0].Facts {
		if f.Name == "packets" || f.Name == "options" {
			t.Errorf("%+v", f)
		}
	}
	tr.Evidence[3].Details = "no JSON"
	if len(witness.Lanes(tr, &witness.Watch{})) != 2 {
		t.Error("a lane is lost")
	}
}
