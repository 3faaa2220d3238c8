package join

import (
	"encoding/json"

	"tallyman"
)

// What was done on a host to a file, where no content moved, is told by one witness, once and whole: it is a record of its own, and nobody is asked what
// else speaks of it.

// isLocal reports whether evidence tells such a thing.
func isLocal(e *tallyman.Evidence) bool {
	return e.Proto == "local" && e.Kind == tallyman.KindClosed && !e.Op.HasVerdict()
}

func (j *Join) local(e *tallyman.Evidence) {
	c := cluster{evidence: []tallyman.Evidence{*e}}
	t := c.judge()
	t.ID, t.Rev = j.cfg.Draw(e), 1
	j.alone = append(j.alone, t)
}

// localWord takes what the witness says: who did it, and that it was done.
func localWord(t *tallyman.Transfer, e *tallyman.Evidence) {
	t.Judgement = tallyman.Judgement{Reason: e.Reason, For: []string{e.Witness}}
	var d struct {
		Exe string `json:"exe"`
		Why string `json:"who_why"`
	}
	if json.Unmarshal([]byte(e.Details), &d) == nil { // without details nothing is known of who
		t.Exe, t.WhoWhy = d.Exe, d.Why
	}
}
