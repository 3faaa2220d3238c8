package command

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tallyman"
)

func TestLinesAreRead(t *testing.T) {
	f := func(line, verb, arg string) {
		t.Helper()
		c, err := Parse([]byte(line))
		if err != nil || c.Verb != verb || c.Arg != arg {
			t.Errorf("%q is %+v, %v", line, c, err)
		}
	}
	f("NOOP", "NOOP", "")
	f("retr a b ", "RETR", "a b ")
	f("RETR  x", "RETR", " x")
	f("STOR \xc3\xbc", "STOR", "\xc3\xbc")
	f("STOR \xfc\xff\xff\xffa", "STOR", "\xfc\xff\xffa")
	f("STOR \xff", "STOR", "\xff")
	f("\xff\xf4\xff\xf2ABOR", "ABOR", "")
	f("\xf2ABOR"[1:], "ABOR", "")
	f("\xff\xfd\x06NOOP", "NOOP", "")
	f("XSHA256 f", "XSHA256", "f")
}

func TestLinesThatMayMeanAnythingAreRefused(t *testing.T) {
	f := func(line string, want error) {
		t.Helper()
		if c, err := Parse([]byte(line)); !errors.Is(err, want) {
			t.Errorf("%q is %+v, %v", line, c, err)
		}
	}
	f("", ErrEmpty)
	f("\xff\xf4", ErrEmpty)
	f(" NOOP", ErrVerb)
	f("GET / HTTP/1.1", nil)
	f("Host: x", ErrVerb)
	f("ABCDEFGHIJKLMNO x", ErrVerb)
	f("RETR a\x00b", ErrControl)
	f("RETR a\rb", ErrControl)
	f("RETR a\nb", ErrControl)
	f("RETR a\xff\xf4b", ErrControl)
	f("RETR "+strings.Repeat("a", MaxLine), ErrLong)
}

func FuzzWhatIsAcceptedIsWrittenAgainEqual(f *testing.F) {
	f.Add([]byte("RETR a"))
	f.Add([]byte("\xff\xf4\xff\xf2ABOR"))
	f.Add([]byte("STOR \xff\xff\xff a\r"))
	f.Fuzz(func(t *testing.T, line []byte) {
		c, err := Parse(line)
		if err != nil {
			return
		}
		again, err := Parse(c.Append(nil))
		if err != nil || again != c {
			t.Fatalf("%q is %+v, then %+v, %v", line, c, again, err)
		}
		if strings.ContainsAny(c.Arg, "\x00\r\n") {
			t.Fatalf("%q holds the end of a line", c.Arg)
		}
	})
}

func TestAddressesAreRead(t *testing.T) {
	f := func(arg, want string) {
		t.Helper()
		got, err := Port(arg)
		if err != nil && want != "" || err == nil && got.String() != want {
			t.Errorf("%q is %v, %v", arg, got, err)
		}
	}
	f("127,0,0,1,4,1", "127.0.0.1:1025")
	f("10,0,0,1,0,0", "10.0.0.1:0")
	for _, bad := range []string{"", "1,2,3,4,5", "1,2,3,4,5,256", "1,2,3,4,5,6,7", "1,2,3,4,5,-1", "1,2,3,4,5,+1", " 1,2,3,4,5,6", "0001,2,3,4,5,6", "1,2,3,4,5,"} {
		f(bad, "")
	}
	e := func(arg, want string) {
		t.Helper()
		got, err := ExtendedPort(arg)
		if err != nil && want != "" || err == nil && got.String() != want {
			t.Errorf("%q is %v, %v", arg, got, err)
		}
	}
	e("|1|192.0.2.1|1025|", "192.0.2.1:1025")
	e("!2!2001:db8::1!1025!", "[2001:db8::1]:1025")
	for _, bad := range []string{"", "|", "|1|192.0.2.1|1025", "|1|::1|1025|", "|2|192.0.2.1|1025|", "|2|fe80::1%lo|1025|", "|1|192.0.2.1|65536|", "|1|192.0.2.1||", "|3|x|1|", "\x01|1|1.2.3.4|5|"} {
		e(bad, "")
	}
	if _, err := ExtendedPort("|3|x|1|"); !errors.Is(err, ErrFamily) {
		t.Errorf("an unknown family: %v", err)
	}
}

func FuzzAddressesAreWrittenAgainEqual(f *testing.F) {
	f.Add("127,0,0,1,4,1")
	f.Add("|2|::1|1025|")
	f.Fuzz(func(t *testing.T, arg string) {
		if a, err := Port(arg); err == nil {
			if again, err := Port(string(AppendPort(nil, a))); err != nil || again != a {
				t.Fatalf("%q is %v, then %v, %v", arg, a, again, err)
			}
		}
		if a, err := ExtendedPort(arg); err == nil {
			family := "2"
			if a.Addr().Is4() {
				family = "1"
			}
			again, err := ExtendedPort("|" + family + "|" + a.Addr().String() + "|" + netip.AddrPortFrom(a.Addr(), a.Port()).String()[strings.LastIndexByte(a.String(), ':')+1:] + "|")
			if err != nil || again != a {
				t.Fatalf("%q is %v, then %v, %v", arg, a, again, err)
			}
		}
	})
}

func TestNumbersAndTimesAreRead(t *testing.T) {
	f := func(arg string, want int64) {
		t.Helper()
		if got, err := Offset(arg); (err == nil) != (want >= 0) || err == nil && got != want {
			t.Errorf("%q is %d, %v", arg, got, err)
		}
	}
	f("0", 0)
	f("9223372036854775807", 1<<63-1)
	for _, bad := range []string{"", "-1", "+1", " 1", "1 ", "9223372036854775808", "1e3", "0x1"} {
		f(bad, -1)
	}
	if n, err := Allocation("100 R 512"); err != nil || n != 100 {
		t.Errorf("%d, %v", n, err)
	}
	for _, bad := range []string{"", "x", "1 2", "1 R", "1 R x"} {
		if n, err := Allocation(bad); err == nil {
			t.Errorf("%q is %d", bad, n)
		}
	}
	at, err := Stamp("20010203040506.789")
	if want := time.Date(2001, 2, 3, 4, 5, 6, 789e6, time.UTC); err != nil || !at.Equal(want) || string(AppendStamp(nil, at)) != "20010203040506.789" {
		t.Errorf("%v, %v", at, err)
	}
	for _, bad := range []string{"", "2001", "20010203040506.", "20011303040506", "20010203040506.x", "200102030405067", "20010203040506.1234567890"} {
		if at, err := Stamp(bad); err == nil {
			t.Errorf("%q is %v", bad, at)
		}
	}
}

func TestPathsStayBelowTheRoot(t *testing.T) {
	f := func(in, arg, want string) {
		t.Helper()
		path, name, err := Resolve(in, arg)
		if want == "" && err == nil || want != "" && (err != nil || path != want || name.Path() != strings.TrimPrefix(want, "/")) {
			t.Errorf("%q in %q is %q, %q, %v", arg, in, path, name.Path(), err)
		}
	}
	f("/", "a", "/a")
	f("/a", "b/./c//d", "/a/b/c/d")
	f("/a/b", "..", "/a")
	f("/a/b", "../../", "/")
	f("/a", "/b", "/b")
	f("/", "", "/")
	f("/", " a ", "/ a ")
	f("/", `a\..\b`, `/a\..\b`)
	f("/", "%2e%2e/x", "/%2e%2e/x")
	f("/", "..", "")
	f("/a", "../../etc/passwd", "")
	f("/a", "/../a", "")
	f("/", strings.Repeat("a", 256), "")
	f("/", strings.Repeat("a/", 2048), "")
	if _, _, err := Resolve("/", "../x"); !errors.Is(err, tallyman.ErrNameEscapes) {
		t.Errorf("%v", err)
	}
	for arg, want := range map[string]string{"-la": "", "-a x": "x", "-l  -a  x y": "x y", "x": "x", "": "", "--": ""} {
		if got := ListArgument(arg); got != want {
			t.Errorf("%q lists %q", arg, got)
		}
	}
}

func TestNoNameBreaksAReply(t *testing.T) {
	f := func(code int, want string, lines ...string) {
		t.Helper()
		if got := string(Reply(code, lines...)); got != want {
			t.Errorf("%q is %q", lines, got)
		}
	}
	f(200, "200 ok\r\n", "ok")
	f(211, "211-a\r\n b\r\n211 c\r\n", "a", "b", "c")
	f(550, "550 a??b?: \xff\xff\r\n", "a\r\nb\x00: \xff")
	if got := Quote(`a"b`); got != `"a""b"` {
		t.Error(got)
	}
	if got := (Command{"PASS", "secret"}).Shown(); got != "PASS ..." {
		t.Error(got)
	}
}

func FuzzAReplyIsAsManyLinesAsItWasGiven(f *testing.F) {
	f.Add("a", "b\r\n226 x")
	f.Fuzz(func(t *testing.T, a, b string) {
		got := Reply(226, a, b)
		if bytes.Count(got, []byte("\r\n")) != 2 || bytes.Count(got, []byte("\n")) != 2 || bytes.Count(got, []byte("\r")) != 2 || bytes.IndexByte(got, 0) >= 0 {
			t.Fatalf("%q", got)
		}
	})
}
