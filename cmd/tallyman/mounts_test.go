//go:build root

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/web"
)

// This test mounts and is compiled by "go test -tags root". The program runs in a mount namespace of its own, in which a tree of files stands for /sys: there a
// loop device is a stick.

// fixture writes a sysfs in which the block device of the number is a stick.
func fixture(t *testing.T, number, dev string) string {
	t.Helper()
	sys := t.TempDir()
	port := sys + "/devices/pci0000:00/usb1/1-1"
	disk := port + "/1-1:1.0/host6/target6:0:0/6:0:0:0/block/sdz"
	for path, text := range map[string]string{
		port + "/idVendor": "0781", port + "/manufacturer": "SanDisk", port + "/product": "Ultra", port + "/serial": "4C530001230412", disk + "/removable": "1",
		disk + "/uevent": "DEVNAME=" + filepath.Base(dev),
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	err := os.MkdirAll(sys+"/dev/block", 0o755)
	if err == nil {
		err = os.Symlink("../../devices/pci0000:00/usb1/1-1/1-1:1.0/host6/target6:0:0/6:0:0:0/block/sdz", sys+"/dev/block/"+number)
	}
	if err != nil {
		t.Fatal(err)
	}
	return sys
}

// must runs a command and returns what it said.
func must(t *testing.T, command ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v: %s", command, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestStickIsAnEventWithinASecondOnAPIAndCommandLine(t *testing.T) {
	dir := t.TempDir()
	image, state, at, ready := dir+"/image", dir+"/state", dir+"/my stick", dir+"/ready"
	must(t, "truncate", "-s", "4M", image)
	must(t, "mkfs.ext4", "-q", "-F", "-L", "MYSTICK", image)
	must(t, "mkdir", at)
	dev := must(t, "losetup", "--show", "-f", image)
	t.Cleanup(func() { _ = exec.Command("losetup", "-d", dev).Run() })
	var st unix.Stat_t
	if err := unix.Stat(dev, &st); err != nil {
		t.Fatal(err)
	}
	sys := fixture(t, fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev)), dev)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := dir + "/tallyman"
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", `mount --bind "$1" /sys && shift && exec "$@"`, "sh", sys,
		program, "watch", "--state", state, "--web", "", "--ready-file", ready)
	cmd.Env = append(os.Environ(), "HOME="+dir)
	out := &output{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-tick.C {
		if _, err := os.Stat(ready); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is not ready: %s", out.String())
		}
	}
	inside := func(command ...string) string {
		t.Helper()
		return must(t, append([]string{"nsenter", "--mount", "--target", strconv.Itoa(cmd.Process.Pid)}, command...)...)
	}
	ask := func(args ...string) string {
		t.Helper()
		return must(t, append([]string{program}, append(args, "--state", state)...)...)
	}

	live := exec.Command(program, "events", "-f", "--json", "--state", state, "kind:mount,unmount to_class:removable")
	pipe, err := live.StdoutPipe()
	if err == nil {
		err = live.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = live.Process.Kill(); _ = live.Wait() })
	lines := make(chan string, 100)
	go func() {
		in := bufio.NewScanner(pipe)
		for in.Scan() {
			lines <- in.Text()
		}
		close(lines)
	}()
	a := askSocket(socketPath(state))
	defer a.close()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C { // the viewer must be there before the stick
		var s web.System
		if err := a.Get(t.Context(), "system", nil, &s); err != nil {
			t.Fatal(err)
		}
		if s.Streams > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody follows the events")
		}
	}
	var took []time.Duration
	next := func(kind string, began time.Time) {
		t.Helper()
		late := time.NewTimer(20 * time.Second)
		defer late.Stop()
		select {
		case line := <-lines:
			took = append(took, time.Since(began))
			r, err := tallyman.UnmarshalRecord([]byte(line))
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			e := r.(*tallyman.Event)
			if e.Kind != kind || e.Path != at || e.ToClass != "removable" || e.Device != `usb:4C530001230412 SanDisk Ultra "MYSTICK"` || e.Witness != "mounts" {
				t.Errorf("told was %s", line)
			}
		case <-late.C:
			t.Fatalf("no %s was told; the program says %s", kind, out.String())
		}
	}
	inside("mount", dev, at)
	next("mount", time.Now())
	var now struct{ Mounts []web.Mount }
	if err := a.Get(t.Context(), "mounts", nil, &now); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, m := range now.Mounts {
		found = found || m.Path == at && m.Serial == "4C530001230412" && m.Label == "MYSTICK" && m.Vendor == "SanDisk" && m.ToClass == "removable"
	}
	if !found {
		t.Errorf("the API says %+v", now.Mounts)
	}
	if got := ask("doctor"); !strings.Contains(got, `my stick: removable usb:4C530001230412 SanDisk Ultra "MYSTICK", ext4 (on the USB bus)`) {
		t.Errorf("doctor says %s", got)
	}
	inside("umount", at)
	next("unmount", time.Now())
	for range 4 {
		inside("mount", dev, at)
		next("mount", time.Now())
		inside("umount", at)
		next("unmount", time.Now())
	}
	slices.Sort(took)
	t.Logf("told to a follower %v after it in the median, %v at the most", took[len(took)/2], took[len(took)-1])
	if took[len(took)/2] > time.Second {
		t.Errorf("of %v the median is above a second", took)
	}
	inside("mount", "-t", "tmpfs", "other", at) // of this machine: not asked for
	var said []json.RawMessage
	for line := range strings.Lines(ask("events", "--json", "to_class:removable")) {
		said = append(said, json.RawMessage(line))
	}
	if len(said) != 10 {
		t.Errorf("events say %s", said)
	}
}
