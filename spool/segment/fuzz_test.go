package segment

import (
	"bytes"
	"testing"
)

// scanAll walks a segment's bytes, and fails unless each accepted entry is, byte for byte, what would be written for it.
func scanAll(t *testing.T, b []byte, seed uint32) (seqs []uint64, payloads [][]byte) {
	t.Helper()
	var w Scan
	w.Reset(bytes.NewReader(b), seed, 0, int64(len(b)))
	for {
		seq, payload, what := w.Next()
		switch what {
		case Whole:
			from := w.off - int64(EntryHead+len(payload))
			if again := AppendEntry(nil, seed, seq, payload); from < HeadSize || !bytes.Equal(again, b[from:w.off]) {
				t.Fatalf("entry %d at %d is not what was accepted", seq, from)
			}
			if len(seqs) > 0 && seq <= seqs[len(seqs)-1] {
				t.Fatalf("entry %d follows %d", seq, seqs[len(seqs)-1])
			}
			seqs, payloads = append(seqs, seq), append(payloads, bytes.Clone(payload))
		case Short:
			before := w.off
			if err := w.Fill(); err != nil {
				t.Fatal(err)
			}
			if cap(w.buf) > len(b) || w.off != before {
				t.Fatalf("%d bytes of memory for a segment of %d", cap(w.buf), len(b))
			}
		case End:
			if w.off < w.end || w.Damaged > int64(len(b)) || w.Used > int64(max(len(b), HeadSize)) {
				t.Fatalf("the scan ends at %d of %d, %d damaged", w.off, w.end, w.Damaged)
			}
			if n := len(seqs); n > 0 && w.Reach() < seqs[n-1] {
				t.Fatalf("reach %d is below entry %d", w.Reach(), seqs[n-1])
			}
			return seqs, payloads
		}
	}
}

// FuzzScan feeds bytes as they come behind a segment's head.
func FuzzScan(f *testing.F) {
	f.Add([]byte("no entry"))
	f.Add(AppendEntry(AppendEntry(nil, 7, 1, []byte("a")), 7, 2, nil))
	f.Add(append(make([]byte, 100), AppendEntry(nil, 7, 1<<61, []byte("far"))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		scanAll(t, append(make([]byte, HeadSize), b...), 7)
	})
}

// FuzzDamagedSegment makes a segment of the text's lines, damages it in one stretch, and expects every entry that was not touched.
func FuzzDamagedSegment(f *testing.F) {
	f.Add([]byte("one\ntwo\nthree"), uint16(90), []byte{1, 2, 3}, false)
	f.Add([]byte("one\n\nthree\nfour"), uint16(64), []byte{0xff}, true)
	f.Fuzz(func(t *testing.T, text []byte, at uint16, damage []byte, cut bool) {
		b := make([]byte, HeadSize)
		var ends []int
		lines := bytes.Split(text, []byte("\n"))
		for i, line := range lines {
			b = AppendEntry(b, 7, uint64(i+1), line)
			ends = append(ends, len(b))
		}
		from := min(HeadSize+int(at), len(b))
		to := min(from+len(damage), len(b))
		for i := from; i < to; i++ {
			b[i] ^= damage[i-from]
		}
		if cut {
			b, to = b[:from], len(b)
		}
		seqs, payloads := scanAll(t, b, 7)
		got := map[uint64]string{}
		for i, seq := range seqs {
			got[seq] = string(payloads[i])
		}
		begin := HeadSize
		for i, line := range lines {
			p, ok := got[uint64(i+1)]
			if untouched := ends[i] <= from || begin >= to; untouched && !ok || ok && p != string(line) {
				t.Fatalf("entry %d of %q: %v %q; damage from %d to %d", i+1, line, ok, p, from, to)
			}
			begin = ends[i]
		}
		if len(got) > len(lines) {
			t.Fatalf("%d entries of %d lines", len(got), len(lines))
		}
	})
}
