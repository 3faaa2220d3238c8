package engine

import (
	"strconv"
	"time"

	"tallyman/source/tftp/packet"
)

// Grant is what a request gets: the result of the negotiation (RFC 2347).
type Grant struct {
	BlockSize int           // octets of a full block
	Window    int           // blocks that are sent before an ACK is awaited, 1 = lockstep
	Timeout   time.Duration // retransmission interval the client asked for, 0 = measured

	// TSize is the size that the OACK names: of a read the real one, of a write the client's own. -1 = none.
	TSize int64
	// Announced is the size an upload has to have: a tsize above 0 in octet mode. -1 = none. curl announces 0 for
	// a pipe, and in netascii clients announce the size on their disk, so neither counts.
	Announced int64

	blksize, timeout, windowsize bool  // named in the OACK
	request                      int16 // octets of the request packet
}

// Negotiate answers the options of a request within the limits of cfg. size is the size of a read in octets, -1
// when it is unknown (netascii, or a write).
//
// Values that no RFC allows are left out, as are unknown options; of a duplicate the first counts. blksize and
// windowsize are lowered, never raised. A timeout is echoed unchanged, or left out when a third of GiveUp is less:
// it would end the transfer before the second repetition. The error is for a mode that is not served.
func Negotiate(req packet.Request, cfg Config, size int64) (Grant, *packet.Error) {
	mode := req.Mode()
	if mode != packet.Octet && mode != packet.NetASCII {
		return Grant{}, &packet.Error{Code: packet.IllegalOperation, Text: "unknown transfer mode, use octet or netascii"}
	}
	g := Grant{BlockSize: packet.DefaultBlockSize, Window: 1, TSize: -1, Announced: -1, request: int16(req.Len())}
	if n, ok := number(req.Options, "blksize", packet.MinBlockSize, 1<<62); ok {
		g.BlockSize, g.blksize = int(min(n, int64(cfg.MaxBlockSize))), true
	}
	if n, ok := number(req.Options, "timeout", 1, 255); ok && time.Duration(n)*time.Second <= cfg.GiveUp/3 {
		g.Timeout, g.timeout = time.Duration(n)*time.Second, true
	}
	if n, ok := number(req.Options, "windowsize", 1, 65535); ok {
		room := cfg.MaxReadWindow / g.BlockSize
		if req.Op == packet.WRQ {
			room = cfg.ReceiveBuffer / (2 * g.BlockSize)
		}
		g.Window, g.windowsize = max(1, min(int(n), cfg.MaxWindow, room)), true
	}
	if n, ok := number(req.Options, "tsize", 0, 1<<63-1); ok && req.Op == packet.WRQ {
		g.TSize = n
		if n > 0 && mode == packet.Octet {
			g.Announced = n
		}
	} else if ok {
		g.TSize = max(size, -1)
	}
	return g, nil
}

// number reads an option of ASCII decimal digits within lo..hi.
func number(options packet.Options, name string, lo, hi int64) (int64, bool) {
	value, ok := options.Get(name)
	if !ok || len(value) == 0 || len(value) > 19 {
		return 0, false
	}
	n := uint64(0)
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	// 19 digits fit 64 bit; what does not fit 63 is negative and so below lo.
	return int64(n), int64(n) >= lo && int64(n) <= hi
}

// OACK says whether the first reply is an OACK; without a granted option it is DATA 1 or ACK 0 (RFC 2347).
func (g Grant) OACK() bool {
	return g.blksize || g.timeout || g.windowsize || g.TSize >= 0
}

// AppendOACK appends the OACK packet, at most 100 octets.
func (g Grant) AppendOACK(dst []byte) []byte {
	dst = packet.AppendOACK(dst)
	if g.blksize {
		dst = appendNumber(dst, "blksize", int64(g.BlockSize))
	}
	if g.timeout {
		dst = appendNumber(dst, "timeout", int64(g.Timeout/time.Second))
	}
	if g.TSize >= 0 {
		dst = appendNumber(dst, "tsize", g.TSize)
	}
	if g.windowsize {
		dst = appendNumber(dst, "windowsize", int64(g.Window))
	}
	return dst
}

func appendNumber(dst []byte, name string, n int64) []byte {
	dst = append(append(dst, name...), 0)
	return append(strconv.AppendInt(dst, n, 10), 0)
}

// LastBlock is the absolute number of the block that ends a content of size octets, and the octets in it: a block
// shorter than the block size, empty when size is a multiple of it.
func (g Grant) LastBlock(size int64) (last uint64, tail int) {
	return uint64(size/int64(g.BlockSize)) + 1, int(size % int64(g.BlockSize))
}

// onlySize says that nothing but the size was asked and granted: the probe of a boot ROM.
func (g Grant) onlySize() bool {
	return g.TSize >= 0 && !g.blksize && !g.timeout && !g.windowsize
}

// repetitions is how often the timer may repeat the first reply before the client has shown that it exists: once,
// and not at all where the two replies would be more than twice the request, since its sender may be forged.
func (g Grant) repetitions() int8 {
	var oack [128]byte
	if g.OACK() && len(g.AppendOACK(oack[:0])) > int(g.request) {
		return 0
	}
	return 1
}
