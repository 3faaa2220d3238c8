package tftp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tallyman"
)

var text = strings.Repeat("The tallyman stands where goods change hands.\r\n\n", 3000)

func digest(s string) tallyman.Digest {
	sum := sha256.Sum256([]byte(s))
	return tallyman.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

func TestFileGoesThereAndBackUnchanged(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		s := serve(t, host)
		var total int64
		put, err := Put(t.Context(), s.request(), strings.NewReader(text), int64(len(text)), func(_, of int64) { total = of })
		if err != nil || put.Verdict != tallyman.Complete || put.Reason != tallyman.FinalAck || put.Digest != digest(text) || total != int64(len(text)) {
			t.Fatalf("put: %+v %v", put, err)
		}
		var to bytes.Buffer
		var done int64
		get, err := Get(t.Context(), s.request(), &to, func(n, _ int64) { done = n })
		if err != nil || to.String() != text || get.Digest != digest(text) || get.Bytes != int64(len(text)) || done != get.Wire {
			t.Fatalf("get: %+v %v", get, err)
		}
		if get.Server.Port() == s.addr.Port() || get.Server.Addr() != s.addr.Addr() || get.Granted.BlockSize != 1428 || get.Took <= 0 {
			t.Errorf("get: %+v", get)
		}
		if !strings.Contains(s.heard()[0], "\x00tsize\x00144000\x00blksize\x001428\x00windowsize\x0016\x00") {
			t.Errorf("asked %q", s.heard()[0])
		}
	}
}

func TestLostPacketsAreRepaired(t *testing.T) {
	s := serve(t, "127.0.0.1")
	s.locked(func() { s.lose = func(packet int) bool { return packet == 1 || packet%17 == 0 } })
	put, err := Put(t.Context(), s.request(), strings.NewReader(text), -1, nil)
	if err != nil || s.stored() != text || put.Retransmits+put.Duplicates == 0 {
		t.Fatalf("put: %+v %v", put, err)
	}
	var to bytes.Buffer
	if get, err := Get(t.Context(), s.request(), &to, nil); err != nil || to.String() != text {
		t.Fatalf("get: %+v %v", get, err)
	}
}

func TestNetasciiChangesLinesOnTheWayOnly(t *testing.T) {
	s := serve(t, "127.0.0.1")
	r := s.request()
	r.Mode = Netascii
	put, err := Put(t.Context(), r, strings.NewReader("a\nb\rc\r\n"), 7, nil)
	if err != nil || s.stored() != "a\r\nb\r\x00c\r\x00\r\n" || put.Bytes != 7 || put.Wire != 11 || put.Digest != digest("a\nb\rc\r\n") {
		t.Fatalf("stored %q: %+v %v", s.stored(), put, err)
	}
	var to bytes.Buffer
	s.store(s.stored() + "\r")
	get, err := Get(t.Context(), r, &to, nil)
	if err != nil || to.String() != "a\nb\rc\r\n\r" || get.Bytes != 8 || get.Wire != 12 || get.Digest != digest(to.String()) {
		t.Fatalf("fetched %q: %+v %v", to.String(), get, err)
	}
}

func TestServerThatRefusesOptionsIsAskedAgainWithout(t *testing.T) {
	s := serve(t, "127.0.0.1")
	s.store(text)
	s.locked(func() { s.refuse["blksize"] = "ERROR 8 no options here" })
	var to bytes.Buffer
	get, err := Get(t.Context(), s.request(), &to, nil)
	if err != nil || !get.Plain || to.String() != text || get.Granted.BlockSize != 512 {
		t.Fatalf("%+v %v", get, err)
	}
	if put, err := Put(t.Context(), s.request(), strings.NewReader("x"), 1, nil); err != nil || !put.Plain || s.stored() != "x" {
		t.Fatalf("%+v %v", put, err)
	}
}

func TestOackThatGrantsTooMuchLeadsToAPlainRequest(t *testing.T) {
	s := serve(t, "127.0.0.1")
	s.store(text)
	s.locked(func() { s.refuse["blksize"] = "OACK blksize=9000" })
	var to bytes.Buffer
	if get, err := Get(t.Context(), s.request(), &to, nil); err != nil || !get.Plain || to.String() != text {
		t.Fatalf("%+v %v", get, err)
	}
}

func TestRefusalIsAnErrorThatNamesFileServerAndReason(t *testing.T) {
	s := serve(t, "127.0.0.1")
	s.locked(func() { s.refuse["f"] = "ERROR 1 no such file" })
	r := s.request()
	r.Name = "f\x1b"
	get, err := Get(t.Context(), r, io.Discard, nil)
	want := `get f\x1b from ` + s.addr.String() + ": refused, not-found: the server says ERROR 1: no such file"
	var failure *Failure
	if !errors.As(err, &failure) || err.Error() != want || failure.Verdict != tallyman.Refused || get.Reason != tallyman.NotFound || get.Digest != "" {
		t.Errorf("got %+v %v", get, err)
	}
}

func TestSizeThatDiffersFromTheAnnouncedOneIsAContradiction(t *testing.T) {
	s := serve(t, "127.0.0.1")
	put, err := Put(t.Context(), s.request(), strings.NewReader("four"), 5, nil)
	if err == nil || put.Verdict != tallyman.Contradicted || put.Reason != tallyman.AnnouncedSize || put.Why != "5 bytes were announced and 4 moved" {
		t.Errorf("%+v %v", put, err)
	}
}

func TestPortWhereNobodyListensIsToldAtOnce(t *testing.T) {
	s := serve(t, "127.0.0.1")
	_ = s.port.Close()
	r := s.request()
	r.GiveUp = time.Minute
	get, err := Get(t.Context(), r, io.Discard, nil)
	if err == nil || get.Reason != tallyman.ServerGone || !strings.Contains(err.Error(), "nothing listens on "+s.addr.String()) || get.Took > 10*time.Second {
		t.Errorf("%+v %v", get, err)
	}
}

func TestHostNameThatDoesNotResolveIsNamed(t *testing.T) {
	_, err := Get(t.Context(), Request{Host: "none.invalid", Name: "f"}, io.Discard, nil)
	if err == nil || !strings.Contains(err.Error(), "none.invalid") {
		t.Errorf("got %v", err)
	}
}

func TestWrongRequestIsNotSent(t *testing.T) {
	s := serve(t, "127.0.0.1")
	r := s.request()
	r.Name = ""
	if _, err := Get(t.Context(), r, io.Discard, nil); err == nil {
		t.Error("a get without a name was sent")
	}
	r.Name, r.Window = "f", 65
	if _, err := Put(t.Context(), r, strings.NewReader(""), 0, nil); err == nil || len(s.heard()) != 0 {
		t.Errorf("a put with a window of 65 was sent: %v", err)
	}
}

// silent is a server that is played by the test: a port, and a client that runs in the background.
type silent struct {
	*net.UDPConn
	t      *testing.T
	client netip.AddrPort
}

func (s *silent) hear(want string) {
	s.t.Helper()
	buffer := make([]byte, 1<<16)
	_ = s.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, from, err := s.ReadFromUDPAddrPort(buffer)
	if err != nil {
		s.t.Fatalf("waiting for %s: %v", want, err)
	}
	if got := decode(buffer[:n]); got != want {
		s.t.Fatalf("heard %q, want %q", got, want)
	}
	s.client = from
}

func (s *silent) say(packet string) {
	s.t.Helper()
	if _, err := s.WriteToUDPAddrPort(encode(packet), s.client); err != nil {
		s.t.Fatal(err)
	}
}

func listen(t *testing.T) *silent {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &silent{UDPConn: conn, t: t}
}

func (s *silent) request() Request {
	to := netip.MustParseAddrPort(s.LocalAddr().String())
	return Request{Host: to.Addr().String(), Port: to.Port(), Name: "f", Plain: true}
}

func TestStrangerGetsErrorFiveAndDisturbsNothing(t *testing.T) {
	s, tid, stranger := listen(t), listen(t), listen(t)
	var to bytes.Buffer
	var got Result
	done := make(chan error)
	go func() {
		var err error
		got, err = Get(context.Background(), s.request(), &to, nil)
		done <- err
	}()
	s.hear("RRQ f octet")
	tid.client, stranger.client = s.client, s.client
	tid.say("DATA 1 x512")
	tid.hear("ACK 1")
	stranger.say("DATA 2 x9")
	stranger.hear("ERROR 5 unknown transfer ID")
	stranger.say("ERROR 0 stop")
	stranger.say("ACK 2")
	stranger.hear("ERROR 5 unknown transfer ID")
	tid.say("DATA 2 x8")
	tid.hear("ACK 2")
	if err := <-done; err != nil || to.Len() != 520 || got.Strangers != 3 {
		t.Errorf("%d bytes, %+v, %v", to.Len(), got, err)
	}
}

func TestLastDataIsAcknowledgedAgainAfterTheEnd(t *testing.T) {
	s := listen(t)
	done := make(chan error)
	go func() {
		_, err := Get(context.Background(), s.request(), io.Discard, nil)
		done <- err
	}()
	s.hear("RRQ f octet")
	s.say("DATA 1 x5")
	s.hear("ACK 1")
	s.say("DATA 1 x5")
	s.hear("ACK 1")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestCancelTellsTheServerAndAborts(t *testing.T) {
	s := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var got Result
	done := make(chan error)
	go func() {
		var err error
		got, err = Put(ctx, s.request(), strings.NewReader(text), -1, nil)
		done <- err
	}()
	s.hear("WRQ f octet")
	s.say("ACK 0")
	s.hear("DATA 1 x512")
	cancel()
	s.hear("ERROR 0 stopped by the client")
	if err := <-done; err == nil || got.Verdict != tallyman.Aborted || got.Reason != tallyman.ClientAbort {
		t.Errorf("%+v %v", got, err)
	}
}

func TestRequestThatNobodyAnswersTimesOut(t *testing.T) {
	s := listen(t)
	r := s.request()
	r.GiveUp = 50 * time.Millisecond
	got, err := Get(t.Context(), r, io.Discard, nil)
	if err == nil || got.Verdict != tallyman.Failed || got.Reason != tallyman.Timeout {
		t.Errorf("%+v %v", got, err)
	}
}
