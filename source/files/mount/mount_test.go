package mount_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"tallyman/source/files/mount"
)

func TestMountsAreRead(t *testing.T) {
	f := func(line string, want ...mount.Mount) {
		t.Helper()
		got, refused := mount.Parse([]byte(line))
		if !slices.Equal(got, want) || refused != strings.Count(line, "\n")-len(want) {
			t.Errorf("%q is %+v, %d refused", line, got, refused)
		}
	}
	f("36 35 98:0 /mnt1 /mnt/a\\040b\\134 rw,noatime master:1 - ext3 /dev/root rw\n", mount.Mount{`/mnt/a b\`, "ext3"})
	f("36 35 98:0 / / rw - tmpfs - rw\n", mount.Mount{"/", "tmpfs"})
	f("36 35 98:0 / /x rw shared:1 master:2 propagate_from:3 - nfs4 h:/p rw\n", mount.Mount{"/x", "nfs4"})
	f("36 35 98:0 / /x rw shared:1\n")
	f("36 35 98:0 / x rw - ext4 a b\n")
	f("\n")
	f("36 35 98:0 / /a rw - ext4 a b\ngarbage\n36 35 98:0 / /b rw - ext4 a b\n", mount.Mount{"/a", "ext4"}, mount.Mount{"/b", "ext4"})
}

// A point that is taken is the one that, escaped as the kernel does, stands in the line.
func FuzzParseMounts(f *testing.F) {
	f.Add("36 35 98:0 /mnt1 /mnt/a\\040b rw,noatime master:1 - ext3 /dev/root rw")
	f.Add("36 35 98:0 / / rw - tmpfs - rw")
	f.Fuzz(func(t *testing.T, line string) {
		mounts, refused := mount.Parse([]byte(line))
		if n := strings.Count(line, "\n"); len(mounts)+refused < n || len(mounts)+refused > n+1 {
			t.Fatalf("%d mounts and %d refused in %d lines", len(mounts), refused, n)
		}
		for _, m := range mounts {
			if strings.ContainsAny(m.Point, `\`) || strings.ContainsAny(line, "\n") {
				continue
			}
			escaped := strings.NewReplacer(" ", `\040`, "\t", `\011`).Replace(m.Point)
			again, _ := mount.Parse(fmt.Appendf(nil, "1 2 3:4 / %s rw - %s a b", escaped, m.Kind))
			if len(again) != 1 || again[0] != m {
				t.Fatalf("%+v became %+v", m, again)
			}
		}
	})
}
