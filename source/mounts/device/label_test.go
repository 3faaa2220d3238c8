package device

import (
	"bytes"
	"io"
	"testing"
	"unicode/utf8"
)

// sector is a boot sector with texts at their places.
func sector(texts map[int]string) []byte {
	b := make([]byte, 512)
	for at, s := range texts {
		copy(b[at:], s)
	}
	return b
}

func TestLabelIsReadFromBootSector(t *testing.T) {
	f := func(b []byte, want marks, known bool) {
		t.Helper()
		if m, ok := marksIn(bytes.NewReader(b)); ok != known || m != want {
			t.Errorf("got %+v %v, want %+v", m, ok, want)
		}
	}
	end := "\x55\xaa"
	f(sector(map[int]string{67: "\x4d\x3c\x2b\x1a", 71: "STICK      ", 82: "FAT32   ", 510: end}), marks{"STICK", "1A2B-3C4D"}, true)
	f(sector(map[int]string{39: "\x4d\x3c\x2b\x1a", 43: "NO NAME    ", 54: "FAT16   ", 510: end}), marks{"", "1A2B-3C4D"}, true)
	f(sector(map[int]string{3: "EXFAT   ", 100: "\x4d\x3c\x2b\x1a", 510: end}), marks{"", "1A2B-3C4D"}, true)
	f(sector(map[int]string{0: "XFSB", 32: "\x0b\x5a\xd3\x2a\x8d\x5c\x4b\x3d\x9a\x45\x6d\x2b\xca\x1f\x4f\x11", 108: "data\x00"}),
		marks{"data", "0b5ad32a-8d5c-4b3d-9a45-6d2bca1f4f11"}, true)
	f(sector(map[int]string{510: end}), marks{}, false)
	f(nil, marks{}, false)
}

func FuzzMarks(f *testing.F) {
	f.Add(sector(map[int]string{71: "STICK      ", 82: "FAT32   ", 510: "\x55\xaa"}), int64(0))
	f.Add(sector(map[int]string{0x38: "\x53\xef", 0x78: "label"}), int64(1024))
	f.Add(sector(map[int]string{0: "\x10\x20\xf5\xf2"}), int64(1024))
	f.Fuzz(func(t *testing.T, b []byte, at int64) {
		whole := make([]byte, 128<<10)
		if at < 0 || at >= int64(len(whole)) {
			return
		}
		copy(whole[at:], b)
		m, _ := marksIn(io.NewSectionReader(bytes.NewReader(whole), 0, int64(len(whole))))
		if !utf8.ValidString(m.label) || len(m.label) > 1600 || len(m.uuid) > 36 {
			t.Errorf("%+v", m)
		}
	})
}
