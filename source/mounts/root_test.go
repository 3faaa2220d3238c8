//go:build root

package mounts

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/source/mounts/device"
)

// These tests mount: they are compiled by "go test -tags root" and need root. Each mounts in a namespace of its own, which the kernel clears away.

// island is a thread with a mount namespace of its own.
type island struct {
	t    *testing.T
	do   chan func()
	done chan struct{}
	tid  int
	dir  string // a tmpfs that is seen there alone
}

func newIsland(t *testing.T) *island {
	t.Helper()
	i := &island{t: t, do: make(chan func()), done: make(chan struct{}), dir: t.TempDir()}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine, and the namespace with it
		err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS)
		if err == nil {
			err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
		if err == nil {
			err = unix.Mount("island", i.dir, "tmpfs", 0, "mode=755")
		}
		i.tid = unix.Gettid()
		ready <- err
		for f := range i.do {
			f()
			i.done <- struct{}{}
		}
		close(i.done)
	}()
	if err := <-ready; err != nil {
		t.Fatalf("make a mount namespace: %v", err)
	}
	t.Cleanup(func() { close(i.do); <-i.done })
	return i
}

// run does it on the island.
func (i *island) run(f func()) {
	i.t.Helper()
	i.do <- f
	<-i.done
}

// must runs a command on the island.
func (i *island) must(command ...string) {
	i.t.Helper()
	i.run(func() {
		i.t.Helper()
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			i.t.Errorf("%v: %v: %s", command, err, out)
		}
	})
}

// folder makes a folder on the island and returns its path.
func (i *island) folder(name string) string {
	path := filepath.Join(i.dir, name)
	i.run(func() {
		if err := os.MkdirAll(path, 0o755); err != nil {
			i.t.Error(err)
		}
	})
	return path
}

func (i *island) config() Config {
	c := Defaults("h")
	c.Mountinfo = fmt.Sprintf("/proc/self/task/%d/mountinfo", i.tid)
	c.Passwd = ""
	return c
}

// image makes an ext4 in a file, on a loop device that goes with its last mount, and returns the device.
func (i *island) image(label string) string {
	i.t.Helper()
	file := filepath.Join(i.t.TempDir(), "image")
	dev := ""
	i.run(func() {
		for _, command := range []string{"truncate -s 4M " + file, "mkfs.ext4 -q -F -L " + label + " " + file, "losetup --show -f " + file} {
			out, err := exec.Command("sh", "-c", command).CombinedOutput()
			if err != nil {
				i.t.Errorf("%s: %v: %s", command, err, out)
			}
			dev = strings.TrimSpace(string(out))
		}
	})
	i.t.Cleanup(func() {
		if out, err := exec.Command("losetup", "-d", dev).CombinedOutput(); err != nil {
			i.t.Errorf("losetup -d %s: %v: %s", dev, err, out)
		}
	})
	return dev
}

// number returns the number of a device node.
func number(t *testing.T, dev string) string {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(dev, &st); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
}

// stickIn makes the fixture say that a loop device is a stick.
func stickIn(t *testing.T, c *Config, dev string) {
	t.Helper()
	dir := t.TempDir()
	c.Finder.Sys, c.Finder.Udev = filepath.Join(dir, "sys"), filepath.Join(dir, "udev")
	plug(t, c.Finder, number(t, dev), "4C53")
	put(t, filepath.Join(c.Finder.Sys, "devices/pci0000:00/usb1/1-1/1-1:1.0/host6/target6:0:0/6:0:0:0/block/sdz/uevent"), "DEVNAME="+filepath.Base(dev)+"\n")
}

func TestRealStickIsToldWithinASecond(t *testing.T) {
	i := newIsland(t)
	dev, at := i.image("MYSTICK"), i.folder("stick")
	cfg := i.config()
	stickIn(t, &cfg, dev)
	w, r, _ := watch(t, cfg)
	i.must("mount", dev, at)
	began := time.Now()
	e := r.await(t, 0, tallyman.KindMounted, at)
	if d := time.Since(began); d > time.Second {
		t.Errorf("told %v after the mount", d)
	}
	if e.Volume != "usb:4C53" || !strings.Contains(e.Details, `"label":"MYSTICK"`) || !strings.Contains(e.Details, `"to_class":"removable"`) || e.Err != "mounted, ext4 of "+dev {
		t.Errorf("told was %s", listing([]tallyman.Evidence{e}))
	}
	var st unix.Stat_t
	i.run(func() { _ = unix.Stat(at, &st) })
	if p, ok := w.Places().OfDevice(st.Dev); !ok || p.Path != at || p.Class != device.Removable {
		t.Errorf("st_dev %d is %+v, %v", st.Dev, p, ok)
	}
	bound := i.folder("bound")
	i.must("mkdir", at+"/sub")
	i.must("mount", "--bind", at+"/sub", bound)
	if e := r.await(t, 1, tallyman.KindMounted, bound); e.Volume != "usb:4C53" {
		t.Errorf("a bind mount of the stick is %s", listing([]tallyman.Evidence{e}))
	}
	i.must("mount", "-o", "remount,ro,bind", bound)
	if e := r.await(t, 2, tallyman.KindMounted, bound); !strings.HasPrefix(e.Err, "remounted, ext4") || !strings.HasSuffix(e.Err, ", read-only") {
		t.Errorf("remounted: %q", e.Err)
	}
	moved := i.folder("moved")
	i.must("mount", "--move", bound, moved)
	r.await(t, 3, tallyman.KindUnmounted, bound)
	if e := r.await(t, 3, tallyman.KindMounted, moved); e.From != bound || !strings.HasPrefix(e.Err, "moved from "+bound) {
		t.Errorf("moved: %q", e.Err)
	}
	i.must("umount", moved)
	r.await(t, 5, tallyman.KindUnmounted, moved)
	i.must("mount", "-t", "tmpfs", "inner", at+"/sub")
	r.await(t, 6, tallyman.KindMounted, at+"/sub")
	i.must("umount", "--lazy", at)
	began = time.Now()
	r.await(t, 7, tallyman.KindUnmounted, at+"/sub")
	r.await(t, 7, tallyman.KindUnmounted, at)
	if d := time.Since(began); d > time.Second {
		t.Errorf("told %v after the umount", d)
	}
	if n := len(r.all()); n != 9 {
		t.Errorf("%d were told:\n%s", n, listing(r.all()))
	}
}

func TestOverlayAndBindfsHaveTheClassOfWhatLiesBelow(t *testing.T) {
	i := newIsland(t)
	dev, stick := i.image("LOWER"), i.folder("stick")
	cfg := i.config()
	stickIn(t, &cfg, dev)
	_, r, _ := watch(t, cfg)
	i.must("mount", dev, stick)
	i.must("mkdir", stick+"/up", stick+"/work", stick+"/low")
	low, merged, view := i.folder("low"), i.folder("merged"), i.folder("view")
	i.must("mount", "-t", "overlay", "overlay", "-o", "lowerdir="+low+",upperdir="+stick+"/up,workdir="+stick+"/work", merged)
	if e := r.await(t, 0, tallyman.KindMounted, merged); e.Volume != "usb:4C53" {
		t.Errorf("an overlay that writes to the stick is %s", listing([]tallyman.Evidence{e}))
	}
	i.must("bindfs", stick+"/low", view)
	if e := r.await(t, 0, tallyman.KindMounted, view); e.Volume != "usb:4C53" || e.User != "root" {
		t.Errorf("a bindfs of the stick is %s", listing([]tallyman.Evidence{e}))
	}
	i.must("umount", view)
	r.await(t, 0, tallyman.KindUnmounted, view)
	i.must("umount", merged)
	i.must("umount", stick)
	r.await(t, 0, tallyman.KindUnmounted, stick)
}

func TestOddNameOfMountPointIsToldAsItIs(t *testing.T) {
	i := newIsland(t)
	_, r, _ := watch(t, i.config())
	for _, name := range []string{"my stick", "tab\tnew\nline", `back\040slash\`, "#hash", "b\xff\xfe", " ", "ünï"} {
		at := i.folder(name)
		i.must("mount", "-t", "tmpfs", "odd", at)
		r.await(t, 0, tallyman.KindMounted, at)
		i.must("umount", at)
		r.await(t, 0, tallyman.KindUnmounted, at)
	}
}

// A burst is faster than the watch: it sees some of what came and went, and never something that was not.
func TestBurstIsToldInOrderAndEndsRight(t *testing.T) {
	for _, poll := range []bool{false, true} {
		i := newIsland(t)
		cfg := i.config()
		cfg.Poll = poll
		if poll {
			cfg.Every = 20 * time.Millisecond
		}
		w, r, _ := watch(t, cfg)
		const folders, rounds = 40, 25
		var at []string
		for k := range folders {
			at = append(at, i.folder(fmt.Sprintf("m%02d", k)))
		}
		i.run(func() {
			for range rounds {
				for _, p := range at {
					if err := unix.Mount("burst", p, "tmpfs", 0, "size=4k"); err != nil {
						t.Error(err)
					}
				}
				for _, p := range at {
					if err := unix.Unmount(p, 0); err != nil {
						t.Error(err)
					}
				}
			}
			for _, p := range at[:folders/2] {
				if err := unix.Mount("stays", p, "tmpfs", 0, "size=4k"); err != nil {
					t.Error(err)
				}
			}
		})
		last := i.folder("last")
		i.must("mount", "-t", "tmpfs", "last", last)
		r.await(t, 0, tallyman.KindMounted, last)
		up := map[string]bool{}
		for _, e := range r.all() {
			mounted := e.Kind == tallyman.KindMounted
			if mounted == up[e.Path] {
				t.Fatalf("poll %v: %s of %s was told twice running", poll, e.Kind, e.Path)
			}
			up[e.Path] = mounted
		}
		for k, p := range at {
			if up[p] != (k < folders/2) {
				t.Errorf("poll %v: in the end %s is told to be mounted: %v", poll, p, up[p])
			}
			if place, _ := w.Places().Of(p); (place.Source == "stays") != (k < folders/2) {
				t.Errorf("poll %v: %s lies on %+v", poll, p, place)
			}
		}
		t.Logf("poll %v: of %d mounts and unmounts %d were told, in %d looks", poll, 2*folders*rounds+folders/2+1, len(r.all()), w.Counts().Looks)
	}
}

func TestMountOfAnotherNamespaceIsNotSeen(t *testing.T) {
	i := newIsland(t)
	_, r, _ := watch(t, i.config())
	apart, shared, last := i.folder("apart"), i.folder("shared"), i.folder("last")
	i.must("unshare", "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "apart", apart)
	i.must("mount", "-t", "tmpfs", "base", shared)
	r.await(t, 0, tallyman.KindMounted, shared)
	i.must("mount", "--make-shared", shared)
	i.must("mkdir", shared+"/in")
	i.must("unshare", "--mount", "--propagation", "unchanged", "mount", "-t", "tmpfs", "propagated", shared+"/in")
	r.await(t, 0, tallyman.KindMounted, shared+"/in")
	i.must("mount", "-t", "tmpfs", "last", last)
	r.await(t, 0, tallyman.KindMounted, last)
	for _, e := range r.all() {
		if e.Path == apart {
			t.Errorf("a mount of another namespace was told:\n%s", listing(r.all()))
		}
	}
}

// The watch holds nothing of what is mounted: an umount right behind the mount is never busy.
func TestUmountRightBehindTheMountIsNeverBusy(t *testing.T) {
	i := newIsland(t)
	dev, at := i.image("BUSY"), i.folder("busy")
	_, r, _ := watch(t, i.config())
	i.run(func() {
		for range 100 {
			if err := unix.Mount(dev, at, "ext4", 0, ""); err != nil {
				t.Fatal(err)
			}
			if err := unix.Unmount(at, 0); err != nil {
				t.Fatalf("umount: %v", err)
			}
		}
	})
	last := i.folder("last")
	i.must("mount", "-t", "tmpfs", "last", last)
	r.await(t, 0, tallyman.KindMounted, last)
}
