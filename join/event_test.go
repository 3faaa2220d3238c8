package join_test

import (
	"net/netip"
	"testing"
	"time"

	"tallyman"
	"tallyman/join"
)

func TestEventSaysWhatItsReasonSays(t *testing.T) {
	f := func(kind tallyman.Kind, reason tallyman.Reason, details, err, want string) {
		t.Helper()
		j := join.New(join.Defaults())
		e := tallyman.Unknown()
		e.Witness, e.Time, e.Kind, e.Reason, e.Details, e.Err = "log", time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), kind, reason, details, err
		j.Add(e)
		got := j.Changed()
		if len(got) != 1 || got[0].(*tallyman.Event).Text != want {
			t.Errorf("%v, want %q", got, want)
		}
	}
	f(tallyman.KindCommandRefused, tallyman.Bounce, "", "Refused PORT 1,2,3,4,0,80", "bounce: Refused PORT 1,2,3,4,0,80")
	f(tallyman.KindFlow, tallyman.Bounce, "", "bounce: PORT", "bounce: PORT")
	f(tallyman.KindCommandRefused, tallyman.DataPeerMismatch, "", "", "data-peer-mismatch:")
	f(tallyman.KindLoginFailed, tallyman.LoginFailed, `{"format":"sshd","repeats":true}`, "too many", "told before: too many")
	f(tallyman.KindLoginFailed, tallyman.LoginFailed, `{"client":"\"repeats\":true"}`, "530", "530")
}

func TestMountSaysOnWhatItIs(t *testing.T) {
	f := func(volume, details, class, device string) {
		t.Helper()
		j := join.New(join.Defaults())
		e := tallyman.Unknown()
		e.Witness, e.Time, e.Kind = "mounts", time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), tallyman.KindMounted
		e.Path, e.Volume, e.User, e.Details, e.Err = "/media/stick", volume, "ann", details, "mounted, vfat"
		j.Add(e)
		got, ok := j.Changed()[0].(*tallyman.Event)
		if !ok || got.ToClass != class || got.Device != device || got.Path != e.Path || got.User != "ann" || got.Text != e.Err {
			t.Errorf("%+v, want %s %q", got, class, device)
		}
	}
	f("usb:4C53", `{"device":"usb:4C53 \"STICK\"","to_class":"removable"}`, "removable", `usb:4C53 "STICK"`)
	f("usb:4C53", `{"to_class":"removable"}`, "removable", "usb:4C53")
	f("", `{"to_class":"local"}`, "local", "")
	f("usb:4C53", "", "", "usb:4C53")
}

func TestBacklogThatSpansMinutesIsMatchedBeforeItIsForgotten(t *testing.T) {
	j := join.New(join.Defaults())
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	add := func(witness string, after time.Duration, kind tallyman.Kind, reason tallyman.Reason, client string) {
		e := tallyman.Unknown()
		e.Time, e.Kind, e.Witness, e.Reason, e.Proto, e.Op, e.Name = at.Add(after), kind, witness, reason, "tftp", tallyman.OpGet, "fw.bin"
		e.Seen, e.Peer = e.Time, netip.MustParseAddrPort(client)
		if e.ID.Seq = uint64(after); witness == "wire" {
			e.Began, e.Self = at, netip.MustParseAddrPort("10.0.0.1:69")
		}
		j.Add(e)
	}
	add("log", time.Millisecond, tallyman.KindRequest, "", "10.0.0.7:0")
	add("wire", 2*time.Millisecond, tallyman.KindRequest, "", "10.0.0.7:2000")
	add("wire", time.Second, tallyman.KindClosed, tallyman.FinalAck, "10.0.0.7:2000")
	add("log", 10*time.Minute, tallyman.KindRequest, "", "10.0.0.8:0")
	j.Advance(at.Add(10 * time.Minute))
	for _, r := range j.Changed() {
		if tr := r.(*tallyman.Transfer); tr.Client.Addr().String() == "10.0.0.7" && len(tr.Judgement.For) != 2 {
			t.Errorf("%s %s by %v alone", tr.Judgement.Verdict, tr.Judgement.Reason, tr.Judgement.For)
		}
	}
}
