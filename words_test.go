package tallyman_test

import (
	"strings"
	"testing"

	"tallyman"
)

// Evidence is stored by the number of its kind: numbers never change.
func TestKindsKeepTheirNumbersAndWords(t *testing.T) {
	words := []string{
		"", "request", "refusal", "opened", "progress", "closed", "digested", "gap", "order", "login", "login-failed", "command-refused", "flow", "renamed",
		"deleted", "mount", "unmount",
	}
	for i, word := range words {
		kind := tallyman.Kind(i)
		var back tallyman.Kind
		if err := back.UnmarshalText([]byte(word)); err != nil || kind.String() != word || back != kind {
			t.Errorf("kind %d is %q, and %q is kind %d: %v", i, kind, word, back, err)
		}
	}
	if next := tallyman.Kind(len(words)).String(); !strings.HasPrefix(next, "unknown") {
		t.Errorf("kind %d is %q: write it into this test", len(words), next)
	}
}

func TestRenamesAndDeletesBelongToTransfers(t *testing.T) {
	for _, kind := range []tallyman.Kind{tallyman.KindRenamed, tallyman.KindDeleted} {
		if kind.Alone() {
			t.Errorf("%s stands alone", kind)
		}
	}
}

func TestWitnessOfFilesSaysWhatItSaw(t *testing.T) {
	f := func(e tallyman.Evidence, want string) {
		t.Helper()
		e.Witness = "files"
		if got := e.Says(); got != want {
			t.Errorf("says %q, not %q", got, want)
		}
	}
	f(tallyman.Evidence{Kind: tallyman.KindOpened, Op: tallyman.OpPut, Path: "/srv/a\nb", Size: 0}, "opened “/srv/a\\nb”, 0 bytes on disk")
	f(tallyman.Evidence{Kind: tallyman.KindClosed, Path: "/srv/a", Size: 3000, Moved: -1}, "closed “/srv/a”, 3,000 bytes on disk")
	f(tallyman.Evidence{Kind: tallyman.KindClosed, Path: "/srv/a", Size: -1, Moved: -1}, "closed “/srv/a”")
	f(tallyman.Evidence{Kind: tallyman.KindRenamed, Path: "/srv/a", From: "/srv/.in.a", Size: 3, Moved: -1}, "renamed “/srv/.in.a” to “/srv/a”")
	f(tallyman.Evidence{Kind: tallyman.KindDeleted, Path: "/srv/a", Size: -1, Moved: -1}, "deleted “/srv/a”")
}
