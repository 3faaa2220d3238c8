package record

import (
	"encoding/json"
	"testing"

	"tallyman/source/tftp/engine"
	"tallyman/source/tftp/packet"
)

func TestDetailsAreCanonical(t *testing.T) {
	var d details
	is := func(options packet.Options, want string) {
		t.Helper()
		got := d.refused(packet.Request{ModeName: []byte("octet"), Options: options}, nil)
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("%s is no JSON", got)
		}
	}
	is(nil, `{"mode":"octet"}`)
	is(packet.Options("tsize\x000\x00blksize\x0010\x00"), `{"asked":{"blksize":"10","tsize":"0"},"mode":"octet"}`)
	is(packet.Options("a\x001\x00a\x002\x00"), `{"asked":{"a":"1"},"mode":"octet"}`)
	is(packet.Options("a\"\\\n\x00\xff\x1b\x00"), `{"asked":{"a\"\\\\n":"\\xff\\x1b"},"mode":"octet"}`)
	many := packet.Options{}
	for i := range 30 {
		many = packet.AppendOption(many, string(rune('a'+i%26))+"x", "1")
	}
	if got := d.refused(packet.Request{Options: many}, nil); !json.Valid([]byte(got)) || len(got) > 300 {
		t.Errorf("many options gave %s", got)
	}
}

func FuzzDetailsAreJSON(f *testing.F) {
	f.Add([]byte("blksize\x001428\x00"), []byte("octet"))
	f.Add([]byte("\"\x00\\\x00\xff\x00\u202e\x00"), []byte("\x00\x1f\x7f"))
	f.Fuzz(func(t *testing.T, options, mode []byte) {
		var d details
		x := &About{Options: string(options), Grant: engine.Grant{BlockSize: 512, Window: 1, TSize: 7}}
		for _, got := range []string{
			d.refused(packet.Request{ModeName: mode, Options: options}, &packet.Error{Code: 4}),
			d.running(x),
			d.closed(x, &engine.Outcome{LastBlock: 1, ClientSaid: true}),
		} {
			if !json.Valid([]byte(got)) {
				t.Fatalf("%s is no JSON", got)
			}
		}
	})
}
