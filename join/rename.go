package join

import (
	"strings"

	"tallyman"
)

// A server may write an upload under a name of its own, and rename the file when it is whole: pure-ftpd does for a file that stands already, ProFTPD with
// HiddenStores. The rename then tells which file that was.

// handle names a file whatever its name.
type handle struct{ host, file string }

// mostNames bounds the renames that wait for what was done to the file before: evidence may come in any order.
const mostNames = 256

// temporary reports whether a server made up the name.
func temporary(base string) bool {
	return strings.HasPrefix(base, ".pureftpd-upload.") || strings.HasPrefix(base, ".in.") && strings.HasSuffix(base, ".")
}

// rename gives an upload its name, as soon as both are known.
func (j *Join) rename(e *tallyman.Evidence) {
	if e.Kind != tallyman.KindRenamed || e.File == "" || !temporary(lastOf(e.From)) {
		j.names++
		return
	}
	h := handle{e.Host, e.File}
	c := j.handles[h]
	if c == nil {
		if len(j.renames) >= mostNames {
			clear(j.renames)
		}
		j.renames[h] = *e
		return
	}
	j.renamed(c, e)
}

// renamed adds the rename to what was done to the file.
func (j *Join) renamed(c *cluster, e *tallyman.Evidence) {
	if c.add(*e) {
		j.file(c)
		j.touch(c)
	}
}

// inherit lets a have what b held.
func (j *Join) inherit(a, b *cluster) {
	if j.handles[b.handle] == b {
		a.handle, j.handles[b.handle] = b.handle, a
	}
}

// hold remembers which cluster tells of a file.
func (j *Join) hold(c *cluster, e *tallyman.Evidence) {
	if e.Witness != "files" || e.File == "" || !temporary(lastOf(e.Path)) {
		return
	}
	c.handle = handle{e.Host, e.File}
	j.handles[c.handle] = c
	if r, ok := j.renames[c.handle]; ok {
		delete(j.renames, c.handle)
		j.renamed(c, &r)
	}
}
