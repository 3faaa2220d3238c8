package reserved_test

import (
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/tree/reserved"
)

// stamp is the time of the seed's example.
var stamp = time.Date(2020, 4, 20, 11, 5, 37, 345e6, time.UTC)

const stamped = "2020-04-20-11-05-37-345"

func TestVersionsFitAndDiffer(t *testing.T) {
	seen := map[string]string{}
	for n := 200; n <= 255; n++ {
		for _, last := range []string{"a", "b"} {
			base := strings.Repeat("x", n-1) + last
			kept := reserved.Version(base, stamp)
			if len(kept) > 255 || seen[kept] != "" {
				t.Errorf("%d bytes: %q", len(kept), kept)
			}
			seen[kept] = base
		}
	}
	for kept := range seen {
		for _, base := range seen {
			if reserved.IsVersion(kept, base) != (seen[kept] == base) {
				t.Errorf("whose version is %q: %q", kept, base)
			}
		}
	}
	if got := reserved.Version("f", stamp); got != "f-"+stamped {
		t.Errorf("%q", got)
	}
}

func TestEveryTimeMakesAStamp(t *testing.T) {
	for _, at := range []time.Time{stamp, time.Unix(0, 0).UTC(), time.Unix(1<<40, 0), time.Unix(-1<<40, 999e6)} {
		if name := reserved.Version("f", at); !reserved.IsVersion(name, "f") {
			t.Errorf("%q is no version", name)
		}
	}
}

func TestOnlyAWholeStampMakesAVersion(t *testing.T) {
	f := func(name string, want bool) {
		t.Helper()
		if got := reserved.IsVersion(name, "f"); got != want {
			t.Errorf("%q is a version of f: %v", name, got)
		}
	}
	f("f-"+stamped, true)
	f("f-"+stamped+"-"+stamped, false)
	f("fine-"+stamped, false)
	f("f-notes", false)
	f("f-2020-04-20-11-05-37-34x", false)
	f("f-2020-04-20-11-05-37-3451", false)
	f("f-2020_04-20-11-05-37-345", false)
	f("f", false)
	f("", false)
}

func TestOnlyOurOwnNamesAreReserved(t *testing.T) {
	temp := reserved.Temporary([8]byte{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef})
	f := func(path string, want bool) {
		t.Helper()
		if got := reserved.In(path); got != want {
			t.Errorf("%q is reserved: %v", path, got)
		}
	}
	f(temp, true)
	f("a/"+temp, true)
	f(strings.ToUpper(temp), true) // vfat
	f(".kept", true)
	f("a/.Kept/b", true)
	f(temp+"2", false)
	f(".tallyman-0123456789abcde.part", false)
	f(".tallyman-0123456789abcdeg.part", false)
	f(".kept2/x.kept", false)
	f("a/.profile", false)
	f("kept", false)
	f("", false)
	if strings.ToUpper(temp) == temp || reserved.IsTemporary(strings.ToUpper(temp)) {
		t.Error("a sweep would take what we did not make")
	}
}

// FuzzVersion: whatever the name and the time, a version is known as one, fits, and is not one of the name beside it.
func FuzzVersion(f *testing.F) {
	f.Add("router-confg", int64(1587380737), int64(345e6))
	f.Add(strings.Repeat("x", 255), int64(-1), int64(0))
	f.Add("a-"+stamped, int64(1)<<50, int64(999999999))
	f.Fuzz(func(t *testing.T, base string, sec, nsec int64) {
		if len(base) > tallyman.MaxNameElement {
			return
		}
		name := reserved.Version(base, time.Unix(sec, nsec).UTC())
		if len(name) > tallyman.MaxNameElement || !reserved.IsVersion(name, base) || reserved.IsVersion(name, base+"x") || reserved.IsVersion("x"+name, base) {
			t.Errorf("%q of %q", name, base)
		}
	})
}
