// Package load holds the TFTP clients of the benchmark. They are made to be cheap,
// so that the server beside them is what is measured, and honest: every byte that
// arrives is compared with a known pattern, a client waits one second before it
// repeats a packet as real clients do, and each repetition is counted.
//
//	Spec -> Run -> one client: blocking thread, recvmmsg, sendmmsg   (Read, Write)
//	               many clients: one epoll loop                      (Many, Slow)
//	               both drive the pure machines reader and writer -> Result
//
// Run belongs in a process of its own: it holds its thread in system calls the Go
// scheduler is not told about. Which servers are measured, on which processors and
// in which order is left to the rig above.
package load

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Kind is what the clients of a run do.
type Kind string

// The kinds of load.
const (
	Read  Kind = "read"  // one client, one file after the other
	Write Kind = "write" // one client, each upload under a new name
	Many  Kind = "many"  // Clients at once, each with its own socket
	Slow  Kind = "slow"  // Clients at once that hold every ACK back by Pace and never finish
)

// Spec says what one run of clients does. The zero value of a field that bounds the
// run means no such bound.
type Spec struct {
	Kind   Kind
	Server netip.AddrPort // IPv4
	Names  []string       // files to read in turn; for Write the prefix of the names
	Size   int64          // bytes in each file, which hold the Pattern
	Block  int            // blksize; 512 asks for no option
	Window int            // windowsize; 0 and 1 ask for no option

	Clients   int           // of Many and Slow
	Transfers int           // of each client
	Duration  time.Duration // after which no transfer starts
	Limit     time.Duration // after which running transfers are given up
	Timeout   time.Duration // before a packet is repeated
	Pace      time.Duration // of Slow, by which each ACK is held back

	ReceiveBuffer int    // SO_RCVBUF in bytes; 0 leaves the kernel's default
	Touch         string // a file that gets a new mtime before each read, against caches
}

// Result is what the clients of one run saw.
type Result struct {
	Elapsed   time.Duration // from the first request to the last answer
	Bytes     int64         // of file content
	Transfers int           // that were whole
	Failed    int           // that were not, or held wrong bytes
	Error     string        // the first failure, in words

	LostRequests int // requests that had no answer within Timeout
	Timeouts     int // other packets that had none
	Gaps         int // blocks that were missing or repeated inside a window

	P50, P90, P99, Max time.Duration // a transfer's time, request to last block
	CPU                time.Duration // of the clients' process, user and system
}

// Gate is called by a Slow run twice: with "ready" when all sockets are open and
// nothing is sent, and with "holding" when every reader has its first block. The run
// goes on when it returns, after "holding" to the end.
type Gate func(state string)

// Run does what s says and blocks until it is done. It keeps its operating system
// thread for itself. An error means that the run could not be made; transfers that
// fail are counted in the Result.
func Run(s Spec, gate Gate) (Result, error) {
	if err := s.check(); err != nil {
		return Result{}, err
	}
	switch s.Kind {
	case Read, Write:
		return runSingle(s)
	default:
		return runMany(s, gate)
	}
}

func (s *Spec) check() error {
	switch {
	case s.Kind != Read && s.Kind != Write && s.Kind != Many && s.Kind != Slow:
		return fmt.Errorf("kind %q: want read, write, many or slow", s.Kind)
	case !s.Server.Addr().Is4():
		return fmt.Errorf("server %v: want an IPv4 address and port", s.Server)
	case len(s.Names) == 0:
		return errors.New("names: none given")
	case s.Block < 8 || s.Block > maxBlock:
		return fmt.Errorf("block %d: want 8 to %d", s.Block, maxBlock)
	case s.Window < 0 || s.Window > maxWindow:
		return fmt.Errorf("window %d: want at most %d", s.Window, maxWindow)
	case s.Timeout <= 0:
		return fmt.Errorf("timeout %v: want more than 0", s.Timeout)
	case s.Transfers <= 0 && s.Duration <= 0:
		return errors.New("transfers and duration: one must bound the run")
	case s.Clients < 1 && (s.Kind == Many || s.Kind == Slow):
		return fmt.Errorf("clients %d: want at least 1", s.Clients)
	}
	return nil
}

// fail counts a transfer that was not whole.
func (r *Result) fail(err error) {
	r.Failed++
	if r.Error == "" {
		r.Error = err.Error()
	}
}
