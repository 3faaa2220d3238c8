package join_test

import (
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
