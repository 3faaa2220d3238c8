package tallyman_test

import (
	"strings"
	"testing"

	"tallyman"
)

func TestEveryReasonHasAPhraseForPeople(t *testing.T) {
	for _, r := range tallyman.Reasons() {
		if r.Because() == "" {
			t.Errorf("%s has no phrase", r)
		}
	}
}

func TestSentenceSaysWhoWhatHowMuchAndWhy(t *testing.T) {
	check := func(change func(*tallyman.Transfer), want string) {
		t.Helper()
		tr := sampleTransfer()
		tr.Name, tr.Path, tr.Expected, tr.Bytes = "fw.bin", "/srv/fw.bin", -1, 42988
		change(tr)
		if got := tr.Sentence(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	check(func(tr *tallyman.Transfer) { tr.Op, tr.Judgement.Reason = tallyman.OpGet, tallyman.FinalAck },
		"10.0.0.7 fetched “fw.bin” whole (42,988 bytes in 1.23s): the client acknowledged the last block.")
	check(func(tr *tallyman.Transfer) {
		tr.Judgement.Reason, tr.Details = tallyman.FinalAck, `{"mode":"octet","note":"client-may-retry","one_of":3}`
	}, "10.0.0.7 sent “fw.bin” whole (42,988 bytes in 1.23s): the client acknowledged the last block. It is one of 3 of this client and name at once: which line "+
		"and file belong to which of them is not known, and nothing is concluded from that. The client may not have got the last acknowledgement, and may send the file again.")
	check(func(tr *tallyman.Transfer) {
		tr.Op, tr.Judgement = tallyman.OpGet, tallyman.Judgement{Verdict: tallyman.Refused, Reason: tallyman.NotReadable}
	}, "10.0.0.7 asked for “fw.bin” and was refused: the file is not readable by others. Remedy: chmod o+r /srv/fw.bin.")
	check(func(tr *tallyman.Transfer) {
		tr.Expected, tr.Judgement = 50000, tallyman.Judgement{Verdict: tallyman.Aborted, Reason: tallyman.ClientError}
		tr.Evidence = []tallyman.Evidence{{Reason: tallyman.ClientError, Err: "disk\nfull"}}
	}, `10.0.0.7 sent “fw.bin”, and it was broken off (42,988 of 50,000 bytes in 1.23s): the client sent an error (disk\nfull).`)
}

func TestUnprovenVerdictsNameTheMissingEvidence(t *testing.T) {
	for _, r := range tallyman.Reasons() {
		tr := tallyman.Transfer{Judgement: tallyman.Judgement{Verdict: r.Verdict(), Reason: r}}
		if missing := len(tr.Missing()) > 0; missing != (r.Verdict() == tallyman.Unproven) {
			t.Errorf("%s (%s): missing %q", r, r.Verdict(), tr.Missing())
		}
	}
}

func TestSentenceNeverCarriesControlCharacters(t *testing.T) {
	tr := sampleTransfer()
	tr.Name = "a\nb\x1b[31m"
	if s := tr.Sentence(); strings.ContainsAny(s, "\n\x1b") {
		t.Errorf("%q", s)
	}
}
