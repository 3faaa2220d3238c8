package join

import (
	"cmp"
	"slices"

	"tallyman"
)

// restored is more than the revisions that a record ever had.
const restored = 1 << 20

// Restore puts back a transfer, with its evidence, that a former run left unfinished. It is not told as changed, unless what else was put back changes it.
func (j *Join) Restore(t *tallyman.Transfer) {
	var fresh []*cluster
	var bearer *cluster // which of them gave the record its id
	for _, e := range t.Evidence {
		c, isNew := j.place(e)
		if !isNew {
			continue
		}
		if !slices.Contains(fresh, c) {
			fresh = append(fresh, c)
		}
		if j.cfg.Draw(&e) == t.ID {
			bearer = c
		}
		if at := seen(&e); at.After(c.heard) {
			c.heard = at
		}
		if c.heard.After(j.now) {
			j.now = c.heard
		}
		j.settle(c)
		j.searchAdd(c)
	}
	fresh = slices.DeleteFunc(fresh, func(c *cluster) bool { return c.merged })
	if len(fresh) == 0 {
		return
	}
	if bearer == nil || bearer.merged {
		bearer = fresh[0]
	}
	for _, c := range fresh {
		if c == bearer {
			c.id, c.rev, c.told = t.ID, t.Rev, true
		} else if c.rev == 0 {
			c.rev = restored // a former run may have told it under its own id; how often is not known
		}
	}
	of := slices.MaxFunc(fresh, func(a, b *cluster) int { return cmp.Compare(a.face.role, b.face.role) }) // whom the others bore out
	of.past = max(of.past, crowdIn(t.Details))
	j.rematch()
	root := bearer.root()
	if sure, doubtful := root.all(); len(sure)+len(doubtful) == len(t.Evidence) && root.crowd.of == crowdIn(t.Details) {
		for _, c := range root.members() {
			c.dirty = false
		}
	} else {
		j.touch(root)
	}
	j.dirty = slices.DeleteFunc(j.dirty, func(c *cluster) bool { return !c.dirty })
}
