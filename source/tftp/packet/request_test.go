package packet

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestRequestIsReadInAllItsParts(t *testing.T) {
	p := []byte("\x00\x02dir/\xff name\x00OcTeT\x00TSIZE\x003000\x00x-new\x00\x00blksize\x008\x00")
	r, err := ParseRequest(p)
	if err != nil {
		t.Fatal(err)
	}
	var options []string
	for name, value := range r.Options.All() {
		options = append(options, fmt.Sprintf("%s=%s", name, value))
	}
	got := fmt.Sprintf("%v %q %q %v %v", r.Op, r.Name, r.ModeName, r.Mode() == Octet, options)
	if want := `WRQ "dir/\xff name" "OcTeT" true [TSIZE=3000 x-new= blksize=8]`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if r.Len() != len(p) {
		t.Errorf("length is %d, want %d", r.Len(), len(p))
	}
}

func TestWhatIsNoRequestDeservesSilence(t *testing.T) {
	f := func(p string) {
		t.Helper()
		if _, err := ParseRequest([]byte(p)); !errors.Is(err, ErrNoRequest) {
			t.Errorf("%q: %v", p, err)
		}
	}
	f("")
	f("\x00")
	f("\x00\x01")     // atftpd serves it as an empty file
	f("\x00\x01\x00") //
	f("\x00\x00a\x00octet\x00")
	f("\x00\x03\x00\x01data")
	f("\x00\x04\x00\x01")
	f("\x00\x05\x00\x01text\x00") // an ERROR answered with an ERROR makes a loop
	f("\x00\x06tsize\x000\x00")
	f("\x00\x07a\x00octet\x00")
	f("\x00\xffa\x00octet\x00")
	f("\xff\xffa\x00octet\x00")
	f("\x01\x01a\x00octet\x00")
}

func TestMalformedRequestIsRefusedWithASentence(t *testing.T) {
	f := func(p, want string) {
		t.Helper()
		_, err := ParseRequest([]byte(p))
		if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", p, err, want)
		}
	}
	f("\x00\x01name", "name has no final NUL")
	f("\x00\x01\x00octet\x00", "name is empty")
	f("\x00\x01\x00\x00", "name is empty")
	f("\x00\x01name\x00", "mode is missing")
	f("\x00\x01name\x00octet", "mode is missing or has no final NUL")
	f("\x00\x01name\x00\x00", "mode is empty")
	f("\x00\x01name\x00octet\x00blksize\x00", `option "blksize" has no`)
	f("\x00\x01name\x00octet\x00blksize\x00512", `option "blksize" has no`)
	f("\x00\x01name\x00octet\x00blksize", `option "blksize" has no`)
	f("\x00\x01name\x00octet\x00\x00\x00x", "has no name")
	f("\x00\x01name\x00octet\x00"+strings.Repeat("a\x001\x00", 65), "more than 64 options")
	f("\x00\x01"+strings.Repeat("n", 60<<10)+"\x00octet\x00", "at most 1472")
	f("\x00\x01name\x00octet\x00"+strings.Repeat("o\x001\x00", 15<<10), "at most 1472")
}

func TestPaddedRequestOfABootROMIsRead(t *testing.T) {
	r, err := ParseRequest([]byte("\x00\x01name\x00octet\x00tsize\x000\x00" + strings.Repeat("\x00", 100)))
	if value, ok := r.Options.Get("tsize"); err != nil || !ok || string(value) != "0" {
		t.Errorf("tsize is %q %v: %v", value, ok, err)
	}
}

func TestModeIsKnownInAnyCase(t *testing.T) {
	f := func(name string, want Mode) {
		t.Helper()
		if got := (Request{ModeName: []byte(name)}).Mode(); got != want {
			t.Errorf("%q: got %d, want %d", name, got, want)
		}
	}
	f("octet", Octet)
	f("OCTET", Octet)
	f("NetAscii", NetASCII)
	f("mAil", Mail)
	f("binary", UnknownMode)
	f("octet ", UnknownMode)
	f("", UnknownMode)
}

func TestOptionNameIsKnownInAnyCaseOfASCIIOnly(t *testing.T) {
	o := Options("BlkSize\x001428\x00")
	if value, ok := o.Get("blksize"); !ok || string(value) != "1428" {
		t.Errorf("got %q %v", value, ok)
	}
	if _, ok := Options("bl\u212asize\x001428\x00").Get("blksize"); ok {
		t.Error("the Kelvin sign was taken for a k")
	}
}

func TestOfADuplicateOptionTheFirstCounts(t *testing.T) {
	o := Options("blksize\x001024\x00tsize\x000\x00BLKSIZE\x00512\x00blksize\x008\x00")
	if value, _ := o.Get("blksize"); string(value) != "1024" {
		t.Errorf("got %q", value)
	}
	if n := o.Duplicates(); n != 2 {
		t.Errorf("%d duplicates, want 2", n)
	}
	if n := Options("tsize\x000\x00blksize\x000\x00").Duplicates(); n != 0 {
		t.Errorf("%d duplicates of two different options", n)
	}
}

// FuzzRequestIsRenderedBackEqual: an accepted request is rendered back byte for byte, and so are its options but
// for padding; a refused one is of a known kind.
func FuzzRequestIsRenderedBackEqual(f *testing.F) {
	f.Add([]byte("\x00\x01name\x00octet\x00"))
	f.Add([]byte("\x00\x02dir/name\x00NETASCII\x00blksize\x001428\x00tsize\x000\x00\x00\x00"))
	f.Add([]byte("\x00\x01\xff\xfe\x00octet\x00timeout\x00\x00blksize"))
	f.Add([]byte("\x00\x05\x00\x01no\x00"))
	f.Fuzz(func(t *testing.T, p []byte) {
		r, err := ParseRequest(p)
		if err != nil {
			if !errors.Is(err, ErrNoRequest) && !errors.Is(err, ErrMalformed) {
				t.Errorf("%q: unknown kind of error: %v", p, err)
			}
			return
		}
		if got := AppendRequest(nil, r); !bytes.Equal(got, p) || r.Len() != len(p) {
			t.Errorf("%q became %q, length %d", p, got, r.Len())
		}
		var options []byte
		for name, value := range r.Options.All() {
			options = AppendOption(options, string(name), string(value))
		}
		padding := bytes.TrimPrefix(r.Options, options)
		if !bytes.HasPrefix(r.Options, options) || len(bytes.Trim(padding, "\x00")) > 0 {
			t.Errorf("options %q became %q", r.Options, options)
		}
		if len(r.Name) == 0 || bytes.IndexByte(r.Name, 0) >= 0 {
			t.Errorf("name %q was accepted", r.Name)
		}
	})
}
