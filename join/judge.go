package join

import (
	"slices"
	"strings"
	"time"

	"tallyman"
)

// judge makes the transfer of the cluster's evidence: first the facts, then the verdict. It reads nothing but the evidence.
func (c *cluster) judge() *tallyman.Transfer {
	c.shared = true
	t := &tallyman.Transfer{Expected: -1, Bytes: -1, Evidence: slices.Clip(c.evidence)}
	if len(c.doubtful) > 0 {
		t.Evidence = slices.SortedFunc(slices.Values(slices.Concat(c.evidence, c.doubtful)), order)
	}
	details := ""
	var start, end, bytes, client, said nearest
	for i := range c.evidence {
		e := &c.evidence[i]
		began := e.Began
		if began.IsZero() {
			began = e.Time
		}
		if start.nearer(e) || start.same(e) && began.Before(t.Start) {
			t.Start = began
		}
		if e.Seen.After(t.Seen) {
			t.Seen = e.Seen
		}
		if ends(e) && (end.nearer(e) || end.same(e) && e.Time.After(t.End)) {
			t.End = e.Time
		}
		if e.Moved >= 0 && (bytes.nearer(e) || bytes.same(e) && e.Moved > t.Bytes) {
			t.Bytes = e.Moved
		}
		if e.Peer.IsValid() && client.nearer(e) {
			t.Client = e.Peer
		}
		if e.Details != "" && (said.nearer(e) || said.same(e)) {
			details = e.Details
		}
		known(&t.Host, e.Host)
		if known(&t.Proto, e.Proto); t.Proto == "ftp" && e.Proto == "ftps" {
			t.Proto = e.Proto // a log does not say so
		}
		known(&t.User, e.User)
		known(&t.Login, e.Session)
		known(&t.Name, e.Name)
		if e.Kind == tallyman.KindRenamed {
			t.Path = e.Path
			continue
		}
		if t.Path == "" || strings.HasPrefix(e.Path, "/") && e.Witness == "files" && !strings.HasPrefix(t.Path, "/") {
			t.Path = e.Path
		}
		if t.Op == tallyman.NoOp {
			t.Op = e.Op
		}
		if e.From != "" && !e.Op.HasVerdict() && (t.NewPath == "" || e.Witness == "server") {
			t.Path, t.NewPath = e.From, e.Path
		}
		if e.Self.IsValid() && (!t.Server.IsValid() || t.Server.Port() == 0) {
			t.Server = e.Self
		}
		if t.Proc.PID == 0 {
			t.Proc = e.Proc
		}
		if e.Expected >= 0 {
			t.Expected = e.Expected
		}
	}
	for i := range c.doubtful {
		if seen := c.doubtful[i].Seen; seen.After(t.Seen) {
			t.Seen = seen
		}
	}
	if len(c.evidence) == 1 && isLocal(&c.evidence[0]) {
		t.Details = details
		localWord(t, &c.evidence[0])
		return t
	}
	t.Details = withCrowd(with(details, "search", c.search), c.crowd.of)
	c.verdict(t)
	return t
}

// nearest is how near the witness was from whom a fact is taken: the nearer one is believed. The zero value is that of none.
type nearest int

func (n *nearest) nearer(e *tallyman.Evidence) bool {
	r := nearest(rank(e) + 2)
	if r > *n {
		*n = r
		return true
	}
	return false
}

func (n *nearest) same(e *tallyman.Evidence) bool { return *n == nearest(rank(e)+2) }

// verdict weighs what the witnesses say of the end. Our own server and the packets are proof; what another server's log or the file
// system says is a claim.
func (c *cluster) verdict(t *tallyman.Transfer) {
	chief := c.chief()
	j := &t.Judgement
	switch {
	case chief != nil && proves(chief): // also of what is encrypted, if nobody else knows how it ended
		j.Verdict, j.Reason = ruling(chief)
		c.refine(t, chief)
	case c.mute && chief != nil && chief.Witness == "files":
		j.Verdict, j.Reason = tallyman.Failed, tallyman.ClientGone
	case c.abandoned():
		chief = c.said(tallyman.KindProgress, "wire")
		j.Verdict, j.Reason = ruling(chief)
	case c.lost:
		j.Verdict, j.Reason = tallyman.Unproven, tallyman.InGap
		t.End = c.last()
	case c.watched():
		j.Verdict = tallyman.Active
		t.End = time.Time{}
	case chief == nil:
		j.Verdict, j.Reason = c.claimed()
	default:
		j.Verdict, j.Reason = ruling(chief)
		if j.Verdict == tallyman.Complete {
			j.Verdict, j.Reason = c.believed(t, chief)
		}
	}
	alone := j.Verdict
	c.weighSizes(t)
	c.weighDigests(t)
	c.sides(t, chief)
	c.waver(t)
	if c.crowd.of == 0 && c.probablyWhole(t) {
		t.Details = with(t.Details, "probably", "whole")
	}
	if t.Content = content(t, alone); t.Content != tallyman.Full || j.Reason == tallyman.HashMismatch {
		t.Digest = ""
	}
	if !t.Op.HasVerdict() {
		t.Content, t.Digest = tallyman.NoContent, ""
		if j.Verdict != tallyman.Active {
			j.Verdict = tallyman.NoVerdict // its reason says the outcome
		}
	}
}

// proves reports whether the witness was at one end of the transfer, or saw all packets between.
func proves(e *tallyman.Evidence) bool { return e.Witness == "server" || e.Witness == "wire" }

// rank orders witnesses by how near they were: our server, the packets, the files, then what somebody wrote down.
func rank(e *tallyman.Evidence) int {
	return slices.Index([]string{"files", "wire", "server"}, e.Witness)
}

// chief is the evidence of the end that decides: that of the nearest witness who knows how it ended, its last word. A witness who does not know
// how it ended decides only when nobody who could prove it knows more.
func (c *cluster) chief() *tallyman.Evidence {
	var chief *tallyman.Evidence
	weight := func(e *tallyman.Evidence) int {
		w := rank(e)
		if v, _ := ruling(e); v.Outcome() != "unknown" {
			w += 10
		}
		if proves(e) && !unreadable(e) {
			w += 100
		}
		return w
	}
	for i := range c.evidence {
		if e := &c.evidence[i]; ends(e) && (chief == nil || weight(e) >= weight(chief)) && !c.mistaken(e) {
			chief = e
		}
	}
	return chief
}

// ruling turns the reason that a witness gave into a verdict. A refusal is a refusal for whatever reason; what had begun and could have been refused failed.
func ruling(e *tallyman.Evidence) (tallyman.Verdict, tallyman.Reason) {
	if e.Kind == tallyman.KindRefusal && tallyman.Legal(tallyman.Refused, e.Reason) {
		return tallyman.Refused, e.Reason
	}
	if e.Kind == tallyman.KindClosed && tallyman.Legal(tallyman.Failed, e.Reason) {
		return tallyman.Failed, e.Reason
	}
	if v := e.Reason.Verdict(); v != tallyman.NoVerdict {
		return v, e.Reason
	}
	return tallyman.Unproven, tallyman.ClosedUnproven
}

// weighSizes compares what came with what was announced and with what stands on the disk. In netascii they differ rightly.
func (c *cluster) weighSizes(t *tallyman.Transfer) {
	j := &t.Judgement
	if j.Verdict != tallyman.Complete || t.Op != tallyman.OpPut || t.Bytes < 0 || strings.Contains(t.Details, `"mode":"netascii"`) {
		return
	}
	if t.Expected > 0 && t.Expected != t.Bytes {
		j.Verdict, j.Reason = tallyman.Contradicted, tallyman.AnnouncedSize
	}
	if size := c.sizeAtClose(); size >= 0 && size < t.Bytes {
		j.Verdict, j.Reason = tallyman.Contradicted, tallyman.StoredShort
	}
}

// weighDigests takes the digest that the witnesses agree on; two that differ contradict each other, where the content is said to be whole. What was
// broken off has another digest than the file, rightly.
func (c *cluster) weighDigests(t *tallyman.Transfer) {
	byKind := map[string]tallyman.Digest{}
	for i := range c.evidence {
		d := c.evidence[i].Digest
		if d == "" {
			continue
		}
		kind := kindOf(d)
		if t.Digest == "" || kind == "sha256" && kindOf(t.Digest) != kind {
			t.Digest = d
		}
		if old, ok := byKind[kind]; ok && old != d {
			if v := t.Judgement.Verdict; v == tallyman.Complete || v == tallyman.Unproven || v == tallyman.Contradicted {
				t.Judgement.Verdict, t.Judgement.Reason = tallyman.Contradicted, tallyman.HashMismatch
			}
			t.Digest = ""
			return
		}
		byKind[kind] = d
	}
}

func kindOf(d tallyman.Digest) string {
	kind, _, _ := strings.Cut(string(d), ":")
	return kind
}

// sides sorts the witnesses into those who bear the verdict out and those who do not. Who says success where the chief witness says failure, or
// the reverse, is against him, and the record is contradicted. Who does not know how it ended contradicts nobody. A log that claims success is
// against the proof of failure, and nothing more: most servers write down what they sent, not what arrived.
func (c *cluster) sides(t *tallyman.Transfer, chief *tallyman.Evidence) {
	j := &t.Judgement
	want := ""
	if chief != nil {
		v, _ := ruling(chief)
		want = v.Outcome()
	}
	doubt := false
	for i := range c.evidence {
		e := &c.evidence[i]
		side := &j.For
		if chief != nil && ends(e) && e.Witness != chief.Witness && want != "unknown" {
			v, _ := ruling(e)
			if o := v.Outcome(); o != want && o != "unknown" && !c.another(e) {
				side = &j.Against
				doubt = doubt || e.Witness != "log" || o == "failure" || !proves(chief)
			}
		}
		if !slices.Contains(*side, e.Witness) {
			*side = append(*side, e.Witness)
		}
	}
	if j.Reason == tallyman.StoredShort && c.sizeAtClose() >= 0 && !slices.Contains(j.Against, "files") {
		j.Against = append(j.Against, "files") // they have another size than what came
	}
	slices.Sort(j.For)
	slices.Sort(j.Against)
	j.For = slices.DeleteFunc(j.For, func(w string) bool { return slices.Contains(j.Against, w) })
	if doubt && j.Verdict != tallyman.Contradicted {
		j.Verdict, j.Reason = tallyman.Contradicted, tallyman.OutcomeMismatch
	}
}

// content says how much of the content went before the witnesses' eyes, by what the verdict was before anybody contradicted.
func content(t *tallyman.Transfer, alone tallyman.Verdict) tallyman.Content {
	switch alone {
	case tallyman.Active, tallyman.Refused, tallyman.Probe:
		return tallyman.NoContent
	default:
	}
	if strings.Contains(t.Details, `"encrypted":true`) && t.Digest == "" {
		return tallyman.Encrypted
	}
	switch alone {
	case tallyman.Complete, tallyman.Contradicted:
		return beheld(t)
	default:
	}
	switch {
	case alone == tallyman.Unproven && t.Digest != "":
		return tallyman.Full
	case t.Bytes <= 0:
		return tallyman.Absent
	}
	return tallyman.Partial
}

// beheld says how much of a content that is whole went before the witnesses' eyes. Packets may have been captured without their content, or in part.
func beheld(t *tallyman.Transfer) tallyman.Content {
	has := func(key string) bool { return strings.Contains(t.Details, `"`+key+`":`) }
	switch {
	case t.Digest != "":
		return tallyman.Full
	case has("offset"), // it was resumed: what came before moved in another transfer
		has("missing_bytes"), has("late"), has("ambiguous_bytes"), has("ambiguous_blocks"), has("uncompared_bytes"):
		return tallyman.Partial
	case t.Bytes < 0, has("headers_only"):
		return tallyman.Absent
	default:
		return tallyman.Full
	}
}

func known(to *string, v string) {
	if *to == "" {
		*to = v
	}
}
