//go:build root

package mounts

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tallyman"
)

// start starts a program in the background and ends it with the test.
func (i *island) start(command ...string) {
	i.t.Helper()
	i.run(func() {
		cmd := exec.Command(command[0], command[1:]...)
		if err := cmd.Start(); err != nil {
			i.t.Error(err)
			return
		}
		i.t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	})
}

// sshfs speaks with the SFTP server of rclone through a pipe instead of ssh: what the kernel says of the mount is the same.
func TestRealSSHFSIsAShare(t *testing.T) {
	i := newIsland(t)
	at, served := i.folder("sshfs"), i.folder("served")
	ssh := filepath.Join(t.TempDir(), "ssh")
	if err := os.WriteFile(ssh, []byte("#!/bin/sh\nexec rclone serve sftp --stdio "+served+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, r, _ := watch(t, i.config())
	i.must("sshfs", "-o", "ssh_command="+ssh, "ann@nas.example:/", at)
	e := r.await(t, 0, tallyman.KindMounted, at)
	if e.Volume != "sshfs:ann@nas.example:/" || !strings.Contains(e.Details, `"to_class":"network"`) || e.User != "root" {
		t.Errorf("told was %s", listing([]tallyman.Evidence{e}))
	}
	i.must("umount", at)
	r.await(t, 0, tallyman.KindUnmounted, at)
}

func TestRealRcloneIsWhatItsRemoteIs(t *testing.T) {
	i := newIsland(t)
	home, served := t.TempDir(), i.folder("served")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	_ = free.Close()
	conf := home + "/.config/rclone/rclone.conf"
	put(t, conf, "[dav]\ntype = webdav\nurl = http://"+addr+"\nvendor = other\n\n[wrapped]\ntype = alias\nremote = dav:\n\n[here]\ntype = alias\nremote = "+served+"\n")
	i.start("rclone", "serve", "webdav", served, "--addr", addr, "--config", conf)
	cfg := i.config()
	cfg.Homes = []string{home}
	_, r, _ := watch(t, cfg)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		if c, err := net.Dial("tcp", addr); err == nil {
			_ = c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("rclone does not serve")
		}
	}
	for remote, class := range map[string]string{"dav:": "network", "wrapped:": "network", "here:": "local"} {
		at := i.folder("at-" + strings.TrimSuffix(remote, ":"))
		i.start("rclone", "mount", remote, at, "--config", conf, "--allow-non-empty")
		e := r.await(t, 0, tallyman.KindMounted, at)
		if !strings.Contains(e.Details, `"to_class":"`+class+`"`) || !strings.Contains(e.Details, `"fs":"fuse.rclone"`) {
			t.Errorf("%s: told was %s", remote, listing([]tallyman.Evidence{e}))
		}
		i.must("umount", "--lazy", at)
		r.await(t, 0, tallyman.KindUnmounted, at)
	}
}
