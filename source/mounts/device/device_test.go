package device

import (
	"strings"
	"testing"

	"tallyman/source/mounts/mountinfo"
)

func TestDeviceIsClassedByHowItIsAttached(t *testing.T) {
	m := machine(t, desktop)
	m.Where = func(path string) (Device, bool) {
		return Device{Class: Network, Bus: "nfs", Share: "nas:/disks", Why: "file system nfs4"}, strings.HasPrefix(path, "/mnt/nas/")
	}
	f := func(major, minor uint32, class Class, volume, says string) {
		t.Helper()
		d, ok := m.Block(major, minor)
		if !ok || d.Class != class || d.Volume() != volume || d.String() != says || d.Why == "" {
			t.Errorf("%d:%d: %+v\n got %s %q %q\nwant %s %q %q", major, minor, d, d.Class, d.Volume(), d.String(), class, volume, says)
		}
	}
	f(8, 17, Removable, "usb:4C530001230412", `usb:4C530001230412 SanDisk Ultra Fit "MY STICK"`)
	f(8, 33, Removable, "usb:WX11A", "usb:WX11A WD Elements 25A2")          // a disk that says removable=0
	f(8, 64, Removable, "usb:E0D55", "usb:E0D55 Kingston DataTraveler 3.0") // known to udev alone
	f(8, 1, Local, "", "Samsung SSD 860")
	f(179, 1, Removable, "sd:0xd1c5d4ba", "sd:0xd1c5d4ba SC16G")
	f(179, 8, Local, "", "") // eMMC, soldered
	f(253, 0, Removable, "usb:4C530001230412", `usb:4C530001230412 SanDisk Ultra Fit "vault"`)
	f(253, 1, Removable, "usb:4C530001230412", "usb:4C530001230412 SanDisk Ultra Fit") // LVM on LUKS
	f(9, 0, Removable, "usb:4C530001230412", "usb:4C530001230412 SanDisk Ultra Fit")   // of a mirror the half that can be carried away
	f(7, 0, Network, "nfs:nas:/disks", "nfs:nas:/disks")
	f(7, 1, Local, "", "image /srv/disk.img (deleted)")
	f(8, 48, Network, "iscsi:ip-10.0.0.5:3260-iscsi-iqn.2020-01.org.example:disk-lun-1", "iscsi:ip-10.0.0.5:3260-iscsi-iqn.2020-01.org.example:disk-lun-1")
	f(43, 0, Network, "nbd:nbd0", "nbd:nbd0")
	f(11, 0, Removable, "removable:unknown", "removable:unknown")
	f(259, 0, Removable, "thunderbolt:unknown", "thunderbolt:unknown")
	f(254, 0, Local, "", "")
	if d, ok := m.Block(8, 200); ok {
		t.Errorf("a device that is not there is %+v", d)
	}
	if d, ok := m.Block(253, 9); ok && d.Class != Local { // lies on itself
		t.Errorf("a circle is %+v", d)
	}
	if !m.Known("8:17") || m.Known("8:99") {
		t.Error("what is there and what is not are not told apart")
	}
}

func TestMountIsClassedByTypeAndSource(t *testing.T) {
	f := func(fs, source string, class Class, volume string) {
		t.Helper()
		d, ok := Remote(&mountinfo.Mount{FS: fs, Source: source})
		if ok != (class != "") || d.Class != class || d.Volume() != volume {
			t.Errorf("%s of %s: %+v %v, want %s %s", source, fs, d, ok, class, volume)
		}
	}
	f("nfs4", "nas:/export/a", Network, "nfs:nas:/export/a")
	f("nfs", "[fd00::1]:/a", Network, "nfs:[fd00::1]:/a")
	f("cifs", "//nas/docs", Network, "smb://nas/docs")
	f("smb3", "//nas/docs", Network, "smb://nas/docs")
	f("9p", "host0", Network, "9p:host0")
	f("virtiofs", "share", Network, "virtiofs:share")
	f("fuse.sshfs", "ann@host:", Network, "sshfs:ann@host:")
	f("fuse.s3fs", "bucket", Network, "s3:bucket")
	f("davfs", "https://dav.example.org/x", Network, "dav:https://dav.example.org/x")
	f("fuse", "https://dav.example.org/x", Network, "https:https://dav.example.org/x") // davfs2 on older kernels
	f("fuse", "//nas/docs", Network, "smb://nas/docs")
	f("fuse", "ann@host:docs", Network, "fuse:ann@host:docs")
	f("fuse.something", "host:/docs", Network, "something:host:/docs")
	f("fuse.rclone", "gd:docs", Cloud, "rclone:gd:docs")
	f("fuse.google-drive-ocamlfuse", "google-drive-ocamlfuse", Cloud, "google-drive:google-drive-ocamlfuse")
	f("fuse", "pCloud.fs", Cloud, "pcloud:pCloud.fs")
	f("fuse.jmtpfs", "jmtpfs", Removable, "mtp:jmtpfs")
	f("fuse", "/srv/data", "", "")
	f("fuse.bindfs", "/srv/a:b", "", "")
	f("fuse", "bindfs", "", "")
	f("fuse.encfs", "encfs", "", "")
	f("fuse.x", "C:\\x", "", "")
	f("ext4", "/dev/sda1", "", "")
	f("tmpfs", "host:/x", "", "")
	f("fuse.curlftpfs", "curlftpfs#ftp://ann:secret@host/x", Network, "ftp:curlftpfs#ftp://host/x") // without the password
	f("davfs", "https://ann:s@cret@dav.example.org/x@y", Network, "dav:https://dav.example.org/x@y")
}

func TestFolderOfGVFSIsClassedByItsName(t *testing.T) {
	f := func(name string, class Class, volume string) {
		t.Helper()
		d, ok := InGVFS(name)
		if ok != (class != "") || d.Class != class || d.Volume() != volume {
			t.Errorf("%s: %+v %v, want %s %s", name, d, ok, class, volume)
		}
	}
	f("smb-share:server=nas,share=docs", Network, "smb://nas/docs")
	f("smb-share:domain=X,server=nas,share=my%20docs,user=ann", Network, "smb://ann@nas/my docs")
	f("sftp:host=box,user=ann", Network, "sftp:ann@box:")
	f("dav:host=cloud.example.org,ssl=true,prefix=%2Fremote.php", Network, "dav:cloud.example.org:/remote.php")
	f("mtp:host=Google_Pixel_6_1A", Removable, "mtp:Google_Pixel_6_1A")
	f("google-drive:host=gmail.com,user=ann", Cloud, "google-drive:ann@gmail.com")
	f("trash:", "", "")
	f("docs", "", "")
	f("archive:host=file%253A", "", "")
}

func TestTextOfADeviceIsEscaped(t *testing.T) {
	d := Device{Class: Removable, Bus: "usb", Serial: "\x1b[2J", Label: "a\nb"}
	if s := d.String(); strings.ContainsAny(s, "\x1b\n") {
		t.Errorf("%q", s)
	}
}
