package content

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"tallyman"
)

// memoryFile is a File of bytes.
type memoryFile struct {
	*bytes.Reader
	digest  tallyman.Digest
	changed bool
	closed  bool
	kept    tallyman.Digest
}

func (f *memoryFile) Close() error            { f.closed = true; return nil }
func (f *memoryFile) Path() string            { return "/srv/file" }
func (f *memoryFile) Handle() string          { return "1:2" }
func (f *memoryFile) Digest() tallyman.Digest { return f.digest }
func (f *memoryFile) Unchanged(d tallyman.Digest) bool {
	f.kept = d
	return !f.changed
}

func fileOf(content string) *memoryFile {
	return &memoryFile{Reader: bytes.NewReader([]byte(content))}
}

func digestOf(content []byte) tallyman.Digest {
	return tallyman.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(content)))
}

// shelf is Files that counts.
type shelf struct {
	opens int
	files map[string]*memoryFile
}

func (s *shelf) Open(name tallyman.Name) (File, error) {
	f, ok := s.files[name.Path()]
	if !ok {
		return nil, &Refusal{Reason: tallyman.NotFound, Text: "none"}
	}
	s.opens++
	f.closed = false
	return f, nil
}

func (s *shelf) Create(tallyman.Name, int64, netip.Addr) (Upload, error) { return nil, nil }

func TestRequestsThatCameTogetherShareAFile(t *testing.T) {
	a, b := fileOf("a"), fileOf("b")
	s := &shelf{files: map[string]*memoryFile{"a": a, "b": b}}
	o := NewOpener(s)
	open := func(raw string) File {
		t.Helper()
		name, err := tallyman.ParseName(raw)
		if err != nil {
			t.Fatal(err)
		}
		f, err := o.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	one, two := open("a"), open("/a")
	if s.opens != 1 {
		t.Errorf("%d opens for one file", s.opens)
	}
	other := open("b")
	if err := one.Close(); err != nil || a.closed {
		t.Errorf("closed under a reader: %v", err)
	}
	if err := two.Close(); err != nil || !a.closed {
		t.Errorf("not closed by the last reader: %v", err)
	}
	o.Forget()
	if b.closed {
		t.Error("forgotten under a reader")
	}
	later := open("b")
	if s.opens != 3 {
		t.Errorf("a later request got the file of an earlier one: %d opens", s.opens)
	}
	o.Forget()
	o.Forget()
	_ = other.Close()
	_ = later.Close()
	if _, err := o.Open(tallyman.Name{}); err == nil {
		t.Error("a file that is not there was opened")
	}
}

func TestEachByteIsDigestedOnce(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		content := rapid.SliceOfN(rapid.Byte(), 0, 3000).Draw(r, "content")
		f := fileOf(string(content))
		s := NewReading(f, false)
		block := rapid.IntRange(1, 700).Draw(r, "block")
		sent := 0
		for sent < len(content) {
			from := rapid.IntRange(max(0, sent-2*block), sent).Draw(r, "from") // some of it once more
			got, err := s.Load(make([]byte, block), int64(from), 0)
			if err != nil || !bytes.Equal(got, content[from:min(from+block, len(content))]) {
				r.Fatalf("from %d: %d bytes, %v", from, len(got), err)
			}
			s.Sum(got, int64(from))
			sent = max(sent, from+len(got))
		}
		if digest, ok := s.Close(true); !ok || digest != digestOf(content) || !f.closed || f.kept != digest {
			r.Fatalf("digest %s, unchanged %v", digest, ok)
		}
	})
}

// load brings the first n bytes on their way.
func load(t *testing.T, s *Reading, n int) {
	t.Helper()
	got, err := s.Load(make([]byte, n), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.Sum(got, 0)
}

func TestDigestIsOfAWholeUnchangedContentOnly(t *testing.T) {
	f := fileOf("abcdef")
	s := NewReading(f, false)
	load(t, &s, 3)
	if digest, _ := s.Close(true); digest != "" {
		t.Errorf("half a file has the digest %s", digest)
	}
	s = NewReading(f, false)
	load(t, &s, 6)
	if digest, _ := s.Close(false); digest != "" {
		t.Errorf("a file that the client did not take has the digest %s", digest)
	}
	f.changed = true
	s = NewReading(f, false)
	load(t, &s, 6)
	if digest, unchanged := s.Close(true); digest != "" || unchanged {
		t.Errorf("a file that changed has the digest %s", digest)
	}
}

func TestKnownDigestIsTaken(t *testing.T) {
	f := fileOf("abc")
	f.digest = "sha256:known"
	s := NewReading(f, false)
	load(t, &s, 3)
	if digest, _ := s.Close(true); digest != "sha256:known" {
		t.Errorf("digest is %s", digest)
	}
}

func TestShorterFileIsAnError(t *testing.T) {
	f := fileOf("abcdef")
	s := NewReading(f, false)
	f.Reset([]byte("abc"))
	var refusal *Refusal
	if _, err := s.Load(make([]byte, 6), 0, 0); !errors.As(err, &refusal) || refusal.Reason != tallyman.IOError {
		t.Errorf("got %v", err)
	}
}

func TestTextIsReadAgainFromAnyUnacknowledgedPlace(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		content := rapid.StringOfN(rapid.SampledFrom([]rune("ab\n\r")), 0, 9000, -1).Draw(r, "content")
		wire := []byte{}
		for _, c := range []byte(content) {
			wire = append(wire, c)
			switch c {
			case '\n':
				wire = append(wire[:len(wire)-1], '\r', '\n')
			case '\r':
				wire = append(wire, 0)
			}
		}
		s := NewReading(fileOf(content), true)
		for acked := 0; acked < len(wire); {
			n := rapid.IntRange(1, 2000).Draw(r, "n")
			for range 2 { // and once more
				got, err := s.Load(make([]byte, n), int64(acked), int64(acked))
				if err != nil || !bytes.Equal(got, wire[acked:min(acked+n, len(wire))]) {
					r.Fatalf("from %d: %q, %v", acked, got, err)
				}
			}
			acked += min(n, len(wire)-acked)
			if len(s.text.kept) > n+2*textChunk+1 {
				r.Fatalf("%d bytes are kept", len(s.text.kept))
			}
		}
		if got, err := s.Load(make([]byte, 1), int64(len(wire)), int64(len(wire))); err != nil || len(got) != 0 || s.WireSize() != int64(len(wire)) {
			r.Fatalf("at the end %q, %v, size %d", got, err, s.WireSize())
		}
		if digest, _ := s.Close(true); digest != digestOf([]byte(content)) {
			r.Fatalf("digest %s", digest)
		}
	})
}

func TestBlocksComeInOrderBehindTheirHeads(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		block := rapid.IntRange(8, 70_000).Draw(r, "block")
		content := bytes.Repeat([]byte("0123456789abcdefg"), rapid.IntRange(0, 12_000).Draw(r, "length"))
		s := NewReading(fileOf(string(content)), false)
		a := NewAhead(&s, block)
		first := rapid.IntRange(1, len(content)/block+1).Draw(r, "first")
		if first > 1 { // the loop has sent some before
			s.Sum(content[:(first-1)*block], 0)
		}
		for n := first; n <= len(content)/block+1; n++ {
			want := content[(n-1)*block : min(n*block, len(content))]
			for range rapid.IntRange(1, 2).Draw(r, "times") {
				p, err := a.Packet([4]byte{0, 3, byte(n >> 8), byte(n)}, uint64(n))
				if err != nil || !bytes.Equal(p[4:], want) || p[1] != 3 || p[3] != byte(n) {
					r.Fatalf("block %d of %d: %d bytes, %v", n, block, len(p), err)
				}
			}
			if rapid.Bool().Draw(r, "sum now") {
				a.Sum()
			}
		}
		a.Sum()
		if digest, _ := s.Close(true); digest != digestOf(content) {
			r.Fatalf("digest %s", digest)
		}
	})
}

func TestGarbageAtTheEndOfANameIsTrimmed(t *testing.T) {
	trims := func(raw, want string) {
		t.Helper()
		if got := TrimName(raw); got != want {
			t.Errorf("%q became %q, want %q", raw, got, want)
		}
	}
	trims("pxelinux.0\xff\xff\x01", "pxelinux.0")
	trims("a\xffb", "a\xffb")
	trims("Gr\u00fc\u00dfe", "Gr\u00fc\u00dfe")
	trims("\xff", "")
}

func TestAnyErrorBecomesARefusalWithAReason(t *testing.T) {
	if r := RefusalOf(errDisk); r.Reason != tallyman.IOError || r.Text != "disk" {
		t.Errorf("%+v", r)
	}
	exists := &Refusal{Reason: tallyman.Exists, Text: "y"}
	if r := RefusalOf(fmt.Errorf("create: %w", exists)); r != exists {
		t.Errorf("%+v", r)
	}
}
