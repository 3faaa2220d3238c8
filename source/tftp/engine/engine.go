// Package engine holds the protocol machines of the TFTP server: Read serves an RRQ, Write serves a WRQ.
//
//	request ── Negotiate ──> Grant ── Start ──> Do
//	packet from the client ──────── Packet ──> Do      Do = what the driver sends, stores or ends, now
//	Deadline() passed ───────────── Tick ────> Do
//	the request came once more ──── Repeat ──> Do
//	upload synced and renamed ───── Stored ──> Do
//	shutdown, kick, full disk ───── Stop, Refuse, Gone ──> Do
//	                                Outcome() = the facts for the record
//
// The machines are pure: no clock, socket, file, goroutine or environment. now is the driver's monotonic clock,
// any origin, never going back. They hold no pointer to a buffer, allocate nothing per packet, and cost a slow
// client about 300 octets. A machine belongs to one goroutine at a time.
//
// They promise: a duplicate ACK never causes DATA, only the timer does; no block behind the last one is asked for;
// an upload is stored in order, each block once; an ERROR is never answered; a good outcome is said only where the
// protocol proves it; every transfer ends.
//
// They leave to the driver: sockets and foreign ports (only packets of the client's own address and port may be
// fed), files, names, netascii, limits per client, and the verdict to the join.
//
// Sources: RFC 1350, RFC 1123 section 4.2.3.1 (Sorcerer's Apprentice), RFC 2347, 2348, 2349, RFC 6298 (timer), RFC 7440.
package engine

import (
	"math"
	"time"

	"tallyman/source/tftp/packet"
)

// Never is the Deadline of a machine that waits for its driver or has ended.
const Never = time.Duration(math.MaxInt64)

// maxWindow keeps "ahead" and "behind" apart in block numbers of 16 bit.
const maxWindow = 1<<15 - 1

// Do is what a driver does after one call, in the order of the fields. The zero value: nothing.
type Do struct {
	Store []byte // append to the upload; a view into the packet; may be empty although Last

	// Last says that the upload is whole with Store: sync, rename, record, then call Stored or Refuse. No ACK
	// leaves before that.
	Last bool

	OACK  bool   // send the grant's OACK
	From  uint64 // send DATA From..From+Count-1: absolute numbers beginning with 1, on the wire their low 16 bit
	Count int    // blocks, at most the window; 0 = none

	Ack      bool   // send ACK AckBlock, after Store has been taken
	AckBlock uint16 //

	SendError bool // send Error
	Error     packet.Error

	Done bool // the machine has ended: read Outcome, close the socket
}

// Reason says why a transfer ended: a code of the closed list of reasons. Drivers pass further ones of the list
// to Refuse (`disk-full`, `quota`, `io-error`, `kicked` ...).
type Reason string

// The reasons that the machines find themselves.
const (
	FinalAck      Reason = "final-ack"             // read: the last block was acknowledged
	Stored        Reason = "stored"                // write: the driver stored the whole
	AnnouncedSize Reason = "announced-size"        // write: stored, but more than the client announced
	SizeProbe     Reason = "size-probe"            // read: the client ended the negotiation, it wanted the size
	ClientError   Reason = "client-error"          // the client sent ERROR
	ClientSilent  Reason = "client-silent"         // no progress for the give-up time
	ClientGone    Reason = "client-gone"           // the client's port is closed (ICMP)
	Unconfirmed   Reason = "delivered-unconfirmed" // read: all was sent, the last ACK never came
	Truncated     Reason = "truncated"             // write: fewer bytes than announced
	ServerError   Reason = "server-error"          // the client broke the protocol and was told so
	Shutdown      Reason = "shutdown"              // Stop
)

// Outcome holds the facts of a transfer for its record. It can be read at any time; Reason is empty while the
// transfer runs.
type Outcome struct {
	Reason Reason

	// Bytes counts the payload proven to have moved: of a read what the client acknowledged, of a write what came
	// in order. Of a netascii transfer these are bytes as on the wire.
	Bytes int64

	LastBlock uint64 // read: highest DATA sent; write: last DATA taken in order
	LastAcked uint64 // read: highest DATA acknowledged by the client; write: highest ACK sent

	Retransmits uint32 // packets sent once more: DATA or OACK of a read, ACK or OACK of a write
	Duplicates  uint32 // ACKs (read) or DATA (write) that had come before
	Gaps        uint32 // write: DATA that came behind a lost one and were not stored
	Strays      uint32 // packets that make no sense in this transfer: unsent block, other opcode, cut short
	Requests    uint32 // the same request received again (Repeat)

	RTT time.Duration // smoothed round trip, 0 = never measured

	ClientSaid bool        // the client sent an ERROR:
	ClientCode packet.Code // its code
	ClientText string      // its text, raw bytes of a stranger
}

// clientSaid notes an ERROR of the client.
func (o *Outcome) clientSaid(code packet.Code, text []byte) {
	o.ClientSaid, o.ClientCode, o.ClientText = true, code, string(text)
}

// What the machines say to a client of their own accord.
const (
	textStopping  = "server is shutting down"
	textTruncated = "fewer bytes than the announced tsize, nothing was kept"
	textTooLarge  = "DATA is larger than the agreed blksize"
)
