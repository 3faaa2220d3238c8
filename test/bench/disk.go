package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// disk is an ext4 of its own on a loop device, so that it can hang without the rest of the machine. It needs root.
type disk struct {
	at     string // where it is mounted
	folder *os.File
	frozen bool
}

// newDisk makes and mounts a disk of 512 MiB below dir.
func newDisk(dir string) (*disk, error) {
	at, err := os.MkdirTemp(dir, "disk")
	if err != nil {
		return nil, err
	}
	image := at + ".ext4"
	for _, command := range [][]string{
		{"truncate", "-s", "512M", image}, {"mkfs.ext4", "-q", "-F", image}, {"mount", "-o", "loop", image, at},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w: %s", command[0], err, out)
		}
	}
	folder, err := os.Open(at)
	if err != nil {
		return nil, errors.Join(err, unix.Unmount(at, unix.MNT_DETACH))
	}
	return &disk{at: at, folder: folder}, nil
}

// Requests of ioctl_fsfreeze: _IOWR('X', 119, int) and _IOWR('X', 120, int) of linux/fs.h.
const (
	fiFreeze = 0xc0045877
	fiThaw   = 0xc0045878
)

// freeze makes every write to the disk hang until thaw.
func (d *disk) freeze() error {
	if err := unix.IoctlSetInt(int(d.folder.Fd()), fiFreeze, 0); err != nil {
		return fmt.Errorf("freeze %s: %w", d.at, err)
	}
	d.frozen = true
	return nil
}

func (d *disk) thaw() error {
	if !d.frozen {
		return nil
	}
	d.frozen = false
	if err := unix.IoctlSetInt(int(d.folder.Fd()), fiThaw, 0); err != nil {
		return fmt.Errorf("thaw %s: %w", d.at, err)
	}
	return nil
}

func (d *disk) close() error {
	return errors.Join(d.thaw(), d.folder.Close(), unix.Unmount(d.at, unix.MNT_DETACH), os.Remove(d.at), os.Remove(d.at+".ext4"))
}

// ledgerOn puts the ledger of a state folder onto the disk.
func (d *disk) ledgerOn(state string) error {
	return os.Symlink(filepath.Join(d.at, filepath.Base(state)+".db"), filepath.Join(state, "ledger.db"))
}
