//go:build real

package real

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// iosTimer stands for the 3 s after which Cisco IOS repeats a packet.
const iosTimer = 300 * time.Millisecond

// newIOS is a client as Cisco IOS is one: blocks of 512 bytes, no options, repetitions from the same port.
func newIOS(t testing.TB, s *server, local string) *device {
	d := newDevice(t, s.addr, local)
	d.timer = iosTimer
	return d
}

func TestIOSCopiesItsConfigurationToTheServer(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	config := append([]byte("!\nversion 15.2\nhostname router1\n"), noise(1, 4000)...)
	d := newIOS(t, s, "127.0.1.1")
	if err := d.put("router1-confg", config); err != nil {
		t.Fatal(err)
	}
	same(t, filepath.Join(s.root, "router1-confg"), config)
	w := stored("router1-confg", config)
	w.client = "127.0.1.1"
	if r := s.proves(w); r.Client.Port != d.port() || r.Details.Mode != "octet" || r.Details.Blksize != 512 || len(r.Details.Asked) > 0 || r.Expected != nil {
		t.Errorf("the record says %+v", r)
	}
}

func TestAWriteRequestThatIOSRepeatsIsOneTransfer(t *testing.T) {
	t.Parallel()
	s := serve(t, "write: create") // a second transfer would be refused
	config := noise(1, 3000)
	d := newIOS(t, s, "127.0.1.2")
	d.deaf = 2 // the first two ACK 0 are lost
	if err := d.put("router2-confg", config); err != nil {
		t.Fatal(err)
	}
	if d.repeated < 1 {
		t.Fatal("the request was not repeated")
	}
	same(t, filepath.Join(s.root, "router2-confg"), config)
	w := stored("router2-confg", config)
	w.client = "127.0.1.2"
	if r := s.proves(w); r.Details.Requests != d.repeated {
		t.Errorf("the request was repeated %d times, the record says %d", d.repeated, r.Details.Requests)
	}
}

func TestAReadRequestThatIOSRepeatsIsOneTransfer(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	image := noise(1, 3000)
	s.file("boot.bin", image)
	d := newIOS(t, s, "127.0.1.3")
	d.deaf = 2
	if b, err := d.get("boot.bin"); err != nil || !bytes.Equal(b, image) {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	w := got("boot.bin", image)
	w.client = "127.0.1.3"
	if r := s.proves(w); r.Details.Requests != d.repeated {
		t.Errorf("the request was repeated %d times, the record says %d", d.repeated, r.Details.Requests)
	}
}

func TestIOSLoadsAnImageOfMoreThan65535Blocks(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	image := noise(1, 65537*512+1)
	s.file("c2900.bin", image)
	d := newIOS(t, s, "127.0.1.4")
	if b, err := d.get("c2900.bin"); err != nil || !bytes.Equal(b, image) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if err := d.put("new-c2900.bin", image); err != nil {
		t.Error(err)
	}
	same(t, filepath.Join(s.root, "new-c2900.bin"), image)
	down, up := got("c2900.bin", image), stored("new-c2900.bin", image)
	down.client, up.client = "127.0.1.4", "127.0.1.4"
	s.proves(down)
	s.proves(up)
}

func TestAProCurveCopiesTextAndReadsTheErrorText(t *testing.T) {
	t.Parallel()
	s := serve(t, "write: create")
	d := newDevice(t, s.addr, "127.0.1.5")
	d.mode = "NETASCII"
	config := []byte("; J9019B Configuration Editor\r\n\r\nhostname \"switch1\"\r\nvlan 1\r\n   ip address dhcp-bootp\r\nexit\r\n")
	text := bytes.ReplaceAll(config, []byte("\r\n"), []byte("\n"))
	if err := d.put("switch1.cfg", config); err != nil { // it speaks netascii by itself: its lines end with CR LF
		t.Fatal(err)
	}
	same(t, filepath.Join(s.root, "switch1.cfg"), text)
	if b, err := d.get("switch1.cfg"); err != nil || !bytes.Equal(b, config) {
		t.Errorf("it reads %q, %v", b, err)
	}
	up, down := stored("switch1.cfg", text), got("switch1.cfg", text)
	up.bytes, up.client, down.bytes, down.client = int64(len(config)), "127.0.1.5", int64(len(config)), "127.0.1.5"
	s.proves(up)
	s.proves(down)
	f := func(err error, code int, text string) {
		t.Helper()
		var said *remoteError
		if !errors.As(err, &said) || said.code != code || said.text != text {
			t.Errorf("the switch is told %v, not ERROR %d %s", err, code, text)
		}
	}
	f(d.put("switch1.cfg", config), 6, "file exists")
	f(d.put("no/switch1.cfg", config), 1, "file not found")
	_, err := d.get("switch2.cfg")
	f(err, 1, "file not found")
	d.mode = "mail"
	_, err = d.get("switch1.cfg")
	f(err, 4, "unknown transfer mode")
}

func TestABootROMThatAsksTheSizeFirstIsAProbeAndThenARead(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	loader := noise(1, 42_988)
	f := func(n, code int, options ...string) {
		t.Helper()
		name, local := fmt.Sprintf("pxelinux.%d", n), fmt.Sprintf("127.0.2.%d", n)
		s.file(name, loader)
		probe := newDevice(t, s.addr, local)
		probe.options = options
		p, err := probe.exchange(probe.request(opRRQ, name), func(p []byte) bool { return p[1] == opOACK })
		if err != nil {
			t.Errorf("%v: %v", options, err)
			return
		}
		if err := errors.Join(probe.agree(p), probe.send(errorPacket(code, "TFTP Aborted"))); err != nil || probe.oack["tsize"] != "42988" {
			t.Errorf("%v is answered with %v, %v", options, probe.oack, err)
		}
		asked := s.ended(1, "get", name)
		s.compare(asked[0], want{op: "get", file: name, verdict: "probe", reason: "size-probe", bytes: 0, client: local})
		d := newDevice(t, s.addr, local)
		d.options = []string{"tsize", "0", "blksize", "1456"}
		if b, err := d.get(name); err != nil || !bytes.Equal(b, loader) || d.oack["blksize"] != "1456" {
			t.Errorf("it loads %d bytes, %v, %v", len(b), d.oack, err)
		}
		both := s.ended(2, "get", name)
		w := got(name, loader)
		w.client = local
		s.compare(both[1], w)
	}
	f(1, 8, "tsize", "0", "blksize", "1456") // Intel UNDI
	f(2, 0, "tsize", "0")                    // Etherboot
	f(3, 8, "tsize", "0")
}

func TestPXELINUXSearchesItsConfigurationWithoutAlarm(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	mkdir(t, s.root, "pxelinux.cfg")
	menu := []byte("DEFAULT linux\n")
	s.file("pxelinux.cfg/default", menu)
	search(t, s, "127.0.3.1", "pxelinux.cfg/default", menu,
		"pxelinux.cfg/b8945908-d6a6-41a9-611d-74a6ab80b83d", "pxelinux.cfg/01-88-99-aa-bb-cc-dd", "pxelinux.cfg/C0A8025B", "pxelinux.cfg/C0A8025",
		"pxelinux.cfg/C0A802", "pxelinux.cfg/C0A80", "pxelinux.cfg/C0A8", "pxelinux.cfg/C0A", "pxelinux.cfg/C0", "pxelinux.cfg/C")
}

func TestAnIOSRouterSearchesItsConfigurationWithoutAlarm(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	config := []byte("hostname router7\n")
	s.file("router-confg", config)
	search(t, s, "127.0.3.2", "router-confg", config, "network-confg", "cisconet.cfg", "router7-confg", "router7.cfg")
}

// search asks for missing names in turn, then for the one that is there, and wants the refusals marked as parts of one search.
func search(t *testing.T, s *server, local, last string, content []byte, missing ...string) {
	t.Helper()
	for _, name := range missing {
		var said *remoteError
		if _, err := newDevice(t, s.addr, local).get(name); !errors.As(err, &said) || said.code != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b, err := newDevice(t, s.addr, local).get(last); err != nil || !bytes.Equal(b, content) {
		t.Errorf("%s: %q, %v", last, b, err)
	}
	for _, r := range s.await(len(missing), func(r *record) bool { return r.Details.Search == last }) {
		w := refusal("get", r.File, "not-found")
		w.client = local
		s.compare(r, w)
	}
	w := got(last, content)
	w.client = local
	if r := s.proves(w); r.Details.Search != "" {
		t.Errorf("the file that was found counts as missing: %s", r.Details.Search)
	}
}

func TestAMistypedNameIsNoBootSearch(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.file("firmware.bin", []byte("firmware"))
	_, err := newDevice(t, s.addr, "").get("firmwaer.bin")
	var said *remoteError
	if !errors.As(err, &said) || said.code != 1 || strings.Contains(said.text, "firmware") {
		t.Errorf("the client is told %v", err)
	}
	if _, err := newDevice(t, s.addr, "").get("firmware.bin"); err != nil {
		t.Error(err)
	}
	s.proves(got("firmware.bin", []byte("firmware")))
	if r := s.proves(refusal("get", "firmwaer.bin", "not-found")); r.Details.Search != "" {
		t.Errorf("it is taken for a search: %s", r.Details.Search)
	}
	if why := s.tallyman("why", "firmwaer.bin"); !strings.Contains(why, "“firmware.bin”") {
		t.Errorf("why does not name the nearest file: %s", why)
	}
}
