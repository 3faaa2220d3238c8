package segment

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"tallyman"
)

// TestASegmentIsTheseBytes is a vector for other implementations: agent 000102...0f, epoch 2, first place 5, the entries "tally" and "".
func TestASegmentIsTheseBytes(t *testing.T) {
	var agent tallyman.Agent
	for i := range agent {
		agent[i] = byte(i)
	}
	b := Title{agent, 2, 5}.Bytes()
	b = AppendEntry(b, Seed(agent, 2), 5, []byte("tally"))
	b = AppendEntry(b, Seed(agent, 2), 6, nil)
	want := strings.Join([]string{
		"74616c6c7973706c", "0001", "0000", "00000002", "0000000000000005", "000102030405060708090a0b0c0d0e0f", strings.Repeat("00", 20), "14386580",
		"00000005", "7dac7eca", "0000000000000005", "5b96830e", hex.EncodeToString([]byte("tally")),
		"00000000", "00000000", "0000000000000006", "528a6b44",
	}, "")
	if got := hex.EncodeToString(b); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got, ok, err := ParseTitle(b)
	if err != nil || !ok || got != (Title{agent, 2, 5}) {
		t.Error(got, ok, err)
	}
}

func TestATitleWithAnyByteChangedIsNone(t *testing.T) {
	whole := Title{tallyman.Agent{1, 2, 3}, 7, 9}.Bytes()
	for i := range whole {
		b := slices.Clone(whole)
		b[i] ^= 0x10
		if got, ok, err := ParseTitle(b); ok || err != nil {
			t.Errorf("byte %d: %v %v", i, got, err)
		}
		if got, ok, err := ParseTitle(whole[:i]); ok || err != nil {
			t.Errorf("cut at %d: %v %v", i, got, err)
		}
	}
}

func TestACompressedSegmentIsRefusedAndNotTakenForDamage(t *testing.T) {
	b := Title{tallyman.Agent{1}, 1, 1}.Bytes()
	b[11] = 1
	copy(b[60:], sum(b[:60]))
	if _, ok, err := ParseTitle(b); ok || !errors.Is(err, ErrNewer) {
		t.Error(ok, err)
	}
}

func sum(b []byte) []byte {
	e := AppendEntry(nil, 0, 1, b)
	return e[4:8]
}

func TestAFileNameIsAPlaceAndSortsAsPlacesDo(t *testing.T) {
	var names []string
	for _, epoch := range []uint32{1, 9, 10, 255, 256, MaxEpoch} {
		for _, first := range []uint64{1, 9, 15, 16, 1 << 40, MaxSeq} {
			name := FileName(epoch, first)
			if e, f, ok := ParseFileName(name); !ok || e != epoch || f != first {
				t.Errorf("%s is read as %d %d %v", name, e, f, ok)
			}
			names = append(names, name)
		}
	}
	if !slices.IsSorted(names) {
		t.Error(names)
	}
	for _, name := range []string{
		"", "x.seg", "00000001-0000000000000000.seg", "00000000-0000000000000001.seg", "80000000-0000000000000001.seg",
		"00000001-4000000000000001.seg", "00000001-0000000000000001.seg.bad", "00000001-000000000000000A.seg", "0000001-00000000000000001.seg", "+0000001-0000000000000001.seg",
	} {
		if e, f, ok := ParseFileName(name); ok {
			t.Errorf("%q is taken for %d %d", name, e, f)
		}
	}
}

func TestFitTakesWholeEntries(t *testing.T) {
	b := AppendEntry(AppendEntry(nil, 1, 41, []byte("abc")), 1, 42, []byte("de"))
	f := func(room, n int, last uint64) {
		t.Helper()
		if gotN, gotLast := Fit(b, int64(room)); gotN != n || gotLast != last {
			t.Errorf("room %d: %d bytes to %d, want %d to %d", room, gotN, gotLast, n, last)
		}
	}
	one := EntryHead + 3
	f(0, 0, 0)
	f(one-1, 0, 0)
	f(one, one, 41)
	f(len(b)-1, one, 41)
	f(len(b), len(b), 42)
	f(1<<20, len(b), 42)
	if Seq(b) != 41 {
		t.Error(Seq(b))
	}
}

func TestAScanReadsEntriesAcrossItsWindowAndGrowsWithTheFile(t *testing.T) {
	const longs = 5 // the third one ends behind the first window
	long := bytes.Repeat([]byte("long"), MaxPayload/4)
	b := make([]byte, HeadSize)
	for seq := range uint64(longs) {
		b = AppendEntry(b, 1, seq+1, long)
	}
	first := int64(len(b))
	b = AppendEntry(b, 1, longs+1, []byte("last"))
	var s Scan
	s.Reset(bytes.NewReader(b), 1, 0, first)
	for n, found := 0, 0; found < longs; n++ {
		_, payload, what := s.Next()
		if what == Short {
			if err := s.Fill(); err != nil || n > 3*longs {
				t.Fatal(err, n)
			}
			continue
		}
		if what != Whole || !bytes.Equal(payload, long) {
			t.Fatal(what, len(payload))
		}
		found++
	}
	if _, _, what := s.Next(); what != End {
		t.Fatal(what)
	}
	s.Extend(int64(len(b)))
	if whole, err := s.Run(); err != nil || whole != longs+1 || s.Reach() != longs+1 || s.Damaged != 0 || s.Used != int64(len(b)) {
		t.Fatal(whole, err, s.Reach(), s.Damaged, s.Used)
	}
}

// TestZerosAreSteppedOverAtOnce holds the scan to linear time: a reserved gibibyte must not take minutes.
func TestZerosAreSteppedOverAtOnce(t *testing.T) {
	b := AppendEntry(make([]byte, 1<<20), 1, 1, []byte("behind zeros"))
	var s Scan
	s.Reset(bytes.NewReader(b), 1, 0, int64(len(b)))
	steps := 0
	for {
		_, _, what := s.Next()
		if what == Whole {
			break
		}
		if steps++; what == End || steps > 10 {
			t.Fatal("the entry is not found in", steps)
		}
		if err := s.Fill(); err != nil {
			t.Fatal(err)
		}
	}
	if s.Damaged != 0 {
		t.Error("zeros are no damage:", s.Damaged)
	}
}
