package details

import (
	"encoding/json"
	"testing"

	"tallyman"
)

// FuzzBuilder: whatever a stranger writes, the object is JSON that reads back as the escaped text.
func FuzzBuilder(f *testing.F) {
	f.Add("plain", int64(0))
	f.Add("a\"b\\c\n\xff\u202e", int64(-1))
	f.Fuzz(func(t *testing.T, s string, n int64) {
		var b Builder
		b.Count("a", n)
		b.Flag("b", true)
		b.Numbers("c", []int{1, 2})
		b.Object("d", []Pair{{s, s}})
		b.Number("e", n)
		b.Text("f", s)
		var got struct {
			A, E int64
			B    bool
			C    []int
			D    map[string]string
			F    string
		}
		if err := json.Unmarshal([]byte(b.String()), &got); err != nil {
			t.Fatalf("%s: %v", b.String(), err)
		}
		want := tallyman.Escape(s)
		if got.A != n || got.E != n || !got.B || len(got.C) != 2 || got.D[want] != want || got.F != want {
			t.Fatalf("%q and %d became %s", s, n, b.String())
		}
	})
}

func TestNothingIsNoDetails(t *testing.T) {
	var b Builder
	b.Number("a", 0)
	b.Text("b", "")
	b.Flag("c", false)
	b.Numbers("d", nil)
	b.Object("e", nil)
	if b.String() != "" {
		t.Errorf("%q", b.String())
	}
}
