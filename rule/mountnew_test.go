package rule_test

import (
	"testing"
	"time"

	"tallyman"
)

func TestWhatIsMountedFromElsewhereIsToldOnce(t *testing.T) {
	s := newScene()
	mount := func(after time.Duration, kind tallyman.Kind, class, device, text string) {
		s.event(kind, after, "10.0.0.7", func(e *tallyman.Event) {
			e.Witness, e.User, e.Path, e.ToClass, e.Device, e.Text = "mounts", "", "/media/stick", class, device, text
		})
	}
	stick := `usb:4C53 SanDisk Ultra "STICK"`
	mount(0, tallyman.KindMounted, "local", "Samsung SSD", "mounted, ext4 of /dev/sda2")
	mount(time.Second, tallyman.KindMounted, "removable", stick, "mounted, vfat of /dev/sdb1")
	mount(2*time.Second, tallyman.KindMounted, "removable", stick, "remounted, vfat of /dev/sdb1, read-only")
	mount(3*time.Second, tallyman.KindMounted, "removable", "usb:other", "moved from /media/x, vfat")
	mount(4*time.Second, tallyman.KindUnmounted, "removable", stick, "unmounted, vfat of /dev/sdb1")
	mount(5*time.Second, tallyman.KindMounted, "removable", stick, "mounted, vfat of /dev/sdb1") // still of late
	s.want(t, "mount-new")
	if f := s.told[0]; f.Why != stick+" (removable) is at /media/stick: mounted, vfat of /dev/sdb1" || f.Key != stick+" on lab" {
		t.Errorf("%+v", f)
	}
	mount(time.Minute, tallyman.KindMounted, "cloud", "dropbox:ann Dropbox", "in step from now on")
	mount(time.Hour, tallyman.KindMounted, "removable", stick, "there when the watch began, vfat of /dev/sdb1")
	s.want(t, "mount-new", "mount-new", "mount-new")
}
