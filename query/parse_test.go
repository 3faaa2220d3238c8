package query_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/query"
)

var now = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// without returns the expression without places in the text.
func without(e tallyman.Expr) tallyman.Expr {
	switch e := e.(type) {
	case tallyman.And:
		out := make(tallyman.And, len(e))
		for i := range e {
			out[i] = without(e[i])
		}
		return out
	case tallyman.Or:
		out := make(tallyman.Or, len(e))
		for i := range e {
			out[i] = without(e[i])
		}
		return out
	case tallyman.Not:
		return tallyman.Not{Of: without(e.Of)}
	case tallyman.Term:
		e.Pos = 0
		return e
	}
	return e
}

// spelled checks that a query is spelled as wanted, and that the spelling is read back as the same expression.
func spelled(t *testing.T) func(text, want string) {
	return func(text, want string) {
		t.Helper()
		e, err := query.Parse(text, now)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			return
		}
		got := query.String(e)
		if got != want {
			t.Errorf("%s is spelled %s, want %s", text, got, want)
		}
		again, err := query.Parse(got, now)
		if err != nil || !reflect.DeepEqual(without(again), without(e)) {
			t.Errorf("%s is read back as %#v, %v; want %#v", got, again, err, e)
		}
	}
}

func TestClosedWordsHaveOneSpelling(t *testing.T) {
	f := spelled(t)
	f("", "")
	f(" \t\n", "")
	f("verdict:failed", "verdict:failed")
	f("VERDICT:Failed", "verdict:failed")
	f("verdict:failed,aborted", "verdict:failed OR verdict:aborted")
	f("verdict:failed,failed", "verdict:failed")
	f("reason:hash-*", "reason:hash-mismatch")
	f("reason:client-*", "reason:client-abort OR reason:client-error OR reason:client-silent OR reason:client-gone")
	f("op:upload", "op:put OR op:append")
	f("op:download", "op:get")
	f("op:upload,put", "op:put OR op:append")
	f("proto:tftp kind:transfer outcome:failure", "proto:tftp kind:transfer outcome:failure")
	f("search:true", "search:yes")
	f("search:NO", "search:no")
}

func TestOperatorsHaveOneSpelling(t *testing.T) {
	f := spelled(t)
	f("a b", "a b")
	f("a AND b", "a b")
	f("a OR b c", "a OR b c")
	f("(a OR b) c", "(a OR b) c")
	f("a (b (c d))", "a b c d")
	f("a OR (b OR c)", "a OR b OR c")
	f("((a))", "a")
	f("-a", "-a")
	f("NOT a", "-a")
	f("--a", "a")
	f("NOT -NOT a", "-a")
	f("-(a b)", "-(a b)")
	f("-(a OR b) c", "-(a OR b) c")
	f("NOT(a)OR(b)", "-a OR b")
	f("op:upload host:x", "(op:put OR op:append) host:x")
	f("-op:upload", "-(op:put OR op:append)")
	f("and or not", "and or not")
	f(`"AND" "OR"`, "and or")
	f("ORANGE ANDROID NOTHING", "orange android nothing")
}

func TestBareWordsHaveOneSpelling(t *testing.T) {
	f := spelled(t)
	f("Running-Config", "running-config")
	f("Übung", "Übung")
	f(`"two words"`, `"two words"`)
	f(`two\ words`, `"two words"`)
	f(`"-a"`, `"-a"`)
	f(`"a:b"`, `"a:b"`)
	f(`00:1a:2b`, `"00:1a:2b"`)
	f("*.cfg", "*.cfg")
	f(`"*".cfg`, `"*.cfg"`)
	f(`"my file"*`, `my\ file*`)
	f(`\-a*`, `\-a*`)
	f(`c\:*`, `c\:*`)
}

func TestNamesHaveOneSpelling(t *testing.T) {
	f := spelled(t)
	f("file:Boot/x", "file:Boot/x")
	f(`file:""`, `file:""`)
	f(`file:"a b(1).txt"`, `file:"a b(1).txt"`)
	f(`file:a\nb\x1b\xff\u202e`, `file:"a\nb\x1b\xff\u202e"`)
	f("file:日本*", "file:日本*")
	f("file:\u202e", `file:"\u202e"`)
	f(`file:..\\a`, `file:"..\\a"`)
	f(`file:a\*b*`, `file:a\*b*`)
	f(`file:\*`, `file:"*"`)
	f("file:-x:y", "file:-x:y")
	f(`host:sw?`, `host:sw?`)
	f(`user:""`, `user:""`)
}

func TestAddressesHaveOneSpelling(t *testing.T) {
	f := spelled(t)
	f("client:10.20.0.5", "client:10.20.0.5")
	f("client:10.20.0.5/16", "client:10.20.0.0/16")
	f("client:10.20.*", "client:10.20.0.0/16")
	f("client:10.*", "client:10.0.0.0/8")
	f("client:10.1.2.*", "client:10.1.2.0/24")
	f("client:2001:DB8::/32", "client:2001:db8::/32")
	f("client:fe80::1%eth0", "client:fe80::1")
	f("client:::ffff:10.0.0.1", "client:10.0.0.1")
	f("client:::ffff:10.0.0.1/104", "client:10.0.0.0/8")
	f("10.0.0.0/8", "client:10.0.0.0/8")
	f("10.0.0.5", "client:10.0.0.5 OR file:*10.0.0.5*")
	f("fe80::1", "client:fe80::1 OR file:*fe80::1*")
	f(`"10.0.0.5"`, `"10.0.0.5"`)
	f("10.0.0", "10.0.0")
}

func TestNumbersHaveOneSpelling(t *testing.T) {
	f := spelled(t)
	f("size:1500", "size:1500")
	f("size:=1500", "size:1500")
	f("size:>1MiB", "size:>1048576")
	f("size:>=1.5KiB", "size:>=1536")
	f("size:<2GB", "size:<2000000000")
	f("size:<=1kib", "size:<=1024")
	f("size:1KiB..2MiB", "size:>=1024 size:<=2097152")
	f("size:1KiB..", "size:>=1024")
	f("size:..1KiB", "size:<=1024")
	f("-size:1..2", "-(size:>=1 size:<=2)")
	f("size:9223372036854775807", "size:9223372036854775807")
	f("took:<2s", "took:<2s")
	f("took:>1m30s", "took:>1m30s")
	f("took:250ms..1h", "took:>=250ms took:<=1h0m0s")
	f("took:>2d", "took:>48h0m0s")
	f("took:1.5w", "took:252h0m0s")
	f("took:7us", "took:7µs")
	f("sha256:9F86", "sha256:9f86")
	f("sha256:9f86*", "sha256:9f86")
	f("sha256:sha256:"+strings.Repeat("a", 64), "sha256:"+strings.Repeat("a", 64))
}

// wrong checks that a query is refused, with carets below the fault and words in the message.
func wrong(t *testing.T) func(text, carets string, words ...string) {
	return func(text, carets string, words ...string) {
		t.Helper()
		e, err := query.Parse(text, now)
		var fault *query.Error
		if !errors.As(err, &fault) {
			t.Errorf("%s: %v, %v", text, e, err)
			return
		}
		if got := strings.Split(fault.Caret(), "\n"); len(got) != 2 || got[0] != tallyman.Escape(text) || strings.TrimRight(got[1], " ") != carets {
			t.Errorf("%s\n%q, want\n%q", text, got, carets)
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q does not say %q", text, err, w)
			}
		}
		if s := err.Error(); tallyman.Escape(s) != s {
			t.Errorf("%q is not escaped", s)
		}
	}
}

func TestWrongValuesAreAnsweredWithPlaceAndRemedy(t *testing.T) {
	f := wrong(t)
	f("verdict:faled", "        ^^^^^", "column 9", "did you mean failed?")
	f("a verdct:failed", "  ^^^^^^", "column 3", "did you mean verdict?", "client")
	f("ip:10.0.0.1", "^^", "did you mean client?")
	f("tookk:<2s", "^^^^^", "did you mean took?")
	f("qqq:1", "^^^", "The fields are verdict client file")
	f("aa:bb:cc", "^^", "wants quotes")
	f("reason:notfound", "       ^^^^^^^^", "did you mean not-found?")
	f("reason:zzzzzz", "       ^^^^^^", "There are", "final-ack")
	f("proto:tfpt", "      ^^^^", "did you mean tftp?")
	f("op:uplod", "   ^^^^^", "did you mean upload?")
	f("verdict:failed,", "        ^^^^^^^", `"" is no verdict`)
	f("outcome:bad", "        ^^^", "success failure unknown")
	f("search:maybe", "       ^^^^^", "yes no")
	f("kind:nothing", "     ^^^^^^^", "transfer")
	f("size:>1M", "     ^^^", "KiB", `"1M" is no size`)
	f("size:big", "     ^^^", "KiB")
	f("size:-1", "     ^^", "no size")
	f("size:1.5", "     ^^^", "no size")
	f("size:9223372036854775808", "     ^^^^^^^^^^^^^^^^^^^", "no size")
	f("size:2..1", "     ^^^^", "1..2")
	f("size:..", "     ^^", "no size")
	f("took:5", "     ^", "no duration")
	f("took:-5s", "     ^^^", "no duration")
	f("took:1ns", "     ^^^", "no duration")
	f("took:9999999w", "     ^^^^^^^^", "no duration")
	f("client:10.0.0.256", "       ^^^^^^^^^^", "10.20.0.0/16")
	f("client:*", "       ^", "no address")
	f("client:10.0.0.0.*", "       ^^^^^^^^^^", "no address")
	f("sha256:xyz", "       ^^^", "64 hexadecimal")
	f("file:", "^^^^^", "file:*.cfg", `""`)
	f("file: x", "^^^^^", "no value")
	f(`""`, "^^", "empty word")
}

func TestWrongGrammarIsAnsweredWithPlaceAndRemedy(t *testing.T) {
	f := wrong(t)
	f("a OR", "  ^^", "nothing follows OR")
	f("a AND", "  ^^^", "nothing follows AND")
	f("NOT", "^^^", "nothing follows NOT")
	f("(a OR)", "   ^^", "nothing follows OR")
	f("OR a", "^^", "none stands before it")
	f("a AND OR b", "      ^^", "none stands before it")
	f("a - b", "  ^", "minus")
	f("-", "^", "minus")
	f("(a", "^", "never closed")
	f("a (b (c)", "  ^", "never closed")
	f("a)", " ^", "closes nothing")
	f(")", "^", "closes nothing")
	f("()", "^^", "nothing stands")
	f(`"abc`, "^", "never closed")
	f(`file:a\`, "      ^", "backslash")
	f(`file:\x1`, "     ^^^", "two hexadecimal digits")
	f(`file:\ud800`, "     ^^^^^^", "four hexadecimal digits")
	f("\x1b verdict:x", "             ^", "column 11", "verdict")
	f("日本 op:x", "      ^", "column 7")
	f(strings.Repeat("(", 60)+"a"+strings.Repeat(")", 60), strings.Repeat(" ", 51)+"^", "nested deeper")
	f(strings.Repeat("a ", 201), strings.Repeat(" ", 400)+"^", "200 words")
}

func TestTermsKnowTheirPlace(t *testing.T) {
	e, err := query.Parse("a  -op:upload\tsize:1..2", now)
	if err != nil {
		t.Fatal(err)
	}
	var places []int
	var walk func(tallyman.Expr)
	walk = func(e tallyman.Expr) {
		switch e := e.(type) {
		case tallyman.And:
			for _, of := range e {
				walk(of)
			}
		case tallyman.Or:
			for _, of := range e {
				walk(of)
			}
		case tallyman.Not:
			walk(e.Of)
		case tallyman.Term:
			places = append(places, e.Pos)
		}
	}
	walk(e)
	if want := []int{0, 4, 4, 14, 14}; !reflect.DeepEqual(places, want) {
		t.Errorf("%v, want %v", places, want)
	}
}

// FuzzParse: what is accepted is flat, and its spelling is read back as the same expression and spelled in the same way.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "verdict:failed client:10.20.0.0/16 -file:*.tmp (op:upload OR size:>1MiB) took:<2s running-config", `file:"a b"*\?`, `-"x:y"`, "a OR b AND NOT c",
		`file:\x00\xff\U000e0041`, "size:1KiB..2MiB took:1.5d", "10.0.0.5 fe80::1 10.0.0.0/8", "reason:* -op:upload", "sha256:ab", `\-a* c\:?`, "--a", "((a)b)", `"\"\\"`,
		"client:::ffff:1.2.3.4/100", "took:..3w", `a\`, `x"y`,
	} {
		f.Add(seed)
	}
	transfers := sample()
	f.Fuzz(func(t *testing.T, text string) {
		e, err := query.Parse(text, now)
		if err != nil {
			var wrong *query.Error
			if !errors.As(err, &wrong) || e != nil {
				t.Fatalf("%q: %v, %v", text, e, err)
			}
			if c := wrong.Caret(); strings.Count(c, "\n") != 1 || !strings.HasSuffix(c, "^") {
				t.Fatalf("%q: caret %q", text, c)
			}
			return
		}
		if e == nil {
			if strings.TrimSpace(text) != "" {
				t.Fatalf("%q means everything", text)
			}
			return
		}
		flat(t, e)
		s := query.String(e)
		again, err := query.Parse(s, now)
		if err != nil {
			t.Fatalf("%q is spelled %q: %v", text, s, err)
		}
		if !reflect.DeepEqual(without(again), without(e)) {
			t.Fatalf("%q is spelled %q: %#v, want %#v", text, s, again, e)
		}
		if query.String(again) != s || tallyman.Escape(s) != s {
			t.Fatalf("%q is spelled %q and then %q", text, s, query.String(again))
		}
		for i := range transfers {
			if query.Match(e, &transfers[i]) == query.Match(tallyman.Not{Of: e}, &transfers[i]) {
				t.Fatalf("%q neither holds nor fails", text)
			}
		}
	})
}

// flat fails the test unless the expression is as Parse promises.
func flat(t *testing.T, e tallyman.Expr) {
	members := func(of []tallyman.Expr) {
		if len(of) < 2 {
			t.Fatalf("%#v has less than two members", e)
		}
		for _, m := range of {
			if reflect.TypeOf(m) == reflect.TypeOf(e) {
				t.Fatalf("%#v is not flat", e)
			}
			flat(t, m)
		}
	}
	switch e := e.(type) {
	case tallyman.And:
		members(e)
	case tallyman.Or:
		members(e)
	case tallyman.Not:
		if _, twice := e.Of.(tallyman.Not); twice {
			t.Fatalf("%#v is not flat", e)
		}
		flat(t, e.Of)
	}
}
