package config

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDurationIsReadAndWritten(t *testing.T) {
	f := func(text string, want time.Duration, shown string) {
		t.Helper()
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || time.Duration(d) != want || d.String() != shown {
			t.Errorf("%s: got %d %s %v", text, d, d, err)
		}
	}
	f("0s", 0, "0s")
	f("500ms", 500*time.Millisecond, "500ms")
	f("90s", 90*time.Second, "90s")
	f("60s", time.Minute, "1m")
	f("400d", 400*24*time.Hour, "400d")
	f("2w", 14*24*time.Hour, "2w")
	f("1d12h", 36*time.Hour, "36h")
	f("1w1d1h1m1s1ms", 8*24*time.Hour+time.Hour+time.Minute+time.Second+time.Millisecond, "694861001ms")
	refused := func(text, want string) {
		t.Helper()
		d := Duration(7)
		if err := d.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), want) || d != 7 {
			t.Errorf("%q: got %v, %d", text, err, d)
		}
	}
	refused("", "expected a whole number")
	refused("5", "has no unit: write 5s, 5m, 5h, 5d or 5w")
	refused("-5s", "expected a whole number")
	refused("05s", "does not begin with 0")
	refused("1.5h", "write whole numbers, 90m and not 1.5h")
	refused("5 minutes", `unknown unit "minutes"`)
	refused("5S", `unknown unit "S"`)
	refused("1h1d", "the larger unit comes first")
	refused("1h1h", "the larger unit comes first")
	refused("99999w", "longer than 292 years")
	refused("15250w9999999d", "longer than 292 years")
	refused("99999999999999999999s", "too large")
	refused("5m3", "has no unit")
}

func TestSizeIsReadAndWritten(t *testing.T) {
	f := func(text string, want int64, shown string) {
		t.Helper()
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || int64(s) != want || s.String() != shown {
			t.Errorf("%s: got %d %s %v", text, s, s, err)
		}
	}
	f("0B", 0, "0B")
	f("512B", 512, "512B")
	f("1024B", 1024, "1KiB")
	f("96KiB", 96<<10, "96KiB")
	f("1536MiB", 1536<<20, "1536MiB")
	f("4GiB", 4<<30, "4GiB")
	f("8388607TiB", 8388607<<40, "8388607TiB")
	refused := func(text, want string) {
		t.Helper()
		s := Size(7)
		if err := s.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), want) || s != 7 {
			t.Errorf("%q: got %v, %d", text, err, s)
		}
	}
	refused("", "expected a whole number")
	refused("4", "has no unit: write 4B, 4KiB, 4MiB or 4GiB")
	refused("4GB", `unknown unit "GB"`)
	refused("4gib", `unknown unit "gib"`)
	refused("4GiB1", `unknown unit "GiB1"`)
	refused("1.5GiB", "write whole numbers, 1536MiB and not 1.5GiB")
	refused("8388608TiB", "larger than")
}

func TestFreeIsASizeOrAShare(t *testing.T) {
	f := func(text string, disk, want uint64) {
		t.Helper()
		var free Free
		if err := free.UnmarshalText([]byte(text)); err != nil || free.Of(disk) != want || free.String() != text {
			t.Errorf("%s: got %s, %d of %d, %v", text, free, free.Of(disk), disk, err)
		}
	}
	f("256MiB", 1000, 256<<20)
	f("10%", 2000, 200)
	f("99%", math.MaxUint64, math.MaxUint64/100*99)
	for _, text := range []string{"0%", "100%", "1.5%", "%", "010%", "-1%", "10 %"} {
		var free Free
		if err := free.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%s was accepted as %s", text, free)
		}
	}
	share := Free{Percent: 10}
	if err := share.UnmarshalText([]byte("1B")); err != nil || share != (Free{Bytes: 1}) {
		t.Errorf("a size after a share: %+v %v", share, err)
	}
}

func TestAddressesAreCheckedByForm(t *testing.T) {
	for _, text := range []string{"", ":69", "0.0.0.0:0", "127.0.0.1:8420", "[::1]:69", "[fe80::1%eth0]:69", "localhost:65535", "tally.example.net:1"} {
		var a Addr
		if err := a.UnmarshalText([]byte(text)); err != nil || string(a) != text {
			t.Errorf("%s: got %q %v", text, a, err)
		}
	}
	for _, text := range []string{"69", "127.0.0.1", "::1:69", ":tftp", ":65536", ":-1", ":069", "a b:1", "-a:1", "a..b:1", strings.Repeat("a", 64) + ":1"} {
		var a Addr
		if err := a.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%s was accepted", text)
		}
	}
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := Duration(rapid.Int64Range(0, math.MaxInt64/int64(time.Millisecond)).Draw(t, "ms")) * Duration(time.Millisecond)
		var d2 Duration
		if err := d2.UnmarshalText([]byte(d.String())); err != nil || d2 != d {
			t.Fatalf("%s became %s, %v", d, d2, err)
		}
		s := Size(rapid.Int64Range(0, math.MaxInt64).Draw(t, "bytes"))
		var s2 Size
		if err := s2.UnmarshalText([]byte(s.String())); err != nil || s2 != s {
			t.Fatalf("%s became %s, %v", s, s2, err)
		}
	})
}

func TestNearestWordIsOfferedOnlyWhenNear(t *testing.T) {
	known := []string{"read", "write", "kept", "allow", "min_free"}
	f := func(got, want string) {
		t.Helper()
		if near := nearest(got, known); near != want {
			t.Errorf("%s: got %q", got, near)
		}
	}
	f("wirte", "write")
	f("minfree", "min_free")
	f("alow", "allow")
	f("keep", "kept")
	f("zzz", "")
	f("", "")
	f(strings.Repeat("write", 100), "")
}
