package files

import (
	"strings"
	"testing"

	"tallyman/source/files/account"
	"tallyman/source/files/fanotify"
)

func TestBelowIsByWholeNames(t *testing.T) {
	f := func(path, folder string, want bool) {
		t.Helper()
		if below(path, folder) != want {
			t.Errorf("%q below %q: %v", path, folder, !want)
		}
	}
	f("/srv/tftp", "/srv/tftp", true)
	f("/srv/tftp/a", "/srv/tftp", true)
	f("/srv/tftpd", "/srv/tftp", false)
	f("/srv", "/srv/tftp", false)
	f("/x", "/", true)
	f("", "/", false)
}

func TestHandlesAreNamedByInodeAndGeneration(t *testing.T) {
	f := func(kind int32, handle, want string) {
		t.Helper()
		if got := identity(254<<8, fanotify.MakeHandle(7, kind, []byte(handle))); got != want {
			t.Errorf("%q is %s, not %s", handle, got, want)
		}
	}
	f(1, "\x05\x00\x00\x00\x09\x00\x00\x00", "254:0:5:9")                             // ext4
	f(1, "\x09\x00\x00\x00\x05\x00\x00\x00\x01\x00\x00\x00", "254:0:4294967301:9")    // tmpfs
	f(0x81, "\x05\x00\x00\x00\x01\x00\x00\x00\x09\x00\x00\x00", "254:0:4294967301:9") // xfs
	f(0x4d, "\x05\x00\x00\x00\x00\x00\x00\x00rootrootgen.", "254:0:5:778986855")      // btrfs
	f(0xfb, "\x01\x02", "254:0:fb:0102")                                              // what nobody knows
	f(1, "", "254:0:1:")                                                              // nothing at all
	for _, name := range []string{"254:0:5:9", nameless(254<<8, 5)} {
		if dev, ino, ok := parseIdentity(name); !ok || dev != 254<<8 || ino != 5 {
			t.Errorf("%s is %d, %d, %v", name, dev, ino, ok)
		}
	}
	if _, _, ok := parseIdentity("254:0:fb:0102"); ok {
		t.Error("an unknown handle has no inode")
	}
}

func TestProgramsAreKnownByExecutableOrName(t *testing.T) {
	r := Root{Programs: []string{"in.tftpd", "systemd-tftp-serverd"}}
	f := func(who account.Who, want bool) {
		t.Helper()
		if r.wants(&who) != want {
			t.Errorf("%+v: %v", who, !want)
		}
	}
	f(account.Who{Exe: "/usr/sbin/in.tftpd", Comm: "in.tftpd"}, true)
	f(account.Who{Comm: "in.tftpd"}, true)
	f(account.Who{Comm: "systemd-tftp-se"}, true) // cut by the kernel
	f(account.Who{Exe: "/usr/bin/cat", Comm: "cat"}, false)
	f(account.Who{Exe: "/usr/bin/cat", Comm: "in"}, false)
	f(account.Who{Gone: true}, true) // nobody knows
}

func TestWrongConfigurationSaysWhatToDo(t *testing.T) {
	f := func(c Config, want string) {
		t.Helper()
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	f(Defaults("h"), "name at least one folder")
	f(Defaults("h", Root{Path: "srv"}), "write the whole path")
	c := Defaults("h", Root{Path: "/srv"})
	c.Mode = "magic"
	f(c, `"magic" is none of`)
}
