package tftp

import (
	"fmt"
	"net/netip"
	"time"

	"tallyman"
)

// Result is what a transfer came to, as this client saw it.
type Result struct {
	Verdict tallyman.Verdict
	Reason  tallyman.Reason
	Why     string          // a sentence for people; empty when complete
	Bytes   int64           // of the content on our side
	Wire    int64           // payload bytes that moved; more than Bytes in netascii
	Digest  tallyman.Digest // of the content on our side; empty unless the transfer is complete
	Took    time.Duration   // from the request to the last packet that moved the transfer
	Server  netip.AddrPort  // with the port (TID) that answered; the port asked if none did
	Self    netip.AddrPort
	Granted Granted
	Plain   bool // the server refused options and was asked again without

	Retransmits int // packets sent again
	Duplicates  int // packets that came again
	Strangers   int // packets from other addresses or ports
}

// Failure is the error of a transfer that is not complete.
type Failure struct {
	Act     string // get NAME from HOST
	Verdict tallyman.Verdict
	Reason  tallyman.Reason
	Why     string
}

// Error returns what was done, how it ended and why.
func (f *Failure) Error() string {
	return fmt.Sprintf("%s: %s, %s: %s", f.Act, f.Verdict, f.Reason, f.Why)
}

// judge compares the sizes of a transfer that the protocol calls complete.
func (r *Result) judge(announced int64) {
	if r.Verdict == tallyman.Complete && announced >= 0 && announced != r.Wire {
		r.Verdict, r.Reason = tallyman.Contradicted, tallyman.AnnouncedSize
		r.Why = fmt.Sprintf("%d bytes were announced and %d moved", announced, r.Wire)
	}
}
