package tallyman

import "slices"

// Reason is one code of the closed list of design section 4. A new code needs an entry in doc/decisions.md.
type Reason string

// The reasons.
const (
	FinalAck          Reason = "final-ack"
	Stored            Reason = "stored"
	ReplyAcknowledged Reason = "reply-acknowledged"
	CloseNotify       Reason = "close-notify"
	ClosedWell        Reason = "closed"
	SameContent       Reason = "same-content"
	SizeProbe         Reason = "size-probe"

	NotFound    Reason = "not-found"
	NotReadable Reason = "not-readable"
	NotWritable Reason = "not-writable"
	RemapDenied Reason = "remap-denied"
	Exists      Reason = "exists"
	BadRequest  Reason = "bad-request"
	NotAllowed  Reason = "not-allowed"
	LoginFailed Reason = "login-failed"
	Policy      Reason = "policy"
	Quota       Reason = "quota"
	RateLimited Reason = "rate-limited"

	ClientAbort Reason = "client-abort"
	ClientError Reason = "client-error"
	Kicked      Reason = "kicked"
	Shutdown    Reason = "shutdown"

	ClientSilent     Reason = "client-silent"
	ClientGone       Reason = "client-gone"
	ServerGone       Reason = "server-gone"
	ServerError      Reason = "server-error"
	ControlLost      Reason = "control-lost"
	NoCloseNotify    Reason = "no-close-notify"
	DiskFull         Reason = "disk-full"
	IOError          Reason = "io-error"
	Truncated        Reason = "truncated"
	Hole             Reason = "hole"
	Timeout          Reason = "timeout"
	DroppedLocked    Reason = "dropped-locked"
	DataPeerMismatch Reason = "data-peer-mismatch"
	Bounce           Reason = "bounce"

	DeliveredUnconfirmed Reason = "delivered-unconfirmed"
	ReplyUnacknowledged  Reason = "reply-unacknowledged"
	PartialRead          Reason = "partial-read"
	LogOnly              Reason = "log-only"
	ClosedUnproven       Reason = "closed-unproven"
	InGap                Reason = "gap"

	StoredShort     Reason = "stored-short"
	AnnouncedSize   Reason = "announced-size"
	HashMismatch    Reason = "hash-mismatch"
	OutcomeMismatch Reason = "outcome-mismatch"
)

// pair is one row of the table: a reason and the verdicts that it may stand beside, the usual one first.
type pair struct {
	reason   Reason
	verdicts []Verdict
}

// pairs is the table of legal pairs. Its order is the order in which reasons are stored by number: new ones go to the end.
var pairs = [...]pair{
	{FinalAck, []Verdict{Complete}},
	{Stored, []Verdict{Complete}},
	{ReplyAcknowledged, []Verdict{Complete}},
	{CloseNotify, []Verdict{Complete}},
	{ClosedWell, []Verdict{Complete}},
	{SameContent, []Verdict{Complete}},
	{SizeProbe, []Verdict{Probe}},
	{NotFound, []Verdict{Refused}},
	{NotReadable, []Verdict{Refused}},
	{NotWritable, []Verdict{Refused, Failed}},
	{RemapDenied, []Verdict{Refused}},
	{Exists, []Verdict{Refused, Failed}},
	{BadRequest, []Verdict{Refused}},
	{NotAllowed, []Verdict{Refused}},
	{LoginFailed, []Verdict{Refused}},
	{Policy, []Verdict{Refused}},
	{Quota, []Verdict{Refused, Failed}},
	{RateLimited, []Verdict{Refused}},
	{ClientAbort, []Verdict{Aborted}},
	{ClientError, []Verdict{Aborted}},
	{Kicked, []Verdict{Aborted}},
	{Shutdown, []Verdict{Aborted}},
	{ClientSilent, []Verdict{Failed}},
	{ClientGone, []Verdict{Failed}},
	{ServerGone, []Verdict{Failed}},
	{ServerError, []Verdict{Failed}},
	{ControlLost, []Verdict{Failed}},
	{NoCloseNotify, []Verdict{Failed}},
	{DiskFull, []Verdict{Failed, Refused}},
	{IOError, []Verdict{Failed, Refused}},
	{Truncated, []Verdict{Failed}},
	{Hole, []Verdict{Failed}},
	{Timeout, []Verdict{Failed}},
	{DroppedLocked, []Verdict{Failed}},
	{DataPeerMismatch, []Verdict{Failed}},
	{Bounce, []Verdict{Failed, Refused}},
	{DeliveredUnconfirmed, []Verdict{Unproven}},
	{ReplyUnacknowledged, []Verdict{Unproven}},
	{PartialRead, []Verdict{Unproven}},
	{LogOnly, []Verdict{Unproven}},
	{ClosedUnproven, []Verdict{Unproven}},
	{InGap, []Verdict{Unproven}},
	{StoredShort, []Verdict{Contradicted}},
	{AnnouncedSize, []Verdict{Contradicted}},
	{HashMismatch, []Verdict{Contradicted}},
	{OutcomeMismatch, []Verdict{Contradicted}},
}

// Reasons lists the closed list in its fixed order. The number of a reason in a ledger is its place in this list plus one.
func Reasons() []Reason {
	out := make([]Reason, len(pairs))
	for i, p := range pairs {
		out[i] = p.reason
	}
	return out
}

// Legal reports whether the reason may stand beside the verdict. An active transfer has no reason; an operation without a verdict has any.
func Legal(v Verdict, r Reason) bool {
	if v == Active || v == NoVerdict && r == "" {
		return r == ""
	}
	for i := range pairs {
		if pairs[i].reason == r {
			return v == NoVerdict || slices.Contains(pairs[i].verdicts, v)
		}
	}
	return false
}

// Outcome is that of the verdicts beside which the reason may stand: they agree. It is "" for a code that is not in the list.
func (r Reason) Outcome() string { return r.Verdict().Outcome() }

// Verdict returns the usual verdict for a reason; NoVerdict for a code that is not in the list.
func (r Reason) Verdict() Verdict {
	for i := range pairs {
		if pairs[i].reason == r {
			return pairs[i].verdicts[0]
		}
	}
	return NoVerdict
}
