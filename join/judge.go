package join

import (
	"slices"
	"strings"

	"tallyman"
)

// judge makes the transfer of the cluster's evidence: first the facts, then the verdict. It reads nothing but the evidence.
func (c *cluster) judge() *tallyman.Transfer {
	c.shared = true
	t := &tallyman.Transfer{Expected: -1, Bytes: -1, Evidence: slices.Clip(c.evidence)}
	details := ""
	for i := range c.evidence {
		e := &c.evidence[i]
		start := e.Began
		if start.IsZero() {
			start = e.Time
		}
		if t.Start.IsZero() || start.Before(t.Start) {
			t.Start = start
		}
		if e.Seen.After(t.Seen) {
			t.Seen = e.Seen
		}
		if ends(e) && e.Time.After(t.End) {
			t.End = e.Time
		}
		known(&t.Host, e.Host)
		known(&t.Proto, e.Proto)
		known(&t.User, e.User)
		known(&t.Login, e.Session)
		known(&t.Name, e.Name)
		known(&t.Path, e.Path)
		if t.Op == tallyman.NoOp {
			t.Op = e.Op
		}
		if !t.Client.IsValid() {
			t.Client = e.Peer
		}
		if !t.Server.IsValid() {
			t.Server = e.Self
		}
		if t.Proc.PID == 0 {
			t.Proc = e.Proc
		}
		if e.Expected >= 0 {
			t.Expected = e.Expected
		}
		if e.Moved > t.Bytes {
			t.Bytes = e.Moved
		}
		if e.Details != "" {
			details = e.Details
		}
	}
	t.Details = withSearch(details, c.search)
	c.verdict(t)
	return t
}

// verdict weighs what the witnesses say of the end. Our own server and the packets are proof; what another server's log or the file
// system says is a claim.
func (c *cluster) verdict(t *tallyman.Transfer) {
	var proof, claim *tallyman.Evidence
	for i := range c.evidence {
		switch e := &c.evidence[i]; {
		case !ends(e):
		case e.Witness == "server" || e.Witness == "wire":
			proof = e
		default:
			claim = e
		}
	}
	j := &t.Judgement
	switch {
	case proof != nil:
		j.Verdict, j.Reason = ruling(proof)
	case c.lost:
		j.Verdict, j.Reason = tallyman.Unproven, tallyman.InGap
		t.End = c.last()
	case claim == nil:
		j.Verdict = tallyman.Active
	default:
		j.Verdict, j.Reason = ruling(claim)
		if j.Verdict == tallyman.Complete {
			j.Verdict, j.Reason = tallyman.Unproven, tallyman.LogOnly
		}
	}
	c.weighDigests(t)
	c.sides(t)
	if t.Content = content(t); t.Content != tallyman.Full {
		t.Digest = ""
	}
}

// ruling turns the reason that a witness gave into a verdict. A refusal is a refusal for whatever reason.
func ruling(e *tallyman.Evidence) (tallyman.Verdict, tallyman.Reason) {
	if e.Kind == tallyman.KindRefusal && tallyman.Legal(tallyman.Refused, e.Reason) {
		return tallyman.Refused, e.Reason
	}
	if v := e.Reason.Verdict(); v != tallyman.NoVerdict {
		return v, e.Reason
	}
	return tallyman.Unproven, tallyman.ClosedUnproven
}

// weighDigests takes the digest that the witnesses agree on; two that differ contradict each other.
func (c *cluster) weighDigests(t *tallyman.Transfer) {
	for i := range c.evidence {
		d := c.evidence[i].Digest
		switch {
		case d == "" || d == t.Digest:
		case t.Digest == "":
			t.Digest = d
		case kindOf(d) == kindOf(t.Digest):
			t.Judgement.Verdict, t.Judgement.Reason = tallyman.Contradicted, tallyman.HashMismatch
			return
		}
	}
}

func kindOf(d tallyman.Digest) string {
	kind, _, _ := strings.Cut(string(d), ":")
	return kind
}

// sides sorts the witnesses into those who bear the verdict out and those who do not. A claim of success beside proof of failure, or the reverse,
// is a contradiction.
func (c *cluster) sides(t *tallyman.Transfer) {
	j := &t.Judgement
	want := j.Verdict.Outcome()
	for i := range c.evidence {
		e := &c.evidence[i]
		side := &j.For
		if ends(e) && e.Witness != "server" {
			v, _ := ruling(e)
			if o := v.Outcome(); o != want && o != "unknown" && want != "unknown" && want != "" {
				side = &j.Against
			}
		}
		if !slices.Contains(*side, e.Witness) {
			*side = append(*side, e.Witness)
		}
	}
	slices.Sort(j.For)
	slices.Sort(j.Against)
	j.For = slices.DeleteFunc(j.For, func(w string) bool { return slices.Contains(j.Against, w) })
	if len(j.Against) > 0 && j.Verdict == tallyman.Complete {
		j.Verdict, j.Reason = tallyman.Contradicted, tallyman.OutcomeMismatch
	}
}

// content says how much of the content went before the server's eyes.
func content(t *tallyman.Transfer) tallyman.Content {
	switch t.Judgement.Verdict {
	case tallyman.Active, tallyman.Refused, tallyman.Probe:
		return tallyman.NoContent
	case tallyman.Complete, tallyman.Contradicted:
		return tallyman.Full
	case tallyman.Unproven:
		if t.Digest != "" {
			return tallyman.Full
		}
	}
	if t.Bytes <= 0 {
		return tallyman.Absent
	}
	return tallyman.Partial
}

func known(to *string, v string) {
	if *to == "" {
		*to = v
	}
}
