package ftp

import "testing"

// A client that breaks off sends IAC IP IAC DM before ABOR (RFC 959, section 4.1.3; 0xF4 and 0xF2 in RFC 854). Other bytes that are not UTF-8 belong to the line.
func TestOnlyMarksOfTelnetAreCutOffBeforeACommand(t *testing.T) {
	f := func(line, verb, arg string) {
		t.Helper()
		if v, a := split(line); v != verb || a != arg {
			t.Errorf("%q is %q of %q, want %q of %q", line, v, a, verb, arg)
		}
	}
	f("\xf4\xf2ABOR", "ABOR", "")
	f(" \x00\xf2 \xf4retr a b", "RETR", "a b")
	f("\xf4\xbf\xbf\xbfABOR", "\ufffd\ufffd\ufffdABOR", "") // which is no text either
	f("\xe9 x", "\ufffd", "x")
	f("\ufffdABOR", "\ufffdABOR", "")
	f("\xf4\xf2", "", "")
}
