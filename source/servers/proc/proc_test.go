package proc_test

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
	"testing"

	"tallyman/source/servers/proc"
)

func TestStatIsReadBehindANameThatHoldsParentheses(t *testing.T) {
	rest := " 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 4711 0"
	s, ok := proc.ParseStat([]byte("812 (a) b (c)) S 1" + rest))
	if want := (proc.Stat{PID: 812, Parent: 1, Comm: "a) b (c)", Start: 4711}); !ok || s != want {
		t.Errorf("%+v %v", s, ok)
	}
	for _, bad := range []string{"", "812", "812 (x", "812 (x) S 1", "-1 (x) S 1" + rest, "x (x) S 1" + rest} {
		if s, ok := proc.ParseStat([]byte(bad)); ok {
			t.Errorf("%q became %+v", bad, s)
		}
	}
}

func TestCommandLinesThatWereWrittenOverAreSplit(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		if got := proc.CommandLine([]byte(text)); !slices.Equal(got, want) {
			t.Errorf("%q: %q", text, got)
		}
	}
	f("/usr/sbin/in.tftpd\x00-s\x00/srv/my files\x00", "/usr/sbin/in.tftpd", "-s", "/srv/my files")
	f("sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups\x00\x00\x00", "/usr/sbin/sshd", "-D", "[listener]", "0", "of", "10-100", "startups")
	f("pure-ftpd (SERVER)\x00\x00", "pure-ftpd", "(SERVER)")
	f("proftpd: (accepting connections)\x00", "(accepting", "connections)")
	f("")
}

func TestSocketsAreReadFromTheTablesOfTheKernel(t *testing.T) {
	const udp = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  392: 00000000:0045 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 19317 2 0000000000000000 0
  393: 0100007F:C350 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 19318 2 0000000000000000 0
  394: 0100007F:zz50 0100007F:D431 01 00000000:00000000
`
	want := []proc.Socket{{netip.MustParseAddrPort("0.0.0.0:69"), 19317, true}, {netip.MustParseAddrPort("127.0.0.1:50000"), 19318, false}}
	if got := proc.Sockets(udp); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	const tcp6 = "   0: 00000000000000000000000001000000:0015 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7 1 0 100\n"
	if got := proc.Sockets(tcp6); len(got) != 1 || got[0].Local != netip.MustParseAddrPort("[::1]:21") || !got[0].Listen {
		t.Errorf("%+v", got)
	}
}

func TestTheUnitIsTheDeepestServiceOrScope(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := proc.Unit(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	f("0::/system.slice/tftpd-hpa.service\n", "tftpd-hpa.service")
	f("12:pids:/system.slice/docker-abc.scope\n1:name=systemd:/system.slice/docker-abc.scope\n", "docker-abc.scope")
	f("0::/user.slice\n", "")
}

const container = `500 400 0:50 / / rw,relatime master:1 - overlay overlay rw
501 500 8:1 /srv/my\040files /srv/tftp rw,relatime - ext4 /dev/sda1 rw
502 500 0:60 / /tmp rw - tmpfs tmpfs rw
`

const host = `20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
21 20 0:50 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw
22 20 0:70 / /mnt rw - tmpfs tmpfs rw
`

func TestFoldersOfContainersAreFoundHere(t *testing.T) {
	from, to := proc.Mounts(container), proc.Mounts(host)
	f := func(path, want string) {
		t.Helper()
		got, ok := proc.Translate(from, to, path)
		if got != want || ok != (want != "") {
			t.Errorf("%s: %q %v, not %q", path, got, ok, want)
		}
	}
	f("/srv/tftp", "/srv/my files")
	f("/srv/tftp/pxe", "/srv/my files/pxe")
	f("/var/ftp", "/var/lib/docker/overlay2/x/merged/var/ftp")
	f("/", "/var/lib/docker/overlay2/x/merged")
	f("/tmp/x", "")
	// What lies below a mount of ours is hidden here.
	from = proc.Mounts("500 400 8:1 / / rw - ext4 /dev/sda1 rw\n")
	f("/mnt/x", "")
	f("/srv", "/srv")
}

func TestANetworkShareIsKnownByTheMountThatAFolderLiesOn(t *testing.T) {
	mounts := proc.Mounts("20 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n21 20 0:50 / /srv/tftp rw shared:1 - nfs4 nas:/tftp rw\n22 21 8:2 / /srv/tftp/local rw - ext4 /dev/sdb1 rw\n")
	f := func(path, want string) {
		t.Helper()
		if got := proc.Share(mounts, path); got != want {
			t.Errorf("%s lies on %q", path, got)
		}
	}
	f("/srv", "")
	f("/srv/tftp", "nfs4")
	f("/srv/tftp/a/b", "nfs4")
	f("/srv/tftp/local", "")
}

// A path that is found lies on the same file system, at the same place in it.
func FuzzAFolderThatIsFoundIsTheSameOne(f *testing.F) {
	f.Add(container, host, "/srv/tftp/a")
	f.Add(container, "20 1 0:50 /srv /x rw - overlay o rw\n", "/srv/b")
	f.Add(host, host, "/mnt/a")
	f.Fuzz(func(t *testing.T, a, b, name string) {
		if !path.IsAbs(name) || path.Clean(name) != name {
			return
		}
		from, to := proc.Mounts(a), proc.Mounts(b)
		for _, m := range slices.Concat(from, to) {
			if path.Clean(m.Point) != m.Point || path.Clean(m.Root) != m.Root {
				return // the kernel writes clean ones
			}
		}
		got, ok := proc.Translate(from, to, name)
		if !ok {
			return
		}
		if back, ok := proc.Translate(to, from, got); ok && len(from) == 1 && back != name {
			t.Errorf("%q is %q there, and back %q", name, got, back)
		}
		if path.Clean(got) != got {
			t.Errorf("%q is not clean", got)
		}
	})
}

// What a table says is read back as it was written.
func FuzzSocketsAreReadAsWritten(f *testing.F) {
	f.Add(uint32(0x0100007f), uint16(69), uint8(7), uint64(99), "junk")
	f.Fuzz(func(t *testing.T, host uint32, port uint16, state uint8, inode uint64, junk string) {
		line := fmt.Sprintf("  1: %08X:%04X 00000000:0000 %02X 00000000:00000000 00:00000000 00000000     0        0 %d 2 0 0\n", host, port, state, inode)
		got := proc.Sockets(line)
		ip := netip.AddrFrom4([4]byte{byte(host), byte(host >> 8), byte(host >> 16), byte(host >> 24)})
		if len(got) != 1 || got[0].Local != netip.AddrPortFrom(ip, port) || got[0].Inode != inode || got[0].Listen != (state == 7 || state == 10) {
			t.Errorf("%s: %+v", line, got)
		}
		if n := len(proc.Sockets(junk)); n > strings.Count(junk, ":") {
			t.Errorf("%q holds %d sockets", junk, n)
		}
		if s, ok := proc.ParseStat([]byte(junk)); ok && (s.PID <= 0 || s.Start < 0 || !strings.Contains(junk, "("+s.Comm+")")) {
			t.Errorf("%q: %+v", junk, s)
		}
	})
}
