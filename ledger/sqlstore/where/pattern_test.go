package where

import (
	"testing"

	"tallyman/test/corpus"
)

var patterns = []string{
	"", "*", "**", "?", "??", "*?", "?*", "a*", "*a", "*a*", "a*b*c", "a?c", `\*`, `\?`, `\\`, `\`, `a\`, `*\*`, `\a`, "é", "?é", "*\xff", "\xff*", "\xff?", "?\x80",
	"*fg", "*.cfg*", "a*a*a*a*b", "router-?-*",
}

func TestPatternsFitWhatTheQueryLanguageSays(t *testing.T) {
	texts := append(corpus.Names(), "", "a", "ab", "abc", "aXbXc", "aaaaaaaaaaaaaaaaaaaaaaaa", "é", "aé", "éé", "\xc3", "\xc3\xa9\xff", "*", "?", `\`, `a\`)
	for _, pattern := range append(patterns, corpus.Names()...) {
		for _, text := range texts {
			if got, want := Fits(pattern, text), corpus.Fits(pattern, text); got != want {
				t.Errorf("Fits(%q, %q) is %v, want %v", pattern, text, got, want)
			}
		}
	}
}

func FuzzFitsIsTheQueryLanguage(f *testing.F) {
	for _, p := range patterns {
		f.Add(p, "router-1-confg")
		f.Add(p, "\xffa\xc3\xa9")
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if got, want := Fits(pattern, text), corpus.Fits(pattern, text); got != want {
			t.Errorf("Fits(%q, %q) is %v, want %v", pattern, text, got, want)
		}
	})
}

func TestRangeOfAPrefixEndsBehindItsLastValue(t *testing.T) {
	is := func(prefix, want string) {
		t.Helper()
		got := after([]byte(prefix))
		if string(got) != want || (got == nil) != (want == "") {
			t.Errorf("after %q comes %q, want %q", prefix, got, want)
		}
	}
	is("a", "b")
	is("az\xff", "a{")
	is("a\xff\xff", "b")
	is("\xff", "")
	is("", "")
}
