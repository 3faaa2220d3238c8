package join

import (
	"slices"

	"tallyman"
)

// Alone is the transfer as one of its witnesses tells it, taken without the others: what the verdict would have been. The transfer carries its evidence;
// it is not changed. Nil means that this witness said nothing.
func Alone(t *tallyman.Transfer, witness string) *tallyman.Transfer {
	c := cluster{}
	for _, e := range t.Evidence {
		if e.Witness == witness {
			c.evidence = append(c.evidence, e)
		}
	}
	if len(c.evidence) == 0 {
		return nil
	}
	c.evidence = slices.Clip(c.evidence)
	out := c.judge()
	out.ID, out.Rev = t.ID, t.Rev
	return out
}
