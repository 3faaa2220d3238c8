package tallyman_test

import (
	"encoding/json"
	"strings"
	"testing"

	"tallyman"
)

func TestWhatMovesNoContentHasAnOutcomeAndNoVerdict(t *testing.T) {
	f := func(op tallyman.Op, reason tallyman.Reason, outcome, sentence string) {
		t.Helper()
		tr := sampleTransfer()
		tr.Op, tr.Name, tr.Path, tr.NewPath = op, "/a", "/srv/a", ""
		if op == tallyman.OpRename {
			tr.NewPath = "/srv/b"
		}
		tr.Judgement = tallyman.Judgement{Reason: reason}
		var got map[string]any
		line, err := json.Marshal(tr)
		if err != nil || json.Unmarshal(line, &got) != nil {
			t.Fatal(err)
		}
		if o, _ := got["outcome"].(string); o != outcome || got["verdict"] != nil || tr.Judgement.Word() != outcome {
			t.Errorf("%s, %s: outcome %v, verdict %v", op, reason, got["outcome"], got["verdict"])
		}
		if s := tr.Sentence(); s != sentence {
			t.Errorf("got  %s\nwant %s", s, sentence)
		}
	}
	f(tallyman.OpRename, tallyman.ClosedWell, "success", "10.0.0.7 renamed “/a” to “/srv/b”.")
	f(tallyman.OpDelete, tallyman.NotFound, "failure", "10.0.0.7 wanted to delete “/a” and was refused: no such file.")
	f(tallyman.OpMkdir, tallyman.ServerError, "failure", "10.0.0.7 wanted to make the folder “/a”, and it failed: the server failed.")
	f(tallyman.OpLink, tallyman.LogOnly, "unknown", "10.0.0.7 wanted to link “/a”, but it is not proven that it was done: only the server's own log says so.")
	f(tallyman.OpRmdir, "", "", "10.0.0.7 wants to remove the folder “/a”, and it still runs.")
}

// An operation has no verdict, so its reason must say the outcome, whichever of its verdicts a transfer would have.
func TestAllVerdictsOfAReasonHaveOneOutcome(t *testing.T) {
	for _, r := range tallyman.Reasons() {
		for _, v := range tallyman.Verdicts() {
			if tallyman.Legal(v, r) && v.Outcome() != r.Outcome() {
				t.Errorf("%s: %s is %s, the reason %s", r, v, v.Outcome(), r.Outcome())
			}
		}
	}
}

func TestEveryOperationWithoutAVerdictHasWords(t *testing.T) {
	for op := tallyman.OpGet; op <= tallyman.OpRead; op++ {
		tr := tallyman.Transfer{Op: op, Name: "f", Bytes: -1, Judgement: tallyman.Judgement{Reason: tallyman.ClosedWell}}
		if s := tr.Sentence(); !op.HasVerdict() && (strings.Contains(s, "  ") || !strings.HasPrefix(s, "Somebody ")) {
			t.Errorf("%s: %q", op, s)
		}
	}
}
