package tallyman

import (
	"net/netip"
	"time"
)

// Proc names a process on one boot of one host: the pid alone is reused. Start is in clock ticks since boot (proc(5), field 22).
type Proc struct {
	PID   int32
	Start int64
}

// Digest is a hash of a whole content: the algorithm, a colon, lower-case hexadecimal digits, as in "sha256:9f86...".
type Digest string

// Evidence is one thing that one witness saw. It is flat and comparable: times are UTC, cut to microseconds and carry no monotonic reading.
//
// Numbers that a witness cannot know are -1, never a made-up 0. Name is what the client asked for, byte for byte: it is hostile and
// may be invalid UTF-8. It is escaped where it is shown (Escape).
type Evidence struct {
	ID      ID        // its place in the sequence of its agent; given by the spool
	Time    time.Time // when it happened, by the witness's clock
	Seen    time.Time // when we learnt it; given by the pipe
	Began   time.Time // since when the witness had this transfer in sight; with Peer and Self it names the transfer
	Host    string    // the machine where the witness stands
	Witness string    // the name it signs with: server, log, files, wire, mounts, flows, hash, pipe
	Kind    Kind

	Proto   string // tftp ftp ftps sftp local
	User    string
	Session string // login or control connection
	Op      Op

	Peer netip.AddrPort // the client
	Self netip.AddrPort // the server; for TFTP with the port (TID) that answered
	Proc Proc

	Name   string // as asked, raw bytes
	Path   string // absolute real path, raw bytes
	From   string // its former path
	File   string // handle: device, inode, generation
	Volume string // usb:..., nfs:..., "" = local

	Size     int64 // bytes of the file on disk
	Moved    int64 // payload bytes that this witness proved to have moved
	Expected int64 // bytes announced

	Details string // protocol facts as canonical JSON: options, retransmits, reply codes; "" = none
	Digest  Digest
	Reason  Reason // how it ended, as far as this witness says
	Err     string // the error as it was named there, or the client's own words
	Raw     string // line, packet or event as it came
}

// Unknown returns evidence whose numbers all say "cannot know".
func Unknown() Evidence { return Evidence{Size: -1, Moved: -1, Expected: -1} }

// Clean returns the time in the form that records carry: UTC, microseconds, no monotonic reading.
func Clean(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.Round(0).UTC().Truncate(time.Microsecond)
}
