package mountinfo

import (
	"os"
	"strings"
	"testing"
)

func TestLineIsReadWhole(t *testing.T) {
	f := func(line string, want Mount) {
		t.Helper()
		got, err := Parse(line)
		if err != nil || got != want {
			t.Errorf("%q:\n got %+v, %v\nwant %+v", line, got, err, want)
		}
	}
	f("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue", Mount{
		ID: 36, Parent: 35, Major: 98, Root: "/mnt1", Point: "/mnt2", Options: "rw,noatime", Peers: "master:1", FS: "ext3", Source: "/dev/root", Super: "rw,errors=continue",
	})
	f(`90 27 8:17 / /media/my\040stick\011\012\134x rw - vfat /dev/sdb1 rw`, Mount{
		ID: 90, Parent: 27, Major: 8, Minor: 17, Root: "/", Point: "/media/my stick\t\n\\x", Options: "rw", FS: "vfat", Source: "/dev/sdb1", Super: "rw",
	})
	f("91 27 0:50 / /mnt/b\xff rw shared:3 master:4 propagate_from:2 unbindable - fuse.sshfs a@host:/x\\040y rw,user_id=0", Mount{
		ID: 91, Parent: 27, Minor: 50, Root: "/", Point: "/mnt/b\xff", Options: "rw", Peers: "shared:3 master:4 propagate_from:2 unbindable", FS: "fuse.sshfs",
		Source: "a@host:/x y", Super: "rw,user_id=0",
	})
	f("92 27 0:51 / /mnt/e rw - tmpfs  rw", Mount{ID: 92, Parent: 27, Minor: 51, Root: "/", Point: "/mnt/e", Options: "rw", FS: "tmpfs", Super: "rw"})
	f("93 27 0:4 net:[4026532281] /run/netns/a rw shared:1 - nsfs nsfs rw", Mount{
		ID: 93, Parent: 27, Minor: 4, Root: "net:[4026532281]", Point: "/run/netns/a", Options: "rw", Peers: "shared:1", FS: "nsfs", Source: "nsfs", Super: "rw",
	})
}

func TestWhatIsNoLineIsRefused(t *testing.T) {
	f := func(line string) {
		t.Helper()
		if got, err := Parse(line); err == nil {
			t.Errorf("%q was read as %+v", line, got)
		}
	}
	f("")
	f("36 35 98:0 /a /b rw -")
	f("36 35 98:0 /a /b rw ext4 /dev/x rw")
	f("36 35 98:0 /a b rw - ext4 /dev/x rw")
	f("x 35 98:0 /a /b rw - ext4 /dev/x rw")
	f("036 35 98:0 /a /b rw - ext4 /dev/x rw")
	f("36 35 98 /a /b rw - ext4 /dev/x rw")
	f("36 35 98:9999999 /a /b rw - ext4 /dev/x rw")
	f(`36 35 98:0 /a /b\04 rw - ext4 /dev/x rw`)
	f(`36 35 98:0 /a /b\999 rw - ext4 /dev/x rw`)
	f(`36 35 98:0 /a /b\000 rw - ext4 /dev/x rw`)
	f("36 35 98:0 /a /b rw - ext4 /dev/x rw more")
}

func TestOwnTableRendersBackEqual(t *testing.T) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	all, refused := ParseAll(text)
	var b strings.Builder
	for _, m := range all {
		b.WriteString(m.String() + "\n")
	}
	if refused > 0 || len(all) == 0 || b.String() != string(text) {
		t.Errorf("%d refused:\n%s\n%s", refused, b.String(), text)
	}
}

func TestReadOnlyIsSaidByMountOrFileSystem(t *testing.T) {
	f := func(options, super string, want bool) {
		t.Helper()
		m := Mount{Options: options, Super: super}
		if got := m.ReadOnly(); got != want {
			t.Errorf("%s %s: %v", options, super, got)
		}
	}
	f("rw", "rw,errors=remount-ro", false)
	f("ro,relatime", "rw", true)
	f("rw", "ro", true)
	f("rw,relatime", "rw,prot=root", false)
}

func FuzzParse(f *testing.F) {
	f.Add("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue")
	f.Add(`90 27 8:17 / /media/my\040stick\011\012\134x rw - vfat /dev/sdb1 rw`)
	f.Add("92 27 0:51 / /mnt/e rw - tmpfs  rw")
	f.Fuzz(func(t *testing.T, line string) {
		m, err := Parse(line)
		if err != nil {
			return
		}
		again, err := Parse(m.String())
		if err != nil || again != m {
			t.Errorf("%q was read as %+v, and its own line %q as %+v, %v", line, m, m.String(), again, err)
		}
	})
}
