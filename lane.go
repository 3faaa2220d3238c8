package tallyman

// Side is where a witness stands towards the verdict.
type Side string

// The sides.
const (
	SideFor     Side = "for"     // it bears the verdict out
	SideAgainst Side = "against" // it contradicts it
	SideSilent  Side = "silent"  // it looked, and said nothing of this transfer
	SideAbsent  Side = "absent"  // it did not look, or could not see
)

// Lane is what one witness says of a transfer, taken alone, and what it does not say. All texts are for people, and escaped.
type Lane struct {
	Witness string  `json:"witness"`
	Side    Side    `json:"side"`
	Verdict Verdict `json:"verdict,omitempty"` // what this witness alone would say; none when it said nothing
	Reason  Reason  `json:"reason,omitempty"`
	Alone   string  `json:"alone,omitempty"` // the same in words
	Facts   []Fact  `json:"facts,omitempty"` // what it counted and saw, summed up
	Lacks   []Lack  `json:"lacks,omitempty"` // which of its evidence is missing
}

// Fact is one thing that a witness saw, with its name.
type Fact struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Lack is evidence that is missing, why, and what would bring it; More is empty where nothing would.
type Lack struct {
	What string `json:"what"`
	More string `json:"more,omitempty"`
}

// String is the lack with its remedy, for a person.
func (l Lack) String() string {
	if l.More == "" {
		return l.What
	}
	return l.What + " -> " + l.More
}

// Lacking is what would have proven more about a transfer: the missing end of the story, and what each witness lacks. Of a verdict that stands on
// its proof nothing is missing, whatever else could have been seen.
func Lacking(t *Transfer, lanes []Lane) []string {
	out := t.Missing()
	switch t.Judgement.Verdict {
	case Unproven, Active:
	default:
		return out
	}
	for _, l := range lanes {
		for _, k := range l.Lacks {
			out = append(out, k.String())
		}
	}
	return out
}
