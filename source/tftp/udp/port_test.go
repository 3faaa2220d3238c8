package udp

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAddressesAreReadOrRefused(t *testing.T) {
	reads := func(text string, want ...string) {
		t.Helper()
		at, err := Addresses(text)
		if err != nil || len(at) != len(want) {
			t.Fatalf("%q gave %v, %v", text, at, err)
		}
		for i := range at {
			if at[i].String() != want[i] {
				t.Errorf("%q gave %v, want %v", text, at, want)
			}
		}
	}
	reads(":69", "0.0.0.0:69", "[::]:69")
	reads("192.0.2.1:0", "192.0.2.1:0")
	reads("[2001:db8::1]:69", "[2001:db8::1]:69")
	refuses := func(text, want string) {
		t.Helper()
		if _, err := Addresses(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gave %v, want %q", text, err, want)
		}
	}
	refuses("69", "ADDRESS:PORT")
	refuses("", "ADDRESS:PORT")
	refuses(":tftp", "number")
	refuses(":65536", "number")
	refuses("localhost:69", "IP address")
}

func TestAllAddressesGetOnePort(t *testing.T) {
	at, err := Addresses(":0")
	if err != nil {
		t.Fatal(err)
	}
	ports, err := ListenAll(at)
	if err != nil {
		t.Fatal(err)
	}
	if len(ports) != 2 || ports[0].At.Port() == 0 || ports[0].At.Port() != ports[1].At.Port() {
		t.Errorf("ports are %v", ports)
	}
	again := []netip.AddrPort{ports[0].At, ports[1].At}
	if _, err := ListenAll(again); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("taken ports gave %v", err)
	}
	for i := range ports {
		ports[i].Socket.Close()
	}
	if ports, err = ListenAll(again); err != nil {
		t.Errorf("free ports gave %v", err)
	}
	for i := range ports {
		ports[i].Socket.Close()
	}
}

func TestAddressOfAnotherMachineIsRefused(t *testing.T) {
	if _, err := ListenAll([]netip.AddrPort{netip.MustParseAddrPort("192.0.2.123:0")}); !errors.Is(err, unix.EADDRNOTAVAIL) {
		t.Errorf("got %v", err)
	}
}
