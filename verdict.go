package tallyman

// Verdict is what the evidence proves about a transfer (design section 4).
type Verdict uint8

// The eight verdicts. They are stored by number: a new one goes to the end.
const (
	NoVerdict    Verdict = iota
	Active               // still running
	Complete             // the receiver's side confirmed the last byte, and sizes agree
	Failed               // it ended without that, and the cause is known
	Aborted              // a party said stop
	Refused              // it never began
	Probe                // only options or size were asked: no content was wanted
	Unproven             // it may have worked; the proof is missing
	Contradicted         // witnesses disagree
)

var verdictNames = [...]string{"", "active", "complete", "failed", "aborted", "refused", "probe", "unproven", "contradicted"}

// Verdicts lists all verdicts in the order in which tables and charts show them.
func Verdicts() []Verdict {
	return []Verdict{Active, Complete, Probe, Unproven, Failed, Aborted, Refused, Contradicted}
}

// String returns the word that JSON, queries and the page use.
func (v Verdict) String() string { return word(verdictNames[:], int(v)) }

// MarshalText implements encoding.TextMarshaler.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText accepts what MarshalText gives.
func (v *Verdict) UnmarshalText(text []byte) error {
	return parseWord(v, verdictNames[:], "verdict", text)
}

// Outcome folds the verdict into "success", "failure", "unknown" (ECS event.outcome), or "" while the transfer runs.
func (v Verdict) Outcome() string {
	switch v {
	case Complete, Probe:
		return "success"
	case Failed, Aborted, Refused, Contradicted:
		return "failure"
	case Unproven:
		return "unknown"
	default:
		return ""
	}
}

// Judgement is a verdict with its reason, and the witnesses on each side, sorted by name. An operation that moves no content has no verdict once it has ended;
// its reason says the outcome.
type Judgement struct {
	Verdict Verdict
	Reason  Reason
	For     []string
	Against []string
}

// Outcome is that of the verdict, or of the reason where there is no verdict: "success", "failure", "unknown" (ECS event.outcome), or "" while it runs.
func (j Judgement) Outcome() string {
	if j.Verdict == NoVerdict {
		return j.Reason.Outcome()
	}
	return j.Verdict.Outcome()
}

// Word is the verdict, or the outcome where there is none.
func (j Judgement) Word() string {
	if j.Verdict == NoVerdict {
		return j.Outcome()
	}
	return j.Verdict.String()
}
