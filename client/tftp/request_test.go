package tftp

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestURLNamesHostPortFileAndMode(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		r, err := ParseURL(text)
		got := fmt.Sprintf("%s %d %q %s", r.Host, r.Port, r.Name, r.Mode)
		if err != nil || got != want {
			t.Errorf("%s: got %s, %v", text, got, err)
		}
	}
	f("tftp://10.20.0.5/running-config", `10.20.0.5 69 "running-config" octet`)
	f("TFTP://host:6969/a/b%20c", `host 6969 "a/b c" octet`)
	f("tftp://[2001:db8::1]/f", `2001:db8::1 69 "f" octet`)
	f("tftp://[fe80::1%25eth0]:70/f", `fe80::1%eth0 70 "f" octet`)
	f("tftp://h/f;mode=netascii", `h 69 "f" netascii`)
	f("tftp://h/f;MODE=Octet", `h 69 "f" octet`)
	f("tftp://h/a;b", `h 69 "a;b" octet`)
	f("tftp://h//etc/hosts", `h 69 "/etc/hosts" octet`)
	f("tftp://h/what?#x", `h 69 "what?#x" octet`)
	f("tftp://h/%ff", `h 69 "\xff" octet`)
	f("tftp://h/", `h 69 "" octet`)
	f("tftp://h", `h 69 "" octet`)
	f("tftp://h:/f", `h 69 "f" octet`)
}

func TestWrongURLIsRefusedWithAHint(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if r, err := ParseURL(text); err == nil || !strings.Contains(err.Error(), want) || !strings.HasSuffix(err.Error(), "write tftp://HOST/FILE") {
			t.Errorf("%s: got %+v %v", text, r, err)
		}
	}
	f("http://h/f", "this is no tftp URL")
	f("h/f", "this is no tftp URL")
	f("tftp:///f", "the host is missing")
	f("tftp://[]/f", "the host is missing")
	f("tftp://me@h/f", "TFTP knows no users")
	f("tftp://h:0/f", "a port is a number from 1 to 65535")
	f("tftp://h:x/f", "a port is a number")
	f("tftp://2001:db8::1/f", "an IPv6 address stands in brackets")
	f("tftp://[::1/f", "the bracket of the address is open")
	f("tftp://[::1]70/f", "a port begins with a colon")
	f("tftp://h/100%", "a percent sign is written %25")
	f("tftp://h/a%00b", "the file name holds a NUL byte")
	f("tftp://h/f;mode=mail", `the mode is "mail"`)
	f("tftp://h/"+strings.Repeat("x", 401), "more than 400 bytes")
}

func TestRequestOutOfItsBoundsIsRefused(t *testing.T) {
	f := func(change func(*Request), want string) {
		t.Helper()
		r := Request{Host: "h", Name: "f"}
		if err := r.check(); err != nil {
			t.Fatal(err)
		}
		change(&r)
		if err := r.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	f(func(r *Request) { r.Host = "" }, "host is missing")
	f(func(r *Request) { r.BlockSize = 7 }, "8 to 65464")
	f(func(r *Request) { r.BlockSize = 65465 }, "8 to 65464")
	f(func(r *Request) { r.Window = -1 }, "1 to 64")
	f(func(r *Request) { r.Timeout = 1500 * time.Millisecond }, "whole seconds")
	f(func(r *Request) { r.Timeout = 256 * time.Second }, "whole seconds")
	f(func(r *Request) { r.GiveUp = -1 }, "below nothing")
}
