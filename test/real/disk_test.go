//go:build real

package real

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Requests to a file system (linux/fs.h). Shut down without a flush of its journal, ext4 has lost what a power cut loses.
const (
	fsShutdown     = 0x8004587d
	withoutJournal = 2
	fsFreeze       = 0xc0045877
	fsThaw         = 0xc0045878
)

// disk is an ext4 of its own on a loop device.
type disk struct {
	t         testing.TB
	image, at string
}

func newDisk(t testing.TB, size string) *disk {
	t.Helper()
	base := t.TempDir()
	d := &disk{t: t, image: filepath.Join(base, "image"), at: mkdir(t, base, "mnt")}
	command(t, "truncate", "-s", size, d.image)
	command(t, "mkfs.ext4", "-q", "-F", "-m", "0", d.image)
	d.mount()
	t.Cleanup(func() { _ = unix.Unmount(d.at, unix.MNT_DETACH) })
	return d
}

func (d *disk) mount() {
	d.t.Helper()
	command(d.t, "mount", "-o", "loop", d.image, d.at)
}

// tell asks something of the file system.
func (d *disk) tell(request uint, arg int) error {
	f, err := os.Open(d.at)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.IoctlSetPointerInt(int(f.Fd()), request, arg)
}

// cut is a power cut.
func (d *disk) cut() {
	d.t.Helper()
	if err := d.tell(fsShutdown, withoutJournal); err != nil {
		d.t.Fatalf("cut the power: %v", err)
	}
}

// again is the disk after the next start of the machine: ext4 replays its journal. As long as somebody else holds the old mount, as a mount namespace does that
// was made meanwhile, it would be mounted as it died.
func (d *disk) again() {
	d.t.Helper()
	d.unmount()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(soon); command(d.t, "losetup", "-j", d.image) != ""; {
		select {
		case <-tick.C:
		case <-late:
			d.t.Fatal("the disk is held by somebody else")
		}
	}
	d.mount()
}

// unmount waits until nobody looks at the disk: whoever goes through the processes of the machine, as a watcher of servers does, holds it for a moment.
func (d *disk) unmount() {
	d.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(soon)
	for {
		err := unix.Unmount(d.at, 0)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			d.t.Fatalf("unmount: %v", err)
		}
	}
}

func (d *disk) remount(option string) {
	d.t.Helper()
	command(d.t, "mount", "-o", "remount,"+option, d.at)
}

// fill takes all free space, and returns what gives it back.
func (d *disk) fill() (free func()) {
	d.t.Helper()
	ballast := []string{filepath.Join(d.at, "ballast1"), filepath.Join(d.at, "ballast2")}
	for i, block := range []string{"bs=1M", "bs=512"} {
		if out, err := attempt("dd", "if=/dev/zero", "of="+ballast[i], block, "oflag=append", "conv=notrunc"); err == nil {
			d.t.Fatalf("the disk is not full: %s", out)
		}
	}
	return func() {
		d.t.Helper()
		for _, path := range ballast {
			if err := os.Remove(path); err != nil {
				d.t.Error(err)
			}
		}
	}
}
