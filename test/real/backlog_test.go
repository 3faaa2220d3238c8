//go:build real

package real

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// rush is 500 transfers at once: by turns a read and an upload of 100 kB.
type rush struct {
	label   string
	content [][]byte
	took    []time.Duration // of each transfer, in order of length
	all     time.Duration
	failed  []string
}

func runRush(s *server, label string) *rush {
	s.t.Helper()
	const transfers = 500
	r := &rush{label: label, took: make([]time.Duration, transfers), content: make([][]byte, transfers)}
	devices := make([]*device, transfers)
	for i := range devices {
		r.content[i] = noise(uint64(i), 100_000+i)
		devices[i] = newDevice(s.t, s.addr, "")
		devices[i].options = []string{"blksize", "1428"}
		if i%2 == 0 {
			s.file(r.name(i), r.content[i])
		}
	}
	var all sync.WaitGroup
	began := time.Now()
	var mu sync.Mutex
	for i, d := range devices {
		all.Go(func() {
			began := time.Now()
			if err := r.move(d, i); err != nil {
				mu.Lock()
				r.failed = append(r.failed, fmt.Sprintf("%s: %v", r.name(i), err))
				mu.Unlock()
			}
			r.took[i] = time.Since(began)
		})
	}
	all.Wait()
	r.all = time.Since(began)
	slices.Sort(r.took)
	return r
}

// move is the i-th transfer.
func (r *rush) move(d *device, i int) error {
	if i%2 == 1 {
		return d.put(r.name(i), r.content[i])
	}
	b, err := d.get(r.name(i))
	if err == nil && !bytes.Equal(b, r.content[i]) {
		err = fmt.Errorf("%d bytes that do not stand there", len(b))
	}
	return err
}

func (r *rush) name(i int) string { return fmt.Sprintf("%s-%d", r.label, i) }

// recorded wants that each transfer went well, and a record of it.
func (r *rush) recorded(s *server) {
	s.t.Helper()
	if n := len(r.failed); n > 0 {
		s.t.Fatalf("%s: %d of %d transfers failed, as %s", r.label, n, len(r.content), r.failed[0])
	}
	for i, content := range r.content {
		w := got(r.name(i), content)
		if i%2 == 1 {
			w = stored(r.name(i), content)
		}
		s.proves(w)
	}
}

func (r *rush) String() string {
	n := len(r.took)
	return fmt.Sprintf("%d transfers in %v, half of them within %v, 99 of 100 within %v", n, r.all.Round(time.Millisecond),
		r.took[n/2].Round(time.Millisecond), r.took[n*99/100].Round(time.Millisecond))
}

// TestAHungLedgerSlowsNoTransferAndLosesNothing freezes the disk of the ledger, and only that: whoever writes to it hangs until it is thawed.
func TestAHungLedgerSlowsNoTransferAndLosesNothing(t *testing.T) {
	d := newDisk(t, "256M")
	s := newServer(t)
	mkdir(t, s.state)
	if err := os.Symlink(filepath.Join(d.at, "ledger.db"), filepath.Join(s.state, "ledger.db")); err != nil {
		t.Fatal(err)
	}
	s.start()
	t.Cleanup(s.stop)
	if _, err := os.Stat(filepath.Join(d.at, "ledger.db-wal")); err != nil {
		t.Fatalf("the ledger does not lie on the disk that will hang: %v", err)
	}
	runRush(s, "first").recorded(s)
	usual := runRush(s, "usual")
	usual.recorded(s)

	most := gauge(t, s.pid())
	if err := d.tell(fsFreeze, 0); err != nil {
		t.Fatal(err)
	}
	thaw := sync.OnceFunc(func() {
		if err := d.tell(fsThaw, 0); err != nil {
			t.Errorf("thaw: %v", err)
		}
	})
	t.Cleanup(thaw)
	time.AfterFunc(soon, thaw)
	hung, longer := runRush(s, "hung"), runRush(s, "longer")
	if len(hung.failed)+len(longer.failed) > 0 {
		thaw()
		hung.recorded(s)
		longer.recorded(s)
	}
	backlog := s.awaitSystem(func(sys system) bool { return sys.Backlog >= 1000 }).Backlog // the page goes on
	if n := len(s.listed("file:usual-*")); n != len(usual.content) {
		t.Errorf("while the ledger hangs, ls tells of %d transfers", n)
	}
	thaw()
	thawed := time.Now()
	hung.recorded(s)
	longer.recorded(s)
	drained := time.Since(thawed)
	memory := most()
	t.Logf("ledger well: %v", usual)
	t.Logf("ledger hung: %v", hung)
	t.Logf("and longer:  %v; backlog %d, drained %v after the thaw; memory up to %d MiB", longer, backlog, drained.Round(time.Millisecond), memory>>20)
	if limit := 2*usual.took[len(usual.took)/2] + time.Second; hung.took[len(hung.took)/2] > limit {
		t.Errorf("transfers are slowed")
	}
	if memory > 200<<20 {
		t.Errorf("the server took %d MiB", memory>>20)
	}
	if s.gapCount() > 0 {
		t.Errorf("%d gaps are recorded", s.gapCount())
	}
}
