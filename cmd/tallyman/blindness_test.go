package main

import (
	"bytes"
	"strings"
	"testing"

	"tallyman/cmd/tallyman/watch"
)

func TestTheFirstWordsOfWatchSayWhatTheWireDoesNotTell(t *testing.T) {
	f := func(w watch.Witness, want ...string) {
		t.Helper()
		var out bytes.Buffer
		(&program{stdout: &out}).printBlindness(&w)
		for _, part := range want {
			if !strings.Contains(out.String(), part) {
				t.Errorf("%+v: no %q in %q", w, part, out.String())
			}
		}
		if len(want) == 0 && out.Len() > 0 {
			t.Errorf("%+v: %q", w, out.String())
		}
	}
	f(watch.Witness{Name: "wire", State: watch.Live})
	f(watch.Witness{Name: "wire", State: watch.Failed, Text: "the capture was not allowed (needs CAP_NET_RAW)", More: "run it as root"},
		"No packets are seen: the capture was not allowed (needs CAP_NET_RAW).", "no transfer of TFTP or FTP is proven complete", "stays unproven", "-> run it as root")
	f(watch.Witness{Name: "wire", State: watch.Live, Nameless: "Linux is too old", Named: "Linux 6.10"}, "The process behind a packet is not known: Linux is too old.", "-> Linux 6.10")
}
