// Package segment is the format of one file of the spool: a head, entries one after the other, and the scan that finds its way through damage.
//
//	Append ──▶ AppendEntry ──▶ bytes ──▶ file ──▶ Scan ──▶ seq and payload, or what is lost
//
// It promises that an accepted entry is, byte for byte, what AppendEntry made with the same seed, that a scan ends whatever it is given, in time linear in the
// bytes and with memory for one window, and that Reach is never below a seq that stood in the bytes. It knows no folder, no clock and no
// goroutine; files and their names on a disk are the spool's.
package segment

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
	HeadSize  = 64
	EntryHead = 20

	MaxPayload = 1 << 20   // bytes
	MaxSeq     = 1 << 62   // a place above it is no place
	MaxEpoch   = 1<<31 - 1 // nor is one of an epoch above it

	formatNow = 1
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	magic      = [8]byte{'t', 'a', 'l', 'l', 'y', 's', 'p', 'l'}
)

// ErrNewer is met when a newer program has written the segment.
var ErrNewer = errors.New("written by a newer version: start that version again, and let its readers catch up before going back")

// Seed returns the sum with which the sums of entry heads begin, a function of agent and epoch.
func Seed(agent tallyman.Agent, epoch uint32) uint32 {
	return crc32.Checksum(binary.BigEndian.AppendUint32(agent[:], epoch), castagnoli)
}

// AppendEntry appends the bytes of one entry. The seq is at least 1, the payload at most MaxPayload long.
func AppendEntry(dst []byte, seed uint32, seq uint64, payload []byte) []byte {
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

// parseHead reads the head at the start of b, which has at least EntryHead bytes. It reports false if that is none.
func parseHead(b []byte, seed uint32) (head, bool) {
	h := head{
		size: int(binary.BigEndian.Uint32(b)),
		sum:  binary.BigEndian.Uint32(b[4:]),
		seq:  binary.BigEndian.Uint64(b[8:]),
	}
	if h.size > MaxPayload || h.seq == 0 || h.seq > MaxSeq {
		return head{}, false
	}
	return h, crc32.Update(seed, castagnoli, b[:16]) == binary.BigEndian.Uint32(b[16:])
}

// Title is what a segment's head says: whose it is, and where it begins.
type Title struct {
	Agent tallyman.Agent
	Epoch uint32
	First uint64
}

// Bytes returns the head.
func (t Title) Bytes() []byte {
	b := make([]byte, HeadSize)
	copy(b, magic[:])
	binary.BigEndian.PutUint16(b[8:], formatNow)
	binary.BigEndian.PutUint32(b[12:], t.Epoch)
	binary.BigEndian.PutUint64(b[16:], t.First)
	copy(b[24:], t.Agent[:])
	binary.BigEndian.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
	return b
}

// ParseTitle reads a segment's head. It reports false if b is none, and returns ErrNewer if it is one that we cannot read.
func ParseTitle(b []byte) (Title, bool, error) {
	if len(b) < HeadSize || [8]byte(b) != magic || crc32.Checksum(b[:60], castagnoli) != binary.BigEndian.Uint32(b[60:]) {
		return Title{}, false, nil
	}
	if format, codec := binary.BigEndian.Uint16(b[8:]), binary.BigEndian.Uint16(b[10:]); format != formatNow || codec != 0 {
		return Title{}, false, fmt.Errorf("format %d, compression %d: %w", format, codec, ErrNewer)
	}
	return Title{
		Agent: tallyman.Agent(b[24:40]),
		Epoch: binary.BigEndian.Uint32(b[12:]),
		First: binary.BigEndian.Uint64(b[16:]),
	}, true, nil
}

// FileName is the name of the segment that begins at a place; names sort as places do.
func FileName(epoch uint32, first uint64) string { return fmt.Sprintf("%08x-%016x.seg", epoch, first) }

// ParseFileName accepts what FileName gives for a place that can be.
func ParseFileName(name string) (epoch uint32, first uint64, ok bool) {
	if _, err := fmt.Sscanf(name, "%8x-%16x.seg", &epoch, &first); err != nil {
		return 0, 0, false
	}
	return epoch, first, epoch > 0 && epoch <= MaxEpoch && first > 0 && first <= MaxSeq && FileName(epoch, first) == name
}

// Seq returns the seq of the first entry in bytes that AppendEntry made.
func Seq(entries []byte) uint64 { return binary.BigEndian.Uint64(entries[8:]) }

// Fit returns how many bytes of such entries fit into room as whole entries, and the seq of the last of them.
func Fit(entries []byte, room int64) (n int, last uint64) {
	for n < len(entries) {
		total := EntryHead + int(binary.BigEndian.Uint32(entries[n:]))
		if int64(n+total) > room {
			break
		}
		last = Seq(entries[n:])
		n += total
	}
	return n, last
}
