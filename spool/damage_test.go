package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tallyman"
	"tallyman/spool/segment"
)

// filled makes a spool of one segment, and returns its folder's files and what is in it.
func filled(t *testing.T, n int) (files map[string][]byte, want []string) {
	t.Helper()
	dir := t.TempDir()
	s := mustOpen(t, small(dir))
	want = texts(1, n)
	mustCommit(t, s, want...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return folder(t, dir), want
}

func folder(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func lay(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// with is the folder with one file changed; nil removes it.
func with(files map[string][]byte, name string, b []byte) map[string][]byte {
	out := maps.Clone(files)
	if out[name] = b; b == nil {
		delete(out, name)
	}
	return out
}

// survey opens a damaged folder, stores one entry more and reads everything. It fails unless every place is delivered once, as what
// it was or in a hole, and the new entry has a place of its own. It returns how many of the old entries are lost.
func survey(t *testing.T, what string, files map[string][]byte, want []string) (lost int) {
	t.Helper()
	s := mustOpen(t, small(lay(t, files)))
	defer s.Close()
	id := mustCommit(t, s, "after the damage")
	r := mustReader(t, s, "survey")
	next := uint64(1)
	got := map[uint64]bool{}
	for _, e := range entries(t, s, r) {
		if e.ID.Epoch != 1 || e.ID.Seq != next+max(e.Lost, 1)-1 {
			t.Fatalf("%s: place %d follows %d", what, e.ID.Seq, next-1)
		}
		next = e.ID.Seq + 1
		switch {
		case e.Lost > 0:
		case e.ID == id:
			if string(e.Payload) != "after the damage" {
				t.Fatalf("%s: the new entry is %q", what, e.Payload)
			}
		case e.ID.Seq > uint64(len(want)) || string(e.Payload) != want[e.ID.Seq-1]:
			t.Fatalf("%s: place %d holds a payload that was never there: %q", what, e.ID.Seq, e.Payload)
		default:
			got[e.ID.Seq] = true
		}
	}
	if next != id.Seq+1 || got[id.Seq] {
		t.Fatalf("%s: the sequence ends at %d, the new entry is %d", what, next-1, id.Seq)
	}
	return len(want) - len(got)
}

// theSegment returns the name and content of the only segment, and the offsets where its entries end.
func theSegment(t *testing.T, files map[string][]byte) (name string, b []byte, ends []int) {
	t.Helper()
	name = segment.FileName(1, 1)
	b = files[name]
	ends = []int{segment.HeadSize}
	for at := segment.HeadSize; at < len(b); {
		at += segment.EntryHead + int(binary.BigEndian.Uint32(b[at:]))
		ends = append(ends, at)
	}
	return name, b, ends
}

func TestATornTailIsCutAtTheFirstBadRecordAndCounted(t *testing.T) {
	files, want := filled(t, 6)
	name, b, ends := theSegment(t, files)
	for cut := ends[3]; cut <= len(b); cut++ {
		whole := 0
		for whole < 6 && ends[whole+1] <= cut {
			whole++
		}
		zeroed := append(slices.Clone(b[:cut]), make([]byte, 4<<10-cut)...)
		for what, left := range map[string][]byte{"cut": b[:cut], "zeroed": zeroed} {
			what = fmt.Sprintf("%s at %d", what, cut)
			if lost := survey(t, what, with(files, name, left), want); lost != 6-whole {
				t.Fatalf("%s: %d lost, want %d", what, lost, 6-whole)
			}
		}
	}
}

func TestATornEntryIsAHoleAndAnEntryThatWasNeverWrittenIsNot(t *testing.T) {
	files, _ := filled(t, 6)
	name, b, ends := theSegment(t, files)
	f := func(cut int, want string) {
		t.Helper()
		s := mustOpen(t, small(lay(t, with(files, name, b[:cut]))))
		defer s.Close()
		mustCommit(t, s, "next")
		got := drain(t, s, mustReader(t, s, "join"))
		if fmt.Sprint(got[len(got)-2:]) != want {
			t.Errorf("cut at %d: %q", cut, got)
		}
	}
	f(ends[5]+segment.EntryHead+3, "[hole 1 next]")
	f(ends[5]+segment.EntryHead-1, "[hole 1 next]")
	f(ends[5], "["+texts(5, 1)[0]+" next]")
}

func TestAnyFlippedByteLosesWhatItHitsAndNothingElse(t *testing.T) {
	files, want := filled(t, 5)
	name, b, ends := theSegment(t, files)
	for i := range b {
		flip := byte(1 << (i % 8))
		if i%3 == 0 {
			flip = 0xff
		}
		bad := slices.Clone(b)
		bad[i] ^= flip
		lost := survey(t, fmt.Sprintf("byte %d flipped by %#x", i, flip), with(files, name, bad), want)
		if hit := i >= ends[0]; hit != (lost == 1) || lost > 1 {
			t.Fatalf("byte %d flipped by %#x: %d entries lost", i, flip, lost)
		}
	}
}

func TestDamageInAnOldSegmentIsAHoleForEveryReader(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, small(dir))
	want := texts(1, 150)
	mustCommit(t, s, want...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files := folder(t, dir)
	second := slices.Sorted(func(yield func(string) bool) {
		for name := range files {
			if strings.HasSuffix(name, ".seg") && !yield(name) {
				return
			}
		}
	})[1]
	bad := slices.Clone(files[second])
	bad[segment.HeadSize+segment.EntryHead] ^= 1
	if lost := survey(t, "flip", with(files, second, bad), want); lost != 1 {
		t.Fatal("one entry is damaged, lost are", lost)
	}
	if lost := survey(t, "cut", with(files, second, bad[:1000]), want); lost < 2 {
		t.Fatal("a segment is cut, lost are", lost)
	}
	n := bytes.Count(files[second], []byte("evidence"))
	if lost := survey(t, "gone", with(files, second, nil), want); lost != n {
		t.Fatalf("a segment of %d entries is gone, lost are %d", n, lost)
	}
}

func TestBytesInsideAPayloadAreNeverTakenForAnEntry(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, small(dir))
	// A client that knows the format, but neither agent nor seed, names its file like this.
	forged := segment.AppendEntry(nil, segment.Seed(tallyman.Agent{}, 1), 2, []byte("forged"))
	mustCommit(t, s, "one"+string(forged)+"end", "two")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files := folder(t, dir)
	name, b, _ := theSegment(t, files)
	b[segment.HeadSize] ^= 1
	if lost := survey(t, "forged", with(files, name, b), []string{"one" + string(forged) + "end", "two"}); lost != 1 {
		t.Fatal("lost", lost)
	}
}

func TestASpoolThatLostItsSegmentsBeginsANewEpochWithAHole(t *testing.T) {
	files, _ := filled(t, 3)
	name, b, ends := theSegment(t, files)
	f := func(what string, files map[string][]byte, marks string, want ...string) {
		t.Helper()
		if marks != "" {
			files = with(files, marksFile, summed(marks))
		}
		s := mustOpen(t, small(lay(t, files)))
		defer s.Close()
		id := mustCommit(t, s, "new")
		same(t, what, drain(t, s, mustReader(t, s, "other")), append(want, "new"))
		if wantID := (tallyman.ID{Agent: s.Agent(), Epoch: 2, Seq: 2}); id != wantID {
			t.Errorf("%s: the new entry is %v", what, id)
		}
	}
	old := texts(1, 3)
	// A reader that is new begins at the oldest place that is there, which is behind the hole.
	f("segments gone", with(files, name, nil), "")
	f("segments gone, a reader was behind them", with(files, name, nil), `{"other":[1,2]}`, "hole 1")
	f("the last entry gone, a reader has seen it", with(files, name, b[:ends[2]]), `{"ledger":[1,3],"other":[1,0]}`, old[0], old[1], "hole 1")
}

func TestTheAgentIsFoundInTheSegmentsIfItsFileIsGone(t *testing.T) {
	files, want := filled(t, 3)
	for what, b := range map[string][]byte{"gone": nil, "damaged": []byte("nonsense"), "empty": {}} {
		if lost := survey(t, what, with(files, agentFile, b), want); lost != 0 {
			t.Errorf("agent file %s: %d lost", what, lost)
		}
	}
}

func TestDamagedMarksShowReadersTheEntriesAgain(t *testing.T) {
	files, want := filled(t, 3)
	s := mustOpen(t, small(lay(t, with(files, marksFile, []byte("00000000 {\"join\":[1,3]}\n")))))
	defer s.Close()
	same(t, "again", drain(t, s, mustReader(t, s, "join")), want)
}

func TestStrayFilesAreMovedAsideAndNeverRemoved(t *testing.T) {
	files, want := filled(t, 3)
	foreign := append(segment.Title{Agent: tallyman.Agent{1}, Epoch: 1, First: 7}.Bytes(), "entries of somebody else"...)
	stray := map[string][]byte{
		"hello.seg":                         []byte("no segment"),
		"00000001-ffffffffffffffff.seg":     []byte("no place"),
		"7fffffff-0000000000000001.seg":     []byte("an epoch that never was"),
		segment.FileName(1, 7):              foreign,
		segment.FileName(1, 9):              segment.Title{Epoch: 1, First: 8}.Bytes(),
		"00000001-0000000000000001.seg.bad": []byte("from an earlier day"),
	}
	all := files
	for name, b := range stray {
		all = with(all, name, b)
	}
	dir := lay(t, all)
	if err := os.Mkdir(filepath.Join(dir, segment.FileName(1, 5)), 0o700); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, small(dir))
	defer s.Close()
	mustCommit(t, s, "next")
	same(t, "stray", drain(t, s, mustReader(t, s, "join")), append(want, "next"))
	if _, err := os.Stat(filepath.Join(dir, segment.FileName(1, 5)+".bad")); err != nil {
		t.Error(err)
	}
	for name, b := range stray {
		name = strings.TrimSuffix(name, ".bad") + ".bad"
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, b) {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
}

func TestASegmentOfANewerFormatIsLeftAlone(t *testing.T) {
	files, _ := filled(t, 3)
	name, b, _ := theSegment(t, files)
	newer := slices.Clone(b)
	newer[9] = 2
	binary.BigEndian.PutUint32(newer[60:], crc32.Checksum(newer[:60], crc32.MakeTable(crc32.Castagnoli)))
	dir := lay(t, with(files, name, newer))
	_, err := Open(small(dir))
	if err == nil || !strings.Contains(err.Error(), "newer version") || !strings.Contains(err.Error(), name) {
		t.Fatal(err)
	}
	if got := folder(t, dir)[name]; !bytes.Equal(got, newer) {
		t.Fatal("the segment was changed")
	}
}

// summed is a small file as the folder keeps it.
func summed(text string) []byte {
	return fmt.Appendf(nil, "%08x %s\n", crc32.Checksum([]byte(text), crc32.MakeTable(crc32.Castagnoli)), text)
}

func TestAnEmptySegmentWhoseHeadWasTornIsUsed(t *testing.T) {
	files, _ := filled(t, 0)
	name, b, _ := theSegment(t, files)
	for n := range segment.HeadSize {
		s := mustOpen(t, small(lay(t, with(with(files, name, b[:n]), agentFile, nil))))
		if id := mustCommit(t, s, "first"); id.Epoch != 1 || id.Seq != 1 {
			t.Fatalf("head cut at %d: the first entry is %v", n, id)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenSucceedsOnWhateverBytesStandInTheFolder(t *testing.T) {
	files, want := filled(t, 5)
	dir := lay(t, files)
	s := mustOpen(t, small(dir))
	r := mustReader(t, s, "join")
	drain(t, s, r)
	if err := errors.Join(r.Commit(s.Status().Synced), s.Close()); err != nil {
		t.Fatal(err)
	}
	files = folder(t, dir)
	names := slices.Sorted(maps.Keys(files))
	rapid.Check(t, func(rt *rapid.T) {
		all := files
		for range rapid.IntRange(1, 3).Draw(rt, "damages") {
			name := rapid.SampledFrom(append(names, "00000001-0000000000000003.seg", "00000002-0000000000000001.seg", "x.tmp")).Draw(rt, "file")
			b := slices.Clone(all[name])
			at := rapid.IntRange(0, len(b)).Draw(rt, "at")
			stretch := rapid.SliceOfN(rapid.Byte(), 0, 80).Draw(rt, "bytes")
			b = append(b[:at], append(stretch, b[min(at+rapid.IntRange(0, 80).Draw(rt, "gone"), len(b)):]...)...)
			all = with(all, name, append([]byte{}, b...))
		}
		dir := t.TempDir()
		for name, b := range all {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				rt.Fatal(err)
			}
		}
		s, err := Open(small(dir))
		if err != nil {
			rt.Fatal(err)
		}
		defer s.Close()
		id, err := s.Commit(rt.Context(), []byte("new"))
		if err != nil {
			rt.Fatal(err)
		}
		r, err := s.Reader("survey")
		if err != nil {
			rt.Fatal(err)
		}
		defer r.Close()
		got := entries(t, s, r)
		if last := got[len(got)-1]; last.ID != id || string(last.Payload) != "new" {
			rt.Fatalf("the last is %v %q", last.ID, last.Payload)
		}
		for _, e := range got[:len(got)-1] {
			if e.Lost == 0 && !slices.Contains(want, string(e.Payload)) {
				rt.Fatalf("%v was never appended: %q", e.ID, e.Payload)
			}
		}
	})
}
