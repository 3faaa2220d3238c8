//go:build real

package real

import (
	"os"
	"path/filepath"
	"testing"

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

// again is the disk after the next start of the machine: ext4 replays its journal.
func (d *disk) again() {
	d.t.Helper()
	if err := unix.Unmount(d.at, 0); err != nil {
		d.t.Fatalf("unmount: %v", err)
	}
	d.mount()
}

func (d *disk) remount(option string) {
	d.t.Helper()
	command(d.t, "mount", "-o", "remount,"+option, d.at)
}
