package tftp

import "hash/maphash"

// versions remembers what blocks held until they are acknowledged: of a block that comes again with another content nobody can know which one the
// receiver took. It keeps the newest blocks; one that is older and comes again is not sure.
type versions struct {
	seed   maphash.Seed
	blocks []version
	first  int // of those that are kept
}

type version struct {
	ord    int64
	length int
	sum    uint64
	whole  bool // all of it was captured
}

// mostVersions bounds the blocks that are kept, 32 bytes each: clients ask for windows of 64 at the most.
const mostVersions = 1024

// keep remembers a block, and forgets those up to acked.
func (v *versions) keep(ord int64, p *packet, acked int64) {
	for v.first < len(v.blocks) && (v.blocks[v.first].ord <= acked || len(v.blocks)-v.first >= mostVersions) {
		v.first++
	}
	if v.first > len(v.blocks)/2 {
		v.blocks = append(v.blocks[:0], v.blocks[v.first:]...)
		v.first = 0
	}
	v.blocks = append(v.blocks, version{ord, p.length, maphash.Bytes(v.seed, p.data), len(p.data) == p.length})
}

// before compares a block with what it held before; known is false when it is not kept.
func (v *versions) before(ord int64, p *packet) (known, sameContent, sameLength bool) {
	for i := len(v.blocks) - 1; i >= v.first; i-- {
		b := &v.blocks[i]
		if b.ord != ord {
			continue
		}
		sameLength = b.length == p.length
		return true, sameLength && (!b.whole || len(p.data) < p.length || b.sum == maphash.Bytes(v.seed, p.data)), sameLength
	}
	return false, false, false
}

// renumber: the blocks behind the wrap have numbers that are less by one.
func (v *versions) renumber(behind int64) {
	for i := range v.blocks {
		if v.blocks[i].ord > behind {
			v.blocks[i].ord--
		}
	}
}
