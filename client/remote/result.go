package remote

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"tallyman"
)

// Check says how much is to be proven of the content.
type Check string

// The checks. Auto asks the server for its hash if it offers one, and for the size in any case. Hash demands one: an upload to a server that
// has none is read back.
const (
	CheckAuto Check = "auto"
	CheckSize Check = "size"
	CheckHash Check = "hash"
)

// Progress is told how many bytes are there, and how many there are in all, -1 if that is not known. It is called often and must not block.
type Progress func(done, total int64)

// Result is what a transfer came to, as this client saw it.
type Result struct {
	Verdict tallyman.Verdict
	Reason  tallyman.Reason
	Why     string          // a sentence for people; empty when complete
	Proof   []string        // what the verdict rests on, as parts of a sentence
	Bytes   int64           // of the whole content on our side
	Moved   int64           // payload bytes of this transfer
	Offset  int64           // where it was resumed; 0 if it was not
	Digest  tallyman.Digest // of the whole content on our side; empty unless the transfer is complete
	Remote  tallyman.Digest // what the server says of its side, or what was read back; empty if unknown
	Took    time.Duration   // from the request for the file to the server's last word about it
	Server  netip.AddrPort
	Secured string // how the connection is protected; empty in the clear
}

// Prove notes what the verdict rests on.
func (r *Result) Prove(format string, arg ...any) {
	r.Proof = append(r.Proof, fmt.Sprintf(format, arg...))
}

// Sentence says what the verdict rests on.
func (r *Result) Sentence() string {
	n := len(r.Proof)
	if n < 2 {
		return strings.Join(r.Proof, "")
	}
	return strings.Join(r.Proof[:n-1], ", ") + ", and " + r.Proof[n-1]
}

// End is the error of a transfer that ended in another way than whole.
type End struct {
	Verdict tallyman.Verdict
	Reason  tallyman.Reason
	Why     string
}

// Error returns how it ended and why.
func (e *End) Error() string { return fmt.Sprintf("%s, %s: %s", e.Verdict, e.Reason, e.Why) }

// Ended makes an End. What the server said must have been escaped.
func Ended(v tallyman.Verdict, r tallyman.Reason, format string, arg ...any) *End {
	return &End{v, r, fmt.Sprintf(format, arg...)}
}

// Local is the end of a transfer whose content could not be read or stored on our side.
func Local(act string, err error) *End {
	if e, ok := errors.AsType[*End](err); ok {
		return e
	}
	if errors.Is(err, syscall.ENOSPC) {
		return Ended(tallyman.Failed, tallyman.DiskFull, "%s: %v", act, err)
	}
	return Ended(tallyman.Failed, tallyman.IOError, "%s: %v", act, err)
}

// Failure is the error of a transfer that is not complete.
type Failure struct {
	Act string // get NAME at HOST
	End
}

// Error returns what was done, how it ended and why.
func (f *Failure) Error() string { return f.Act + ": " + f.End.Error() }

// Close finishes a result: err is nil, an *End, or any error of the network.
func (r *Result) Close(ctx context.Context, act string, c *Content, err error) error {
	if r.Bytes = c.bytes; err == nil {
		r.Verdict, r.Digest = tallyman.Complete, c.Digest()
		return nil
	}
	e, ok := errors.AsType[*End](err)
	switch {
	case ctx.Err() != nil:
		e = Ended(tallyman.Aborted, tallyman.ClientAbort, "stopped: %v", context.Cause(ctx))
	case !ok:
		e = Ended(tallyman.Failed, tallyman.ServerGone, "%v", err)
	}
	r.Verdict, r.Reason, r.Why = e.Verdict, e.Reason, e.Why
	return &Failure{act, *e}
}

// Agree compares what the two sides count and hash, and notes it. A size below 0 and an empty digest are unknown.
func (r *Result) Agree(c *Content, size int64, digest tallyman.Digest) error {
	if size >= 0 && size != c.bytes {
		return Ended(tallyman.Contradicted, tallyman.StoredShort, "the server says that the file has %d bytes, here are %d", size, c.bytes)
	}
	if r.Remote = digest; digest != "" && digest != c.Digest() {
		return Ended(tallyman.Contradicted, tallyman.HashMismatch, "the file of the server is %s, here it is %s", digest, c.Digest())
	}
	switch {
	case size >= 0 && digest != "":
		r.Prove("both sides count %d bytes with the same SHA-256", size)
	case size >= 0:
		r.Prove("both sides count %d bytes (hashes were not compared)", size)
	case digest != "":
		r.Prove("both sides have the same SHA-256")
	default:
		r.Prove("the server tells neither size nor hash to compare")
	}
	return nil
}
