package pipe_test

import (
	"context"
	"testing"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/pipe"
)

// watched is a ledger that notes the nice value of the thread that writes.
type watched struct {
	*books
	nice chan int
}

func (w *watched) Write(ctx context.Context, b tallyman.Batch) error {
	w.nice <- niceness()
	return w.books.Write(ctx, b)
}

// niceness of the calling thread. The system call reports 20 less the value (man 2 setpriority).
func niceness() int {
	inverse, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return -100
	}
	return 20 - inverse
}

func TestTheLedgerYieldsToTransfers(t *testing.T) {
	own := niceness()
	s, w := openSpool(t, t.TempDir(), nil), &watched{books: newBooks(), nice: make(chan int, 100)}
	defer s.Close()
	p := start(t, pipe.Parts{Spool: s, Ledger: w})
	p.Record(evidence(1, tallyman.KindClosed))
	if got, want := <-w.nice, min(own+10, 19); got != want {
		t.Errorf("nice value %d, want %d", got, want)
	}
	drain(t, p)
	if got := niceness(); got != own {
		t.Errorf("the test itself runs at %d, was %d", got, own)
	}
}
