package mounts

import (
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tallyman/source/mounts/device"
	"tallyman/source/mounts/mountinfo"
)

// Class says how far away something is kept: local, removable, network, cloud.
type Class = device.Class

// Place is a mount, or a folder in one that a cloud client keeps in step or that the configuration classes.
type Place struct {
	Path   string // the mount point or the folder; raw bytes
	Class  Class
	Volume string // names the same thing again: usb:SERIAL, nfs:HOST:/PATH; "" of what is local
	Device string // one line for people: volume, vendor, model, label
	Facts  device.Device

	Mount    int    // id of the mount that it lies in
	Dev      uint64 // st_dev of its files; of Btrfs subvolumes and overlays files have others
	FS       string
	Source   string
	ReadOnly bool
	Folder   bool      // it is a folder in a mount
	Quiet    bool      // the kernel or a service mounted it for itself: it is not told
	User     string    // whose cloud client, or who mounted by FUSE; "" = not known
	Since    time.Time // when it was first seen
	Gone     time.Time // when it went, of what is remembered for a while; zero: it is there
}

// rememberFor is how long a place that went is still known by its device: evidence of its files may come late, and a lazily unmounted one lives on.
const rememberFor = 10 * time.Minute

// Places answers on what a path, device or mount lies. It is safe for concurrent use, asks the disk nothing, and is as old as the last look at the table.
type Places struct {
	mu      sync.RWMutex
	mounts  []Place // in the order of the table: what covers another stands behind it
	folders []Place
	gone    []Place // newest last
}

// Of says on what the path lies: the longest mount point or folder above it, of equal ones the folder, then the one mounted last. The path is absolute and
// without symbolic links, as the kernel tells it; it need not exist.
func (p *Places) Of(path string) (Place, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.of(path)
}

func (p *Places) of(path string) (Place, bool) {
	var l longest
	for i := range p.mounts {
		l.try(path, &p.mounts[i])
	}
	for i := range p.folders {
		l.try(path, &p.folders[i])
	}
	return l.found(path)
}

// ofMounts leaves out the folders.
func (p *Places) ofMounts(path string) (Place, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var l longest
	for i := range p.mounts {
		l.try(path, &p.mounts[i])
	}
	return l.found(path)
}

// longest finds the place with the longest path, of equal ones the last that was tried.
type longest struct{ best *Place }

func (l *longest) try(path string, at *Place) {
	if (l.best == nil || len(at.Path) >= len(l.best.Path)) && below(path, at.Path) {
		l.best = at
	}
}

func (l *longest) found(path string) (Place, bool) {
	switch {
	case l.best == nil:
		return Place{}, false
	case l.best.FS == device.GVFS:
		return inGVFS(*l.best, path), true
	}
	return *l.best, true
}

// inGVFS looks one folder deeper: the session of a desktop has one mount for all its shares, phones and clouds.
func inGVFS(at Place, path string) Place {
	name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(path, at.Path), "/"), "/")
	d, ok := device.InGVFS(name)
	if !ok {
		return at
	}
	at.Path, at.Folder = at.Path+"/"+name, true
	at.set(d)
	return at
}

func (p *Place) set(d device.Device) {
	p.Facts, p.Class, p.Volume, p.Device = d, d.Class, d.Volume(), d.String()
}

// OfDevice says what the device of a file (st_dev) is: that of a mount of its whole file system before those of parts, else one that went in the last ten
// minutes. Folders of cloud clients are not told from the disk that they lie on: ask Of where the path is known.
func (p *Places) OfDevice(dev uint64) (best Place, found bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for i := range p.mounts {
		if at := &p.mounts[i]; at.Dev == dev && (!found || len(at.Path) < len(best.Path)) {
			best, found = *at, true
		}
	}
	if found {
		return best, true
	}
	for i := range slices.Backward(p.gone) {
		if p.gone[i].Dev == dev {
			return p.gone[i], true
		}
	}
	return best, false
}

// OfMount says what the mount of the id (mountinfo, statx) is.
func (p *Places) OfMount(id int) (Place, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for i := range p.mounts {
		if p.mounts[i].Mount == id {
			return p.mounts[i], true
		}
	}
	return Place{}, false
}

// All lists the mounts in the order of the table, then the folders.
func (p *Places) All() []Place {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return slices.Concat(p.mounts, p.folders)
}

// replace takes a new state.
func (p *Places) replace(mounts, folders, gone []Place, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mounts, p.folders = mounts, folders
	p.gone = slices.DeleteFunc(append(p.gone, gone...), func(g Place) bool { return now.Sub(g.Gone) > rememberFor })
}

// below reports whether path is the folder or lies in it.
func below(path, folder string) bool {
	if folder == "/" {
		return strings.HasPrefix(path, "/")
	}
	rest, ok := strings.CutPrefix(path, folder)
	return ok && (rest == "" || rest[0] == '/')
}

// placeOf is a mount before it is known on what it lies.
func placeOf(m *mountinfo.Mount) Place {
	return Place{
		Path: m.Point, Mount: m.ID, Dev: unix.Mkdev(m.Major, m.Minor), FS: m.FS, Source: device.Shown(m.Source), ReadOnly: m.ReadOnly(),
	}
}
