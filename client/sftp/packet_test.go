package sftp

import (
	"bytes"
	"strings"
	"testing"
)

func TestAnswersAreReadAndCutOnesRefused(t *testing.T) {
	f := func(p []byte, check func(a answer) bool) {
		t.Helper()
		body, err := readPacket(bytes.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		a, err := parse(body)
		if err != nil || !check(a) {
			t.Errorf("%x: %+v, %v", p, a, err)
		}
		for cut := 5; cut < len(body)-1 && a.kind != fxReply; cut++ {
			if a, err := parse(body[:cut]); err == nil && a.kind != fxStatus && a.kind != fxVersion {
				t.Errorf("%x is accepted when cut to %d bytes", p, cut)
			}
		}
	}
	f(request(fxVersion, 3, "limits@openssh.com", "1"), func(a answer) bool { return a.id == 3 && a.extensions["limits@openssh.com"] == "1" })
	f(request(fxStatus, 7, uint32(isDenied), "no\n", "en"), func(a answer) bool { return a.code == isDenied && a.said() == `3 no\n` })
	f(request(fxStatus, 7, uint32(isEOF)), func(a answer) bool { return a.code == isEOF })
	f(request(fxHandle, 7, "h\x00"), func(a answer) bool { return a.text == "h\x00" })
	f(request(fxData, 7, "content"), func(a answer) bool { return string(a.data) == "content" })
	f(request(fxAttrs, 7, uint32(1|8), uint64(1<<40), uint32(1), uint32(2)), func(a answer) bool { return a.size == 1<<40 && a.mtime == 2 })
	f(request(fxAttrs, 7, uint32(0)), func(a answer) bool { return a.size == -1 })
	f(request(fxReply, 7, uint64(1), uint64(2), uint64(3)), func(a answer) bool { return len(a.numbers) == 3 && a.numbers[2] == 3 })
	for _, bad := range []string{"\x00\x00\x00\x04abcd", "\xff\xff\xff\xff", "SSH-", "\x00\x00\x00\x09cut"} {
		if _, err := readPacket(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
	if _, err := parse(request(fxOpen, 1, "x")[4:]); err == nil {
		t.Error("a request is taken for an answer")
	}
}

// FuzzAnswer holds that what an answer carries is a part of the packet.
func FuzzAnswer(f *testing.F) {
	f.Add(request(fxStatus, 7, uint32(3), "no", "en")[4:])
	f.Add(request(fxAttrs, 7, uint32(15), uint64(1), uint64(2), uint32(3), uint64(4))[4:])
	f.Add(request(fxVersion, 3, "a", "1")[4:])
	f.Add(request(fxData, 7, "content")[4:])
	f.Fuzz(func(t *testing.T, p []byte) {
		a, err := parse(p)
		if err != nil {
			return
		}
		if !bytes.Contains(p, a.data) || !strings.Contains(string(p), a.text) || a.size < -1 {
			t.Errorf("%x: %+v", p, a)
		}
	})
}
