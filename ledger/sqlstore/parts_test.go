package sqlstore

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tallyman"
	"tallyman/test/corpus"
)

func FuzzShapeAndNumbersAreTheFacts(f *testing.F) {
	for _, s := range []string{
		"", "{}", `{"blksize":1428,"rtt_us":412}`, `{"asked":{"tsize":"007"}}`, "0", "00", "01", "999999999999999999", "9999999999999999999999", "1.5e10", "\x00", "a\x001", "-1", "1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, facts string) {
		shape, numbers, ok := shapeOf(facts)
		if !ok {
			if !strings.Contains(facts, "\x00") {
				t.Fatalf("%q has no shape", facts)
			}
			return
		}
		if got := fill([]byte(shape), numbers); got != facts {
			t.Errorf("%q came back as %q", facts, got)
		}
	})
}

func TestFactsThatDifferInNumbersHaveOneShape(t *testing.T) {
	a, _, _ := shapeOf(`{"blocks":31,"rtt_us":412}`)
	b, _, _ := shapeOf(`{"blocks":7,"rtt_us":99999}`)
	if a != b {
		t.Errorf("%q and %q", a, b)
	}
}

func TestPackedEvidenceComesBackBesideItsTransfer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		agent := tallyman.Agent{1, 2}
		tr := (&corpus.Drawer{Agent: agent}).Transfer(t)
		want := slices.Clone(tr.Evidence)
		b := appendPack(nil, tr, 7, agent)
		tr.Evidence = nil
		err := unpack(b, tr, func(n int64) tallyman.Agent {
			if n != 7 {
				t.Fatalf("agent %d", n)
			}
			return agent
		})
		if err != nil || !slices.Equal(tr.Evidence, want) {
			t.Fatalf("got %+v, %v\nwant %+v", tr.Evidence, err, want)
		}
	})
}

func FuzzBrokenPackIsAnError(f *testing.F) {
	tr := &tallyman.Transfer{ID: tallyman.UUID{1}, Name: "a", Evidence: []tallyman.Evidence{{Name: "a"}, {Name: "b", Raw: "line"}}}
	f.Add(appendPack(nil, tr, 3, tallyman.Agent{}))
	f.Add([]byte{})
	f.Add([]byte{packForm})
	f.Add([]byte{2, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		got := *tr
		got.Evidence = nil
		if err := unpack(b, &got, func(int64) tallyman.Agent { return tallyman.Agent{} }); err != nil {
			return
		}
		again := got
		packed := appendPack(nil, &got, 0, tallyman.Agent{})
		if err := unpack(packed, &again, func(int64) tallyman.Agent { return tallyman.Agent{} }); err != nil || !slices.Equal(again.Evidence, got.Evidence) {
			t.Errorf("accepted %x as %+v, which comes back as %+v, %v", b, got.Evidence, again.Evidence, err)
		}
	})
}

func TestAddressComesBackWithItsZone(t *testing.T) {
	for _, s := range []string{"10.0.0.1", "::1", "fe80::1%eth0"} {
		a := netip.MustParseAddr(s)
		if got, err := ipOf(ipBytes(a)); err != nil || got != a {
			t.Errorf("%s came back as %s (%v)", a, got, err)
		}
	}
	if _, err := ipOf([]byte{1, 2}); err == nil {
		t.Error("two bytes are taken for an address")
	}
}

func TestKeysAreInTheOrderOfUUIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) tallyman.UUID {
			at := time.UnixMilli(rapid.Int64Range(0, 1<<43-1).Draw(t, name))
			return tallyman.DrawUUID(at, tallyman.ID{Seq: rapid.Uint64().Draw(t, name)})
		}
		a, b := draw("a"), draw("b")
		if c := cmp.Compare(keyOf(a), keyOf(b)); c != 0 && c != a.Compare(b) {
			t.Fatalf("%s has key %d, %s has key %d", a, keyOf(a), b, keyOf(b))
		}
		if keyOf(a)>>20 != keyAt(a.Time())>>20 {
			t.Fatalf("key %d of %s is not of its millisecond", keyOf(a), a)
		}
	})
}

func TestRecentValuesAreBounded(t *testing.T) {
	r := newRecent[int](10)
	for i := range 1000 {
		r.put(i, int64(i))
		if id, ok := r.get(i - i%7); !ok || id != int64(i-i%7) {
			t.Fatalf("%d was forgotten after %d", i-i%7, i)
		}
		if n := len(r.young) + len(r.old); n > 20 {
			t.Fatalf("%d values are held", n)
		}
	}
	if _, ok := r.get(3); ok {
		t.Error("3 is still known")
	}
}

func TestDigestsComeBack(t *testing.T) {
	for _, d := range []tallyman.Digest{
		"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "sha256:9F86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "md5:d41d8cd98f00b204e9800998ecf8427e",
		tallyman.Digest("x:" + strings.Repeat("a", 29)), tallyman.Digest("x:" + strings.Repeat("a", 30)), "sha256:",
	} {
		if got := digestOf(digestBytes(d)); got != d {
			t.Errorf("%s came back as %s", d, got)
		}
	}
	if digestOf(nil) != "" {
		t.Error("no digest became one")
	}
}
