package tallyman

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"time"
)

// errCodec is wrapped by every error of DecodeEvidence.
var errCodec = errors.New("no evidence in this form")

// The bits of the bitmap that opens an encoded evidence: the field differs from the one before it. New fields go to the end.
const (
	bitAgent = 1 << iota
	bitEpoch
	bitSeq
	bitTime
	bitSeen
	bitBegan
	bitHost
	bitWitness
	bitKind
	bitProto
	bitUser
	bitSession
	bitOp
	bitPeer
	bitSelf
	bitProc
	bitName
	bitPath
	bitFrom
	bitFile
	bitVolume
	bitSize
	bitMoved
	bitExpected
	bitDetails
	bitDigest
	bitReason
	bitErr
	bitRaw
	bitsEnd
)

// AppendEvidence appends the binary form of e to dst: a bitmap of the fields in which e differs from before, then these fields.
// Evidence of one transfer shares most of its fields, so the second one costs a few dozen bytes. A nil before is the zero Evidence.
// Times are kept to the microsecond.
func AppendEvidence(dst []byte, before, e *Evidence) []byte {
	if before == nil {
		before = new(Evidence)
	}
	w := writer{b: dst}
	head := len(dst)
	w.b = append(w.b, 0, 0, 0, 0)
	if e.ID.Agent != before.ID.Agent {
		w.mark(bitAgent)
		w.b = append(w.b, e.ID.Agent[:]...)
	}
	w.uint(bitEpoch, uint64(before.ID.Epoch), uint64(e.ID.Epoch))
	w.uint(bitSeq, before.ID.Seq, e.ID.Seq)
	w.time(bitTime, before.Time, e.Time)
	w.time(bitSeen, before.Seen, e.Seen)
	w.time(bitBegan, before.Began, e.Began)
	w.text(bitHost, before.Host, e.Host)
	w.text(bitWitness, before.Witness, e.Witness)
	w.uint(bitKind, uint64(before.Kind), uint64(e.Kind))
	w.text(bitProto, before.Proto, e.Proto)
	w.text(bitUser, before.User, e.User)
	w.text(bitSession, before.Session, e.Session)
	w.uint(bitOp, uint64(before.Op), uint64(e.Op))
	w.addr(bitPeer, before.Peer, e.Peer)
	w.addr(bitSelf, before.Self, e.Self)
	if e.Proc != before.Proc {
		w.mark(bitProc)
		w.b = binary.AppendVarint(binary.AppendVarint(w.b, int64(e.Proc.PID)), e.Proc.Start)
	}
	w.text(bitName, before.Name, e.Name)
	w.text(bitPath, before.Path, e.Path)
	w.text(bitFrom, before.From, e.From)
	w.text(bitFile, before.File, e.File)
	w.text(bitVolume, before.Volume, e.Volume)
	w.int(bitSize, before.Size, e.Size)
	w.int(bitMoved, before.Moved, e.Moved)
	w.int(bitExpected, before.Expected, e.Expected)
	w.text(bitDetails, before.Details, e.Details)
	w.text(bitDigest, string(before.Digest), string(e.Digest))
	w.text(bitReason, string(before.Reason), string(e.Reason))
	w.text(bitErr, before.Err, e.Err)
	w.text(bitRaw, before.Raw, e.Raw)
	binary.LittleEndian.PutUint32(w.b[head:], w.bits)
	return w.b
}

// DecodeEvidence reads one evidence that AppendEvidence wrote with the same before, and returns what follows it.
func DecodeEvidence(b []byte, before *Evidence) (e Evidence, rest []byte, err error) {
	return (*Decoder)(nil).Evidence(b, before)
}

// Decoder reads much evidence, of which most names the same hosts, files and digests: a text that it met of late is not copied again. Its zero value
// is ready, and it belongs to one goroutine.
type Decoder struct {
	seed  maphash.Seed
	known bool
	texts [1 << 10]string // by hash: a text takes the place of the one before
}

// mostKept is the longest text that a Decoder keeps.
const mostKept = 256

func (d *Decoder) text(b []byte) string {
	if len(b) == 0 || len(b) > mostKept {
		return string(b)
	}
	if !d.known {
		d.seed, d.known = maphash.MakeSeed(), true
	}
	at := &d.texts[maphash.Bytes(d.seed, b)%uint64(len(d.texts))]
	if *at != string(b) {
		*at = string(b)
	}
	return *at
}

// Evidence is DecodeEvidence.
func (d *Decoder) Evidence(b []byte, before *Evidence) (e Evidence, rest []byte, err error) {
	if before != nil {
		e = *before
	}
	if len(b) < 4 {
		return Evidence{}, nil, fmt.Errorf("%w: %d bytes", errCodec, len(b))
	}
	r := reader{b: b[4:], bits: binary.LittleEndian.Uint32(b), texts: d}
	if r.bits >= bitsEnd {
		return Evidence{}, nil, fmt.Errorf("%w: written by a newer version", errCodec)
	}
	if r.has(bitAgent) {
		copy(e.ID.Agent[:], r.take(16))
	}
	readUint(&r, bitEpoch, &e.ID.Epoch)
	readUint(&r, bitSeq, &e.ID.Seq)
	r.time(bitTime, &e.Time)
	r.time(bitSeen, &e.Seen)
	r.time(bitBegan, &e.Began)
	readText(&r, bitHost, &e.Host)
	readText(&r, bitWitness, &e.Witness)
	readUint(&r, bitKind, &e.Kind)
	readText(&r, bitProto, &e.Proto)
	readText(&r, bitUser, &e.User)
	readText(&r, bitSession, &e.Session)
	readUint(&r, bitOp, &e.Op)
	r.addr(bitPeer, &e.Peer)
	r.addr(bitSelf, &e.Self)
	if r.has(bitProc) {
		e.Proc.PID, e.Proc.Start = int32(r.varint()), r.varint()
	}
	readText(&r, bitName, &e.Name)
	readText(&r, bitPath, &e.Path)
	readText(&r, bitFrom, &e.From)
	readText(&r, bitFile, &e.File)
	readText(&r, bitVolume, &e.Volume)
	r.int(bitSize, &e.Size)
	r.int(bitMoved, &e.Moved)
	r.int(bitExpected, &e.Expected)
	r.own(bitDetails, &e.Details)
	readText(&r, bitDigest, &e.Digest)
	readText(&r, bitReason, &e.Reason)
	r.own(bitErr, &e.Err)
	r.own(bitRaw, &e.Raw)
	if r.bad {
		return Evidence{}, nil, fmt.Errorf("%w: it ends too early", errCodec)
	}
	return e, r.b, nil
}

// AppendPack appends a list of evidence, each coded against the one before it.
func AppendPack(dst []byte, before *Evidence, list []Evidence) []byte {
	for i := range list {
		dst = AppendEvidence(dst, before, &list[i])
		before = &list[i]
	}
	return dst
}

// DecodePack reads a list that AppendPack wrote with the same before.
func DecodePack(b []byte, before *Evidence) ([]Evidence, error) {
	var list []Evidence
	for len(b) > 0 {
		e, rest, err := DecodeEvidence(b, before)
		if err != nil {
			return list, err
		}
		list = append(list, e)
		before, b = &list[len(list)-1], rest
	}
	return list, nil
}

type writer struct {
	b    []byte
	bits uint32
}

func (w *writer) mark(bit uint32) { w.bits |= bit }

func (w *writer) uint(bit uint32, before, v uint64) {
	if v != before {
		w.mark(bit)
		w.b = binary.AppendUvarint(w.b, v)
	}
}

func (w *writer) int(bit uint32, before, v int64) {
	if v != before {
		w.mark(bit)
		w.b = binary.AppendVarint(w.b, v)
	}
}

func (w *writer) text(bit uint32, before, v string) {
	if v != before {
		w.mark(bit)
		w.b = append(binary.AppendUvarint(w.b, uint64(len(v))), v...)
	}
}

// time writes the distance to the one before in microseconds, twice plus one; the zero time is a single 0.
func (w *writer) time(bit uint32, before, v time.Time) {
	if v.Equal(before) {
		return
	}
	w.mark(bit)
	if v.IsZero() {
		w.b = append(w.b, 0)
		return
	}
	w.b = binary.AppendVarint(append(w.b, 1), micros(v)-micros(before))
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// addr writes the length of the address, the address and the port. A length of 0 is the zero AddrPort.
func (w *writer) addr(bit uint32, before, v netip.AddrPort) {
	if v == before {
		return
	}
	w.mark(bit)
	ip := v.Addr().AsSlice()
	w.b = append(w.b, byte(len(ip)))
	w.b = append(w.b, ip...)
	if len(ip) > 0 {
		w.b = binary.BigEndian.AppendUint16(w.b, v.Port())
	}
}

type reader struct {
	b     []byte
	bits  uint32
	bad   bool
	texts *Decoder // nil: each text is copied
}

func (r *reader) has(bit uint32) bool { return r.bits&bit != 0 && !r.bad }

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int(bit uint32, to *int64) {
	if r.has(bit) {
		*to = r.varint()
	}
}

func (r *reader) time(bit uint32, to *time.Time) {
	if !r.has(bit) {
		return
	}
	if head := r.take(1); head == nil || head[0] == 0 {
		*to = time.Time{}
		return
	}
	*to = time.UnixMicro(micros(*to) + r.varint()).UTC()
}

func (r *reader) addr(bit uint32, to *netip.AddrPort) {
	if !r.has(bit) {
		return
	}
	head := r.take(1)
	if head == nil || head[0] == 0 {
		*to = netip.AddrPort{}
		return
	}
	ip, ok := netip.AddrFromSlice(r.take(int(head[0])))
	port := r.take(2)
	if !ok || port == nil {
		r.bad = true
		return
	}
	*to = netip.AddrPortFrom(ip, binary.BigEndian.Uint16(port))
}

func readUint[T ~uint8 | ~uint32 | ~uint64](r *reader, bit uint32, to *T) {
	if !r.has(bit) {
		return
	}
	v := r.uvarint()
	if uint64(T(v)) != v {
		r.bad = true
		return
	}
	*to = T(v)
}

// bytes reads a text that stays where it is.
func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	return r.take(int(n))
}

// own reads a text that hardly ever comes again.
func (r *reader) own(bit uint32, to *string) {
	if r.has(bit) {
		*to = string(r.bytes())
	}
}

func readText[T ~string](r *reader, bit uint32, to *T) {
	if !r.has(bit) {
		return
	}
	if b := r.bytes(); r.texts != nil {
		*to = T(r.texts.text(b))
	} else {
		*to = T(b)
	}
}
