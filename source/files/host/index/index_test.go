package index_test

import (
	"errors"
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"tallyman/source/files/host/index"
)

// all is what an index holds: paths and what they name.
func all(x *index.Index) map[string]index.Facts {
	out := map[string]index.Facts{}
	var walk func(id index.ID)
	walk = func(id index.ID) {
		out[fmt.Sprintf("%s %x", x.Path(id), x.Key(id))] = x.Facts(id)
		x.Children(id, walk)
	}
	for _, a := range x.Anchors() {
		walk(a)
	}
	return out
}

// act does one thing at random to an index, and keeps what it did.
func act(t *rapid.T, x *index.Index, next *uint64) {
	var ids []index.ID
	var walk func(id index.ID)
	walk = func(id index.ID) {
		ids = append(ids, id)
		x.Children(id, walk)
	}
	for _, a := range x.Anchors() {
		walk(a)
	}
	var folders []index.ID
	for _, id := range ids {
		if x.Facts(id).Kind == index.Folder {
			folders = append(folders, id)
		}
	}
	folder := rapid.SampledFrom(folders).Draw(t, "folder")
	name := rapid.SampledFrom([]string{"a", "b", "c", "d\n", "\xff"}).Draw(t, "name")
	id := rapid.SampledFrom(ids).Draw(t, "id")
	switch rapid.SampledFrom([]string{"put", "put", "put", "link", "move", "remove", "set", "bury"}).Draw(t, "what") {
	case "put":
		*next++
		f := index.Facts{Kind: index.Kind(rapid.IntRange(0, 3).Draw(t, "kind")), Size: int64(*next), Mtime: -5, Mode: 0o644, UID: 1 << 31, Links: 1}
		x.Keep(x.Put(folder, name, index.Key{FS: x.Key(folder).FS, ID: *next}, f))
	case "link":
		if x.Facts(id).Kind == index.File && x.Key(id).FS == x.Key(folder).FS {
			x.Keep(x.Put(folder, name, x.Key(id), x.Facts(id)))
		}
	case "move":
		if x.Parent(id) != 0 && !x.Below(folder, id) && x.Key(id).FS == x.Key(folder).FS {
			x.Move(id, folder, name)
		}
	case "remove":
		if x.Parent(id) != 0 {
			x.Remove(id)
		}
	case "set":
		f := x.Facts(id)
		f.Size++
		x.Set(id, f)
		x.Keep(id)
	case "bury":
		x.Bury()
	}
}

func TestJournalBringsBackWhatWasKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, next := index.New(), uint64(1)
		x.Keep(x.Put(0, "/srv", index.Key{FS: 7, ID: 1}, index.Facts{Kind: index.Folder}))
		x.Keep(x.Put(0, "/srv", index.Key{FS: 8, ID: 1}, index.Facts{Kind: index.Folder})) // another file system at the same place
		steps := rapid.IntRange(0, 60).Draw(t, "steps")
		cut := rapid.IntRange(0, steps).Draw(t, "cut")
		var snapshot []byte
		for i := range steps {
			if i == cut {
				x.Pending()
				snapshot = x.Snapshot()
			}
			act(t, x, &next)
		}
		y := index.New()
		for _, b := range [][]byte{snapshot, x.Pending()} {
			if _, err := y.Load(b); err != nil {
				t.Fatal(err)
			}
		}
		if a, b := all(x), all(y); !maps.Equal(a, b) {
			t.Fatalf("%v\nbecame\n%v", a, b)
		}
		if x.Len() != len(all(x)) || y.Len() != x.Len() {
			t.Fatalf("%d and %d names of %d", x.Len(), y.Len(), len(all(x)))
		}
	})
}

func TestTornJournalIsGoodUpToItsTear(t *testing.T) {
	x := index.New()
	root := x.Put(0, "/srv", index.Key{FS: 7, ID: 1}, index.Facts{Kind: index.Folder})
	x.Keep(root)
	var ends []int
	for i := range 5 {
		x.Keep(x.Put(root, fmt.Sprint(i), index.Key{FS: 7, ID: uint64(i + 2)}, index.Facts{Size: 9}))
		ends = append(ends, x.PendingLen())
	}
	b := x.Pending()
	for n := range len(b) {
		y := index.New()
		good, err := y.Load(b[:n])
		whole := n == 0
		names := 0
		for i, end := range ends {
			if n >= end {
				names = i + 2
			}
			whole = whole || n == end
		}
		if first := ends[0] - (ends[1] - ends[0]); n >= first && names == 0 {
			names = 1
			whole = whole || n == first
		}
		if errors.Is(err, index.ErrTorn) == whole || good > n || y.Len() != names {
			t.Fatalf("cut to %d: %d good, %d names and not %d, %v", n, good, y.Len(), names, err)
		}
	}
	for i := range b {
		b[i] ^= 0x40
		y := index.New()
		if _, err := y.Load(b); !errors.Is(err, index.ErrTorn) {
			t.Fatalf("a flipped bit in byte %d is taken", i)
		}
		b[i] ^= 0x40
	}
}

func FuzzLoad(f *testing.F) {
	x := index.New()
	root := x.Put(0, "/srv", index.Key{FS: 7, ID: 1}, index.Facts{Kind: index.Folder})
	x.Keep(root)
	x.Keep(x.Put(root, "a", index.Key{FS: 7, ID: 2}, index.Facts{Size: 9}))
	x.Move(x.Child(root, "a"), root, "b")
	x.Remove(x.Child(root, "b"))
	f.Add(x.Pending())
	f.Fuzz(func(t *testing.T, b []byte) {
		y := index.New()
		good, err := y.Load(b)
		if good > len(b) || err == nil && good != len(b) {
			t.Fatalf("%d of %d bytes, %v", good, len(b), err)
		}
		z := index.New()
		if _, err := z.Load(y.Snapshot()); err != nil || !maps.Equal(all(y), all(z)) {
			t.Fatalf("%v became %v, %v", all(y), all(z), err)
		}
	})
}

// A folder that is gone is found until it is buried; an object with two names is found by the one that is left.
func TestWhatIsGoneIsFoundUntilItIsBuried(t *testing.T) {
	x := index.New()
	root := x.Put(0, "/", index.Key{FS: 7, ID: 1}, index.Facts{Kind: index.Folder})
	dir := x.Put(root, "d", index.Key{FS: 7, ID: 2}, index.Facts{Kind: index.Folder})
	x.Put(dir, "f", index.Key{FS: 7, ID: 3}, index.Facts{})
	x.Put(root, "g", index.Key{FS: 7, ID: 3}, index.Facts{})
	x.Remove(dir)
	if id := x.Object(index.Key{FS: 7, ID: 2}); id != dir || !x.Dead(id) || x.Path(id) != "/d" {
		t.Errorf("the folder is %d, %q", id, x.Path(id))
	}
	if id := x.Object(index.Key{FS: 7, ID: 3}); x.Path(id) != "/g" || x.Dead(id) {
		t.Errorf("the file is %q", x.Path(id))
	}
	x.Put(dir, "late", index.Key{FS: 7, ID: 4}, index.Facts{}) // an event that comes late
	x.Bury()
	for id, want := range map[uint64]bool{1: true, 2: false, 3: true, 4: false} {
		if (x.Object(index.Key{FS: 7, ID: id}) != 0) != want {
			t.Errorf("object %d is known: %v", id, !want)
		}
	}
	if x.Len() != 2 || x.Graves() != 0 {
		t.Errorf("%d names, %d dead", x.Len(), x.Graves())
	}
}
