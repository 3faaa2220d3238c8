package mounts

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"tallyman"
	"tallyman/source/mounts/device"
)

func TestMountIsToldWithDeviceAndLabel(t *testing.T) {
	cfg, write := still(t, root)
	plug(t, cfg.Finder, "8:17", "4C53")
	put(t, filepath.Join(cfg.Finder.Udev, "b8:17"), "E:ID_FS_LABEL=STICK\nE:ID_FS_TYPE=vfat\n")
	w, r, _ := watch(t, cfg)
	write(root + stick)
	e := r.await(t, 0, tallyman.KindMounted, "/media/stick")
	if e.Volume != "usb:4C53" || e.Err != "mounted, vfat of /dev/sdb1" || e.Witness != "mounts" || e.Host != "h" || e.Size != -1 {
		t.Errorf("told was %+v", e)
	}
	for _, want := range []string{`"to_class":"removable"`, `"label":"STICK"`, `"vendor":"SanDisk"`, `"serial":"4C53"`, `"device":"usb:4C53 SanDisk Ultra \"STICK\""`} {
		if !strings.Contains(e.Details, want) {
			t.Errorf("%s lacks %s", e.Details, want)
		}
	}
	if at, ok := w.Places().Of("/media/stick/a/b"); !ok || at.Class != device.Removable || at.Facts.Label != "STICK" {
		t.Errorf("a file on it lies on %+v", at)
	}
	write(root)
	e = r.await(t, 0, tallyman.KindUnmounted, "/media/stick")
	if e.Volume != "usb:4C53" || e.Err != "unmounted, vfat of /dev/sdb1" {
		t.Errorf("told was %+v", e)
	}
	if at, ok := w.Places().OfDevice(8<<8 | 17); !ok || at.Volume != "usb:4C53" || at.Gone.IsZero() {
		t.Errorf("a file of the stick that went lies on %+v, %v", at, ok)
	}
}

func TestStickThatIsPulledOutIsToldOnce(t *testing.T) {
	cfg, write := still(t, root+stick)
	plug(t, cfg.Finder, "8:17", "4C53")
	_, r, _ := watch(t, cfg)
	if e := r.await(t, 0, tallyman.KindMounted, "/media/stick"); !strings.HasPrefix(e.Err, wasThere) {
		t.Errorf("told was %q", e.Err)
	}
	if err := os.Remove(filepath.Join(cfg.Finder.Sys, "dev/block/8:17")); err != nil {
		t.Fatal(err)
	}
	if e := r.await(t, 0, tallyman.KindUnmounted, "/media/stick"); !strings.HasPrefix(e.Err, wasPulled) {
		t.Errorf("told was %q", e.Err)
	}
	write(root)
	write(root + inner)
	r.await(t, 0, tallyman.KindMounted, "/media/stick/in")
	if n := len(r.all()); n != 3 {
		t.Errorf("%d were told:\n%s", n, listing(r.all()))
	}
}

func TestSiteKnowsBetter(t *testing.T) {
	folder := t.TempDir()
	cfg, write := still(t, root)
	cfg.Classes = map[string]device.Class{"/mnt/backup": device.Network, folder: device.Cloud}
	w, r, _ := watch(t, cfg)
	write(root + "60 27 8:33 / /mnt/backup rw - ext4 /dev/sdc1 rw\n61 27 0:44 / /mnt/other rw - tmpfs tmpfs rw\n")
	e := r.await(t, 0, tallyman.KindMounted, "/mnt/backup")
	if !strings.Contains(e.Details, `"to_class":"network"`) || e.Volume != "network:/dev/sdc1" {
		t.Errorf("told was %+v", e)
	}
	for path, want := range map[string]device.Class{"/mnt/backup/x": device.Network, "/mnt/other/x": device.Local, folder + "/x": device.Cloud, "/mnt/backups": device.Local} {
		if at, _ := w.Places().Of(path); at.Class != want {
			t.Errorf("%s lies on %+v, want %s", path, at, want)
		}
	}
}

func TestClassThatIsSwitchedOffIsNotTold(t *testing.T) {
	cfg, write := still(t, root)
	cfg.Told = []device.Class{device.Network}
	w, r, _ := watch(t, cfg)
	write(root + inner + "60 27 0:50 / /mnt/nas rw - nfs4 nas:/x rw\n")
	r.await(t, 0, tallyman.KindMounted, "/mnt/nas")
	if n := len(r.all()); n != 1 {
		t.Errorf("told was:\n%s", listing(r.all()))
	}
	if at, ok := w.Places().Of("/media/stick/in/x"); !ok || at.FS != "tmpfs" {
		t.Errorf("what is not told is not known either: %+v", at)
	}
}

func TestWhatServicesMountForThemselvesIsNotTold(t *testing.T) {
	cfg, write := still(t, root)
	_, r, _ := watch(t, cfg)
	write(root + "60 27 0:50 / /proc/sys/fs/binfmt_misc rw - autofs systemd-1 rw\n61 27 0:51 / /var/lib/docker/overlay2/ab/merged rw - overlay overlay rw\n" +
		"62 27 7:9 / /snap/core/1 ro - squashfs /dev/loop9 ro\n63 27 0:52 / /run/user/1000/gvfs rw - fuse.gvfsd-fuse gvfsd-fuse rw\n64 27 0:4 net:[1] /run/netns/x rw - nsfs nsfs rw\n" +
		"65 27 0:53 / /var/lib/docker/volumes/nas rw - nfs4 nas:/v rw\n")
	r.await(t, 0, tallyman.KindMounted, "/var/lib/docker/volumes/nas")
	if n := len(r.all()); n != 1 {
		t.Errorf("told was:\n%s", listing(r.all()))
	}
}

func TestRestartTellsOnlyWhatChanged(t *testing.T) {
	nas := "60 27 0:50 / /mnt/nas rw - nfs4 nas:/x rw\n"
	cfg, write := still(t, root+nas+inner)
	again := func() (kinds []string) {
		t.Helper()
		_, r, stop := watch(t, cfg)
		write(root + nas + "99 27 0:99 / /tick rw - tmpfs tick rw\n") // comes last, so that all before it is told
		r.await(t, 0, tallyman.KindMounted, "/tick")
		stop()
		for _, e := range r.all() {
			kinds = append(kinds, e.Kind.String()+" "+e.Path+" "+strings.SplitN(e.Err, ",", 2)[0])
		}
		return kinds
	}
	if got := again(); !slices.Equal(got, []string{"mount /mnt/nas there when the watch began", "unmount /media/stick/in unmounted", "mount /tick mounted"}) {
		t.Errorf("first: %q", got)
	}
	write(root + inner) // nas and tick go, inner comes, and nobody looks
	if got := again(); !slices.Equal(got, []string{
		"unmount /mnt/nas gone when the watch began again", "unmount /tick gone when the watch began again", "mount /media/stick/in there when the watch began",
		"unmount /media/stick/in unmounted", "mount /mnt/nas mounted", "mount /tick mounted",
	}) {
		t.Errorf("second: %q", got)
	}
	write(root + nas)
	put(t, cfg.Boot, "boot-2\n") // the machine began anew: its own disks are nobody's business, the share is mounted again
	if got := again(); !slices.Equal(got, []string{"mount /mnt/nas there when the watch began", "mount /tick mounted"}) {
		t.Errorf("third: %q", got)
	}
}

func TestCloudFolderIsFollowedThroughItsConfiguration(t *testing.T) {
	cfg, _ := still(t, root)
	home := t.TempDir()
	cfg.Homes = []string{home}
	for _, dir := range []string{"Dropbox", "Elsewhere", "Notes"} {
		if err := os.Mkdir(filepath.Join(home, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	info := filepath.Join(home, ".dropbox/info.json")
	put(t, info, `{"personal": {"path": "`+home+`/Dropbox"}}`)
	w, r, _ := watch(t, cfg)
	e := r.await(t, 0, tallyman.KindMounted, home+"/Dropbox")
	if !strings.Contains(e.Details, `"to_class":"cloud"`) || !strings.Contains(e.Details, `"provider":"Dropbox"`) || e.Volume != "dropbox:personal" {
		t.Errorf("told was %+v", e)
	}
	if at, _ := w.Places().Of(home + "/Dropbox/a/b"); at.Class != device.Cloud || !at.Folder {
		t.Errorf("a file in it lies on %+v", at)
	}
	put(t, info, `{"personal": {"path": "`+home+`/Else`) // being written
	put(t, filepath.Join(home, ".config/syncthing/config.xml"), `<configuration><folder id="n" path="~/Notes"/><folder id="m" path="~/Missing"/></configuration>`)
	r.await(t, 1, tallyman.KindMounted, home+"/Notes")
	if at, _ := w.Places().Of(home + "/Dropbox/a/b"); at.Class != device.Cloud {
		t.Errorf("while the file is written, a file in it lies on %+v", at)
	}
	put(t, info, `{"personal": {"path": "`+home+`/Elsewhere"}}`)
	r.await(t, 2, tallyman.KindUnmounted, home+"/Dropbox")
	r.await(t, 2, tallyman.KindMounted, home+"/Elsewhere")
	if err := os.Remove(info); err != nil {
		t.Fatal(err)
	}
	r.await(t, 4, tallyman.KindUnmounted, home+"/Elsewhere")
	if n := len(r.all()); n != 5 {
		t.Errorf("%d were told:\n%s", n, listing(r.all()))
	}
}

func TestFolderThatItsUserCannotFillIsNoCloudFolder(t *testing.T) {
	cfg, _ := still(t, root)
	home := t.TempDir()
	cfg.Homes = []string{home}
	if err := os.Mkdir(filepath.Join(home, "Dropbox"), 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(home, ".dropbox/info.json"), `{"personal": {"path": "`+home+`/Dropbox"}, "business": {"path": "/etc"}}`)
	if os.Getuid() == 0 { // else /etc is somebody else's already
		if err := os.Chown(home, 12345, 12345); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(filepath.Join(home, "Dropbox"), 12345, 12345); err != nil {
			t.Fatal(err)
		}
	}
	w, r, _ := watch(t, cfg)
	r.await(t, 0, tallyman.KindMounted, home+"/Dropbox")
	if at, _ := w.Places().Of("/etc/passwd"); at.Class != device.Local {
		t.Errorf("/etc lies on %+v", at)
	}
}

func TestRemoteOfRcloneIsClassedByItsConfiguration(t *testing.T) {
	cfg, write := still(t, root)
	home := t.TempDir()
	cfg.Homes = []string{home}
	put(t, filepath.Join(home, ".config/rclone/rclone.conf"), "[gd]\ntype = drive\n[nas]\ntype = sftp\n")
	_, r, _ := watch(t, cfg)
	write(root + "60 27 0:50 / /mnt/gd rw - fuse.rclone gd:x rw,user_id=0\n61 27 0:51 / /mnt/nas rw - fuse.rclone nas:/y rw\n62 27 0:52 / /mnt/who rw - fuse.rclone who: rw\n")
	for path, want := range map[string]string{"/mnt/gd": `"provider":"Google Drive (rclone)"`, "/mnt/nas": `"to_class":"network"`, "/mnt/who": `"to_class":"cloud"`} {
		if e := r.await(t, 0, tallyman.KindMounted, path); !strings.Contains(e.Details, want) {
			t.Errorf("%s: %s lacks %s", path, e.Details, want)
		}
	}
	if e := r.await(t, 0, tallyman.KindMounted, "/mnt/gd"); e.User != "root" {
		t.Errorf("%q mounted it", e.User)
	}
}

func TestFolderOfGVFSAnswersForItself(t *testing.T) {
	cfg, _ := still(t, root+"63 27 0:52 / /run/user/1000/gvfs rw - fuse.gvfsd-fuse gvfsd-fuse rw,user_id=1000\n")
	w, _, _ := watch(t, cfg)
	at, ok := w.Places().Of("/run/user/1000/gvfs/smb-share:server=nas,share=docs/a")
	if !ok || at.Class != device.Network || at.Volume != "smb://nas/docs" || at.Path != "/run/user/1000/gvfs/smb-share:server=nas,share=docs" {
		t.Errorf("%+v", at)
	}
	if at, _ := w.Places().Of("/run/user/1000/gvfs/trash:/a"); at.Class != device.Local {
		t.Errorf("%+v", at)
	}
}

func TestStickThatStandsInForAnotherIsToldByItsSerial(t *testing.T) {
	cfg, _ := still(t, root+stick)
	plug(t, cfg.Finder, "8:17", "4C53")
	w, err := Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.lookForSwapped(now())
	if len(w.out) != 0 {
		t.Errorf("the same stick was told:\n%s", listing(w.out))
	}
	put(t, filepath.Join(cfg.Finder.Sys, "devices/pci0000:00/usb1/1-1/serial"), "OTHER\n")
	w.lookForSwapped(now())
	if len(w.out) != 2 || w.out[0].Kind != tallyman.KindUnmounted || w.out[0].Volume != "usb:4C53" || w.out[1].Kind != tallyman.KindMounted || w.out[1].Volume != "usb:OTHER" {
		t.Errorf("told was:\n%s", listing(w.out))
	}
	if at, _ := w.Places().Of("/media/stick/a"); at.Volume != "usb:OTHER" {
		t.Errorf("a file on it lies on %+v", at)
	}
}

func TestConfigurationThatIsAPipeHangsNobody(t *testing.T) {
	cfg, write := still(t, root)
	home := t.TempDir()
	cfg.Homes = []string{home}
	for _, name := range []string{".dropbox/info.json", ".config/rclone/rclone.conf"} {
		path := filepath.Join(home, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = syscall.Mkfifo(path, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	_, r, stop := watch(t, cfg)
	write(root + stick)
	r.await(t, 0, tallyman.KindMounted, "/media/stick")
	stop()
}
