package mounts

import (
	"slices"
	"strings"

	"tallyman/source/mounts/cloud"
	"tallyman/source/mounts/device"
	"tallyman/source/mounts/mountinfo"
)

// classify finds out on what a mount lies. where answers for the mounts before it.
func (w *Watcher) classify(m *mountinfo.Mount, where func(string) (Place, bool)) device.Device {
	if d, ok := device.Remote(m); ok {
		if d.Bus == "rclone" {
			w.behindRclone(&d, m.Source)
		}
		return d
	}
	if d, ok := w.block(m, where); ok {
		return d
	}
	for _, under := range lower(m) {
		if at, ok := where(under); ok && at.Path != m.Point {
			d := at.Facts
			d.Why = m.FS + " of " + under + ": " + d.Why
			return d
		}
	}
	return device.Device{Class: device.Local, Why: "file system " + m.FS}
}

// block asks for the device by its number, or by its name where the number is of no block device (Btrfs, ZFS: several devices, one file system).
func (w *Watcher) block(m *mountinfo.Mount, where func(string) (Place, bool)) (device.Device, bool) {
	finder := w.cfg.Finder
	finder.Where = func(path string) (device.Device, bool) {
		at, ok := where(path)
		return at.Facts, ok
	}
	if m.Major != 0 {
		return finder.Block(m.Major, m.Minor)
	}
	if major, minor, ok := finder.Number(m.Source); ok {
		return finder.Block(major, minor)
	}
	return device.Device{}, false
}

// lower returns the folders of this machine that a mount shows in another form: what is written goes to the first.
func lower(m *mountinfo.Mount) []string {
	var all []string
	switch {
	case m.FS == "overlay" || m.FS == "fuse.fuse-overlayfs" || m.FS == "aufs":
		all = append(all, m.Option("upperdir"))
		all = append(all, strings.Split(m.Option("lowerdir"), ":")...)
	case strings.HasPrefix(m.FS, "fuse"), m.FS == "ecryptfs": // bindfs, gocryptfs, mergerfs
		all = append(all, strings.Split(m.Source, ":")...)
	}
	return slices.DeleteFunc(all, func(s string) bool { return !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "/dev/") })
}

// behindRclone says to whom a remote of rclone goes, as far as the configuration of any user here tells.
func (w *Watcher) behindRclone(d *device.Device, source string) {
	for _, r := range w.survey.remotes {
		kind := cloud.Behind(r.all, source)
		switch kind {
		case "":
			continue
		case "local", "memory":
			d.Class = device.Local
		case "sftp", "smb", "ftp", "webdav", "http", "hdfs":
			d.Class = device.Network
		default:
			d.Provider = cloud.Providers(kind) + " (rclone)"
		}
		d.Why = "rclone.conf of " + r.user + " says " + kind
		return
	}
}

// The folders in which services mount for themselves what no person asked for: containers, snaps, credentials of units.
var plumbing = []string{
	"/var/lib/docker/", "/var/lib/containerd/", "/var/lib/containers/", "/var/lib/kubelet/", "/var/lib/lxc/", "/var/lib/lxd/", "/var/snap/lxd/", "/run/containerd/",
	"/run/docker/", "/run/containers/", "/run/credentials/", "/run/systemd/", "/run/snapd/", "/snap/", "/var/lib/snapd/", "/var/lib/flatpak/", "/run/netns/",
}

// quiet reports whether a mount is told nobody: it holds no files that people keep, or a service mounted it for itself on this machine.
func quiet(m *mountinfo.Mount, class device.Class) bool {
	if device.Kernel(m.FS) || m.FS == device.GVFS {
		return true
	}
	return class == device.Local && (slices.ContainsFunc(plumbing, func(dir string) bool { return strings.HasPrefix(m.Point, dir) }) ||
		strings.Contains(m.Point, "/.local/share/containers/"))
}
