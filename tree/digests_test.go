package tree_test

import (
	"sync"
	"testing"
	"time"

	"tallyman"
	"tallyman/tree"
)

// aged returns the identity of a file that changed at the time of the seed.
func aged(ino uint64) tree.Identity {
	return tree.Identity{Dev: 1, Ino: ino, Size: 3, MTime: stamp.UnixNano(), CTime: stamp.UnixNano()}
}

func TestDigestIsRememberedForTheSameContentOnly(t *testing.T) {
	d, id, later := tree.NewDigests(8), aged(1), stamp.Add(time.Hour)
	d.Put(id, "sha256:aa", later)
	if got, ok := d.Get(id); !ok || got != "sha256:aa" {
		t.Errorf("%q, %v", got, ok)
	}
	for i := range 5 {
		other := id
		*[]*uint64{&other.Dev, &other.Ino}[min(i, 1)]++
		if i > 1 {
			*[]*int64{&other.Size, &other.MTime, &other.CTime}[i-2]++
		}
		if _, ok := d.Get(other); ok {
			t.Errorf("identity %d was taken for another", i)
		}
	}
	d.Put(id, "sha256:bb", later)
	if got, _ := d.Get(id); got != "sha256:bb" {
		t.Errorf("a newer digest: %q", got)
	}
}

func TestDigestOfAYoungFileIsNotRemembered(t *testing.T) {
	f := func(mtime, ctime time.Duration, want bool) {
		t.Helper()
		d, id := tree.NewDigests(8), aged(1)
		id.MTime, id.CTime = stamp.Add(mtime).UnixNano(), stamp.Add(ctime).UnixNano()
		d.Put(id, "sha256:aa", stamp)
		if _, ok := d.Get(id); ok != want {
			t.Errorf("changed %s, %s before: remembered %v", -mtime, -ctime, ok)
		}
	}
	f(-2*time.Second, -2*time.Second, true)
	f(-1999*time.Millisecond, -time.Hour, false)
	f(-time.Hour, -1999*time.Millisecond, false)
	f(time.Hour, -time.Hour, false)
}

func TestDigestsForgetTheLeastRecentlyUsed(t *testing.T) {
	d, later := tree.NewDigests(3), stamp.Add(time.Hour)
	for ino := range uint64(3) {
		d.Put(aged(ino), "sha256:aa", later)
	}
	d.Get(aged(0))
	d.Put(aged(3), "sha256:aa", later)
	for ino, want := range []bool{true, false, true, true} {
		if _, ok := d.Get(aged(uint64(ino))); ok != want {
			t.Errorf("file %d: remembered %v", ino, ok)
		}
	}
	none := tree.NewDigests(0)
	none.Put(aged(1), "sha256:aa", later)
	if _, ok := none.Get(aged(1)); ok {
		t.Error("a memory of no size remembers")
	}
}

func TestDigestsAreSharedByManyGoroutines(t *testing.T) {
	d, later := tree.NewDigests(16), stamp.Add(time.Hour)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 1000 {
				id := aged(uint64((i * (w + 1)) % 32))
				want := tallyman.Digest("sha256:" + string(rune('a'+id.Ino)))
				if got, ok := d.Get(id); ok && got != want {
					t.Errorf("file %d has %q", id.Ino, got)
				}
				d.Put(id, want, later)
			}
		})
	}
	wg.Wait()
}
