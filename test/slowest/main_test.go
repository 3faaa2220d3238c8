package main

import (
	"strings"
	"testing"
)

func told(t *testing.T, in string) (string, bool) {
	t.Helper()
	var out strings.Builder
	ok, err := tell(strings.NewReader(in), &out)
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), ok
}

func TestPassingRunEndsWithTheSlowestAndTheCount(t *testing.T) {
	got, ok := told(t, `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"quiet\n"}
{"Action":"pass","Package":"p","Test":"TestA/sub","Elapsed":9}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.5}
{"Action":"pass","Package":"p","Test":"TestB","Elapsed":2}
{"Action":"pass","Package":"p","Elapsed":2.6}
{"Action":"skip","Package":"empty"}
not JSON
`)
	want := "ok    p 2.6s\nnot JSON\n\nThe slowest tests:\n   2.00s  p TestB\n   0.50s  p TestA\n2 passed, 0 failed\n"
	if !ok || got != want {
		t.Errorf("%v, got\n%s\nwant\n%s", ok, got, want)
	}
}

func TestFailureIsToldWithItsOutput(t *testing.T) {
	f := func(in string, want ...string) {
		t.Helper()
		got, ok := told(t, in)
		if ok {
			t.Errorf("a run that failed is called fine:\n%s", got)
		}
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("missing %q in\n%s", w, got)
			}
		}
	}
	f(`{"Action":"output","Package":"p","Test":"TestA","Output":"a_test.go:7: wrong\n"}
{"Action":"fail","Package":"p","Test":"TestA","Elapsed":1}
{"Action":"output","Package":"p","Output":"FAIL\n"}
{"Action":"fail","Package":"p","Elapsed":1}
`, "a_test.go:7: wrong", "FAIL  p 1.0s", "FAIL  p TestA", "0 passed, 1 failed")
	f(`{"Action":"output","Package":"p","Test":"TestA","Output":"panic: gone\n"}
{"Action":"fail","Package":"p","Elapsed":1}
`, "panic: gone", "0 passed, 1 failed")
	f(`{"Action":"pass","Package":"p","Test":"TestA","Elapsed":1}
{"Action":"output","Package":"p","Output":"exit status 1\n"}
{"Action":"fail","Package":"p","Elapsed":1}
`, "exit status 1", "1 passed, 1 failed")
	f(`{"ImportPath":"p","Action":"build-output","Output":"x.go:1: undefined\n"}
{"ImportPath":"p","Action":"build-fail"}
{"Action":"fail","Package":"p","Elapsed":0,"FailedBuild":"p"}
`, "x.go:1: undefined", "p does not build", "0 passed, 1 failed")
	f(`{"Action":"pass","Package":"p","Test":"TestA","Elapsed":1}
{"Action":"skip","Package":"p","Test":"TestB","Elapsed":0}
`, "TestB was skipped", "1 passed, 1 failed")
	f("", "0 passed, 0 failed")
}
