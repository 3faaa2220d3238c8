package tallyman_test

import (
	"net/netip"
	"testing"
	"time"

	"tallyman"
)

func TestEventsSayWhoDidWhat(t *testing.T) {
	f := func(kind, user, text, want string) {
		t.Helper()
		e := tallyman.Event{Kind: kind, User: user, Text: text, Client: netip.MustParseAddrPort("10.0.0.7:4000"), Server: netip.MustParseAddrPort("10.0.0.1:21")}
		if got := e.Says(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	f("login", "lu", "230 Welcome", "lu at 10.0.0.7 logged in: 230 Welcome")
	f("login", "", "", "somebody at 10.0.0.7 logged in")
	f("login-failed", "lu\x1b[31m", "", `lu\x1b[31m at 10.0.0.7 failed to log in`)
	f("login-failed", "lu", "told before: too many", "lu at 10.0.0.7 failed to log in: too many (an earlier line told it)")
	f("command-refused", "", "SITE EXEC: 500 no", "somebody at 10.0.0.7 was refused a command: SITE EXEC: 500 no")
	f("command-refused", "lu", "bounce: 500 Illegal PORT", "lu at 10.0.0.7 tried to have a third party connected: 500 Illegal PORT")
	f("flow", "", "", "10.0.0.7:4000 to 10.0.0.1:21")
	order := tallyman.Event{Kind: "order", Text: "stop"}
	if got := order.Says(); got != "stop" {
		t.Errorf("%q", got)
	}
	mount := tallyman.Event{Kind: "mount", Path: "/media/a\nb", ToClass: "removable", Device: `usb:4C53 "STICK"`, Text: "mounted, vfat of /dev/sdb1"}
	if got := mount.Says(); got != `/media/a\nb (removable usb:4C53 "STICK"): mounted, vfat of /dev/sdb1` {
		t.Errorf("%q", got)
	}
	unmount := tallyman.Event{Kind: "unmount", Path: "/mnt", User: "ann"}
	if got := unmount.Says(); got != "/mnt (of ann): unmount" {
		t.Errorf("%q", got)
	}
	gap := tallyman.Gap{From: time.Unix(0, 0), To: time.Unix(3, 0), Lost: 4200, Why: "full"}
	if got := gap.Says(); got != "full, blind for 3s, lost 4,200" {
		t.Errorf("%q", got)
	}
}

func TestWhatIsProbablyWholeIsNotCalledFailedNorProven(t *testing.T) {
	tr := tallyman.Transfer{
		Op: tallyman.OpPut, Name: "confg", Client: netip.MustParseAddrPort("10.0.0.7:4000"), Bytes: -1, Expected: -1, Details: `{"probably":"whole"}`,
		Judgement: tallyman.Judgement{Verdict: tallyman.Unproven, Reason: tallyman.ClosedUnproven},
	}
	want := "10.0.0.7 sent “confg”, and it is probably whole, but not proven: log and files agree, and what the packets would prove is missing."
	if got := tr.Sentence(); got != want || tr.Probably() != "whole" {
		t.Errorf("%q", got)
	}
	tr.Judgement.Verdict, tr.Judgement.Reason = tallyman.Failed, tallyman.ClientSilent
	if tr.Probably() != "" {
		t.Error("what failed is called probably whole")
	}
}

func TestWhatAWitnessLacksIsMissingOnlyWhereSomethingIsNotProven(t *testing.T) {
	lanes := []tallyman.Lane{{Witness: "wire", Lacks: []tallyman.Lack{{What: "no packets", More: "run it as root"}}}}
	tr := tallyman.Transfer{Judgement: tallyman.Judgement{Verdict: tallyman.Unproven, Reason: tallyman.ClosedUnproven}}
	if got := tallyman.Lacking(&tr, lanes); len(got) != 2 || got[1] != "no packets -> run it as root" {
		t.Errorf("%q", got)
	}
	tr.Judgement = tallyman.Judgement{Verdict: tallyman.Complete, Reason: tallyman.FinalAck}
	if got := tallyman.Lacking(&tr, lanes); got != nil {
		t.Errorf("of a proven transfer %q is missing", got)
	}
}
