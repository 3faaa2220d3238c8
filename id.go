package tallyman

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"
)

// Agent names one installation that gives evidence. It is drawn at random once and kept in the state folder.
type Agent [16]byte

// String returns 32 hexadecimal digits.
func (a Agent) String() string { return hex.EncodeToString(a[:]) }

// IsZero reports whether the agent was never set.
func (a Agent) IsZero() bool { return a == Agent{} }

// ID is the place of one evidence in the sequence of its agent. Seq starts at 1, grows by one and is never reused; Epoch grows when
// a spool was lost or a backup restored. A jump of Seq within one epoch is a gap.
type ID struct {
	Agent Agent
	Epoch uint32
	Seq   uint64
}

// IsZero reports whether the evidence has not yet been given a place.
func (i ID) IsZero() bool { return i == ID{} }

// Compare orders IDs of one agent: by epoch, then by sequence. Agents are ordered by their bytes.
func (i ID) Compare(o ID) int {
	if c := cmp.Compare(string(i.Agent[:]), string(o.Agent[:])); c != 0 {
		return c
	}
	if c := cmp.Compare(i.Epoch, o.Epoch); c != 0 {
		return c
	}
	return cmp.Compare(i.Seq, o.Seq)
}

// UUID is a version 7 UUID (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then bits that tell records apart.
type UUID [16]byte

// DrawUUID makes the UUID of the record that the evidence began. It is a function of the evidence's place and the time it was
// seen, so that evidence which is joined again after a crash gives the record the same UUID, and a sink can drop the copy.
func DrawUUID(seen time.Time, first ID) UUID {
	var in [28]byte
	copy(in[:16], first.Agent[:])
	binary.BigEndian.PutUint32(in[16:], first.Epoch)
	binary.BigEndian.PutUint64(in[20:], first.Seq)
	sum := sha256.Sum256(in[:])
	var u UUID
	copy(u[6:], sum[:10])
	binary.BigEndian.PutUint64(u[:8], uint64(seen.UnixMilli())<<16|uint64(u[6])<<8|uint64(u[7]))
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	return u
}

// IsZero reports whether the UUID was never set.
func (u UUID) IsZero() bool { return u == UUID{} }

// Time returns the moment that the UUID carries, to the millisecond, in UTC.
func (u UUID) Time() time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(u[:8]) >> 16)).UTC()
}

// Compare orders UUIDs by their bytes, which is by time.
func (u UUID) Compare(o UUID) int { return cmp.Compare(string(u[:]), string(o[:])) }

// String returns the form 8-4-4-4-12 in lower case.
func (u UUID) String() string {
	b, _ := u.MarshalText()
	return string(b)
}

// MarshalText implements encoding.TextMarshaler with the form of String.
func (u UUID) MarshalText() ([]byte, error) {
	var b [36]byte
	hex.Encode(b[0:8], u[0:4])
	hex.Encode(b[9:13], u[4:6])
	hex.Encode(b[14:18], u[6:8])
	hex.Encode(b[19:23], u[8:10])
	hex.Encode(b[24:], u[10:])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return b[:], nil
}

// UnmarshalText accepts the form of String.
func (u *UUID) UnmarshalText(text []byte) error {
	v, err := ParseUUID(string(text))
	if err == nil {
		*u = v
	}
	return err
}

// ParseUUID accepts the form 8-4-4-4-12, in either case.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return UUID{}, fmt.Errorf("%q is no record id: expected a UUID such as 019a7f5e-3c00-7abc-8def-0123456789ab", Escape(s))
	}
	digits := s[0:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	if _, err := hex.Decode(u[:], []byte(digits)); err != nil {
		return UUID{}, fmt.Errorf("%q is no record id: %w", Escape(s), err)
	}
	return u, nil
}
