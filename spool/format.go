package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"tallyman"
)

// A segment is a head of 64 bytes and entries without padding; whatever follows is zero (space reserved with fallocate). All
// numbers are big-endian; sums are CRC32C (Castagnoli, RFC 3720 section 12.1).
//
//	segment head                          entry
//	 0  8  "tallyspl"                      0  4  n, length of the payload
//	 8  2  format, 1                       4  4  sum of the payload
//	10  2  compression, 0 = none           8  8  seq, at least 1
//	12  4  epoch                          16  4  sum of bytes 0-15, begun with the seed
//	16  8  seq of the first place         20  n  payload
//	24 16  agent
//	40 20  zero
//	60  4  sum of bytes 0-59
//
// The seed is a function of agent and epoch. A client cannot know it, so bytes inside a payload are never taken for an entry when a
// damaged segment is searched for the next whole one.
const (
	segmentHead = 64
	entryHead   = 20
	formatNow   = 1
	maxSeq      = 1 << 62
	maxEpoch    = 1<<31 - 1
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	magic      = [8]byte{'t', 'a', 'l', 'l', 'y', 's', 'p', 'l'}
)

// errNewer is met when a newer program has written the folder.
var errNewer = errors.New("written by a newer version: start that version again, and let its readers catch up before going back")

// place is an ID without the agent. Seq 0 stands before the first entry of the epoch.
type place struct {
	epoch uint32
	seq   uint64
}

func (p place) before(o place) bool {
	return p.epoch < o.epoch || p.epoch == o.epoch && p.seq < o.seq
}

// seedOf returns the sum with which the sums of entry heads begin.
func seedOf(agent tallyman.Agent, epoch uint32) uint32 {
	return crc32.Checksum(binary.BigEndian.AppendUint32(agent[:], epoch), castagnoli)
}

// appendEntry appends the bytes of one entry.
func appendEntry(dst []byte, seed uint32, seq uint64, payload []byte) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(payload)))
	dst = binary.BigEndian.AppendUint32(dst, crc32.Checksum(payload, castagnoli))
	dst = binary.BigEndian.AppendUint64(dst, seq)
	dst = binary.BigEndian.AppendUint32(dst, crc32.Update(seed, castagnoli, dst[start:]))
	return append(dst, payload...)
}

// head is what the first 20 bytes of an entry say.
type head struct {
	size int
	sum  uint32
	seq  uint64
}

// parseHead reads the head at the start of b, which has at least entryHead bytes. It reports false if that is none.
func parseHead(b []byte, seed uint32) (head, bool) {
	h := head{
		size: int(binary.BigEndian.Uint32(b)),
		sum:  binary.BigEndian.Uint32(b[4:]),
		seq:  binary.BigEndian.Uint64(b[8:]),
	}
	if h.size > MaxPayload || h.seq == 0 || h.seq > maxSeq {
		return head{}, false
	}
	return h, crc32.Update(seed, castagnoli, b[:16]) == binary.BigEndian.Uint32(b[16:])
}

// title is what a segment's head says.
type title struct {
	agent tallyman.Agent
	epoch uint32
	first uint64
}

func (t title) bytes() []byte {
	b := make([]byte, segmentHead)
	copy(b, magic[:])
	binary.BigEndian.PutUint16(b[8:], formatNow)
	binary.BigEndian.PutUint32(b[12:], t.epoch)
	binary.BigEndian.PutUint64(b[16:], t.first)
	copy(b[24:], t.agent[:])
	binary.BigEndian.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
	return b
}

// parseTitle reads a segment's head. It reports false if b is none, and errNewer if it is one that we cannot read.
func parseTitle(b []byte) (title, bool, error) {
	if len(b) < segmentHead || [8]byte(b) != magic || crc32.Checksum(b[:60], castagnoli) != binary.BigEndian.Uint32(b[60:]) {
		return title{}, false, nil
	}
	if format, codec := binary.BigEndian.Uint16(b[8:]), binary.BigEndian.Uint16(b[10:]); format != formatNow || codec != 0 {
		return title{}, false, fmt.Errorf("format %d, compression %d: %w", format, codec, errNewer)
	}
	return title{
		agent: tallyman.Agent(b[24:40]),
		epoch: binary.BigEndian.Uint32(b[12:]),
		first: binary.BigEndian.Uint64(b[16:]),
	}, true, nil
}

// fileName is the name of the segment that begins at p; names sort as places do.
func fileName(p place) string { return fmt.Sprintf("%08x-%016x.seg", p.epoch, p.seq) }

// parseFileName accepts what fileName gives for a place that can be.
func parseFileName(name string) (place, bool) {
	var p place
	if _, err := fmt.Sscanf(name, "%8x-%16x.seg", &p.epoch, &p.seq); err != nil {
		return place{}, false
	}
	return p, p.epoch > 0 && p.epoch <= maxEpoch && p.seq > 0 && p.seq <= maxSeq && fileName(p) == name
}
