package spool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"tallyman"
)

// TestManyWritersAndReadersSeeOneOrder runs all methods at once; under -race it also proves that they may be.
func TestManyWritersAndReadersSeeOneOrder(t *testing.T) {
	const writers, each = 6, 300
	cfg := small(t.TempDir())
	cfg.MaxSize, cfg.SegmentSize = 4<<20, 16<<10
	s := mustOpen(t, cfg)
	defer s.Close()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				p := fmt.Appendf(nil, "%d %d", w, i)
				var err error
				if i%10 == 0 {
					_, err = s.Commit(t.Context(), p)
				} else if _, err = s.Append(p); errors.Is(err, tallyman.ErrFull) {
					_, err = s.Commit(t.Context(), p)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, name := range []string{"join", "fleet", "seal"} {
		r := mustReader(t, s, name)
		wg.Go(func() {
			defer r.Close()
			next := [writers]int{}
			for n, seq := 0, uint64(0); n < writers*each; {
				es, err := r.Next(context.Background(), 1+len(name)*3)
				if err != nil {
					t.Error(err)
					return
				}
				for _, e := range es {
					var w, i int
					if _, err := fmt.Sscan(string(e.Payload), &w, &i); err != nil || i != next[w] || e.ID.Seq != seq+1 {
						t.Errorf("%s: %v %q after %d", name, e.ID, e.Payload, seq)
						return
					}
					next[w]++
					seq = e.ID.Seq
					n++
				}
				if err := r.Commit(es[len(es)-1].ID); err != nil {
					t.Error(err)
				}
				s.Status()
			}
		})
	}
	wg.Wait()
	if st := s.Status(); st.Synced.Seq != writers*each || st.Synced != st.Newest {
		t.Fatalf("%+v", st)
	}
}

func TestManyCommittersShareASync(t *testing.T) {
	s := mustOpen(t, Config{Dir: t.TempDir()})
	defer s.Close()
	before := s.Status().Syncs
	const committers, each = 64, 10
	var wg sync.WaitGroup
	for range committers {
		wg.Go(func() {
			for range each {
				if _, err := s.Commit(t.Context(), []byte("payload")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if syncs := s.Status().Syncs - before; syncs > committers*each/4 {
		t.Fatalf("%d commits took %d syncs", committers*each, syncs)
	}
}
