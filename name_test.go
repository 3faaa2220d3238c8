package tallyman_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"tallyman"
)

func TestNameIsParsedOnceAndRelativeToTheRoot(t *testing.T) {
	f := func(raw, path, dir, base string) {
		t.Helper()
		n, err := tallyman.ParseName(raw)
		if err != nil {
			t.Errorf("%q: %v", raw, err)
			return
		}
		if n.Path() != path || n.Dir() != dir || n.Base() != base || n.Raw() != raw {
			t.Errorf("%q: path %q, dir %q, base %q, raw %q", raw, n.Path(), n.Dir(), n.Base(), n.Raw())
		}
	}
	f("a", "a", ".", "a")
	f("/a", "a", ".", "a")
	f("//a//b/", "a/b", "a", "b")
	f("./a/./b", "a/b", "a", "b")
	f("a/b/c", "a/b/c", "a/b", "c")
	f(`..\..\a`, `..\..\a`, ".", `..\..\a`)
	f("%2e%2e%2fa", "%2e%2e%2fa", ".", "%2e%2e%2fa")
	f("\xc0\xae\xc0\xae/a", "\xc0\xae\xc0\xae/a", "\xc0\xae\xc0\xae", "a")
	f("...", "...", ".", "...")
	f("..a", "..a", ".", "..a")
	f("~root", "~root", ".", "~root")
	f("a\nb", "a\nb", ".", "a\nb")
	f(strings.Repeat("n", tallyman.MaxNameElement), strings.Repeat("n", tallyman.MaxNameElement), ".", strings.Repeat("n", tallyman.MaxNameElement))
}

func TestNameThatCannotBeServedIsRefused(t *testing.T) {
	f := func(raw string, want error) {
		t.Helper()
		if n, err := tallyman.ParseName(raw); !errors.Is(err, want) || n.Path() != "" {
			t.Errorf("%q: %q, %v; want %v", raw, n.Path(), err, want)
		}
	}
	f("", tallyman.ErrNameEmpty)
	f("/", tallyman.ErrNameEmpty)
	f("./.", tallyman.ErrNameEmpty)
	f("..", tallyman.ErrNameEscapes)
	f("a/../b", tallyman.ErrNameEscapes)
	f("/../etc/passwd", tallyman.ErrNameEscapes)
	f("a\x00", tallyman.ErrNameNUL)
	f("..\x00", tallyman.ErrNameNUL)
	f(strings.Repeat("n", tallyman.MaxNameElement+1), tallyman.ErrNameLong)
	f(strings.Repeat("n/", tallyman.MaxNameLength/2)+"nn", tallyman.ErrNameLong)
}

func TestEscapeKeepsWhatIsPrintable(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := tallyman.Escape(in); got != want {
			t.Errorf("Escape(%q) = %q, want %q", in, got, want)
		}
	}
	f("plain-name_1.bin", "plain-name_1.bin")
	f("Übung 日本", "Übung 日本")
	f("a\nb\rc\td", `a\nb\rc\td`)
	f("\x1b[31m\x07\x7f", `\x1b[31m\x07\x7f`)
	f("\xff\xfe", `\xff\xfe`)
	f("\u0085", `\xc2\x85`)
	f("a\u202egnp.exe", `a\u202egnp.exe`)
	f("\u2028\u200b\ufeff", `\u2028\u200b\ufeff`)
	f("\U000e0041", `\U000e0041`)
	f("%s%n", "%s%n")
}

// FuzzParseName: a name that is accepted stays inside the root, however it is joined and cleaned, and parses to itself.
func FuzzParseName(f *testing.F) {
	for _, seed := range []string{"a", "/a/b", "../a", "a/..", "a/../..", `..\a`, "a\x00b", "\xff", "a//b/./c", ".../..", "%2e%2e/", "\xc0\xae./", strings.Repeat("a/", 2100)} {
		f.Add(seed)
	}
	const root = "/srv/tftp"
	empty, err := os.OpenRoot(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	defer empty.Close()
	f.Fuzz(func(t *testing.T, raw string) {
		n, err := tallyman.ParseName(raw)
		if err != nil {
			if n != (tallyman.Name{}) {
				t.Fatalf("%q is refused and parsed", raw)
			}
			return
		}
		path := n.Path()
		if !filepath.IsLocal(path) || !strings.HasPrefix(filepath.Join(root, path), root+"/") || filepath.Clean(path) != path {
			t.Fatalf("%q leads to %q", raw, path)
		}
		if again, err := tallyman.ParseName(path); err != nil || again.Path() != path {
			t.Fatalf("%q: path %q parses to %q, %v", raw, path, again.Path(), err)
		}
		if n.Raw() != raw || filepath.Join(n.Dir(), n.Base()) != path {
			t.Fatalf("%q: raw %q, dir %q, base %q", raw, n.Raw(), n.Dir(), n.Base())
		}
		if len(path) > tallyman.MaxNameLength || strings.IndexByte(path, 0) >= 0 {
			t.Fatalf("%q: path %q", raw, path)
		}
		if _, err := empty.Lstat(path); err != nil && strings.Contains(err.Error(), "escapes") {
			t.Fatalf("%q escapes: %v", raw, err)
		}
	})
}

// FuzzEscape: the result is one printable line, and escaping it again changes nothing.
func FuzzEscape(f *testing.F) {
	for _, seed := range []string{"", "a", "a\nb", "\x1b[2J", "\xff\xc0", "\u202e", "\u0085", "日本", "\U000e0041", "a\\n", "\ue000", "\u00a0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := tallyman.Escape(s)
		if !utf8.ValidString(got) {
			t.Fatalf("%q becomes %q: no UTF-8", s, got)
		}
		for _, r := range got {
			if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
				t.Fatalf("%q becomes %q: %U is not printable", s, got, r)
			}
		}
		if again := tallyman.Escape(got); again != got {
			t.Fatalf("%q becomes %q and then %q", s, got, again)
		}
	})
}
