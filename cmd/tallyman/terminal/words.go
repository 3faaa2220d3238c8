package terminal

import (
	"fmt"
	"time"

	"tallyman"
)

// Local writes a time as the clock on this machine shows it.
func Local(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// Amount writes a number of bytes, or a dash where it is unknown.
func Amount(n int64) string {
	if n < 0 {
		return "-"
	}
	return tallyman.Count(n)
}

// Took writes how long it took.
func Took(t *tallyman.Transfer) string {
	d, ok := t.Took()
	switch {
	case !ok && t.Judgement.Verdict != tallyman.Active && t.Judgement.Word() != "": // nobody says when it ended
		return "-"
	case !ok:
		return "running"
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	default:
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
}

// Client writes who it was.
func Client(t *tallyman.Transfer) string {
	if !t.Client.IsValid() {
		return "-"
	}
	return t.Client.Addr().String()
}

// Reason writes the reason in a list: where log and files agree and the packets alone are missing, that it is probably whole.
func Reason(t *tallyman.Transfer) string {
	if p := t.Probably(); p != "" {
		return "probably " + p
	}
	return string(t.Judgement.Reason)
}
