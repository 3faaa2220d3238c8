package device

import (
	"slices"
	"strings"

	"tallyman/source/mounts/mountinfo"
)

// The file systems that other machines keep, with the name of their protocol. s3fs and its like mount a bucket of any provider or of the site's own.
var network = map[string]string{
	"nfs": "nfs", "nfs4": "nfs", "cifs": "smb", "smb3": "smb", "smbfs": "smb", "9p": "9p", "virtiofs": "virtiofs", "ceph": "ceph", "glusterfs": "gluster",
	"fuse.glusterfs": "gluster", "lustre": "lustre", "afs": "afs", "kafs": "afs", "coda": "coda", "davfs": "dav", "fuse.davfs2": "dav", "fuse.davfs": "dav",
	"fuse.sshfs": "sshfs", "fuse.s3fs": "s3", "fuse.gcsfuse": "gcs", "fuse.curlftpfs": "ftp", "fuse.goofys": "s3", "fuse.ceph": "ceph", "fuse.ceph-fuse": "ceph",
	"fuse.mount-s3": "s3", "mountpoint-s3": "s3", "fuse.blobfuse": "azure", "fuse.blobfuse2": "azure", "fuse.hdfs": "hdfs", "fuse.moosefs": "moosefs", "fuse.mfs": "moosefs",
	"fuse.juicefs": "juicefs", "fuse.JuiceFS": "juicefs", "fuse.seaweedfs": "seaweedfs", "ocfs2": "ocfs2", "gfs2": "gfs2", "beegfs": "beegfs", "gpfs": "gpfs",
	"pvfs2": "orangefs", "ncpfs": "ncp", "vboxsf": "vboxsf", "fuse.vmhgfs-fuse": "vmhgfs", "vmhgfs": "vmhgfs", "prl_fs": "parallels", "fuse.smbnetfs": "smb",
	"fuse.fuse-nfs": "nfs", "fuse.nfs": "nfs",
}

// provider is who keeps a cloud.
type provider struct{ short, name string }

// The file systems of clients that mount a cloud.
var cloudy = map[string]provider{
	"fuse.rclone": {"rclone", "rclone"}, "fuse.google-drive-ocamlfuse": {"google-drive", "Google Drive"}, "fuse.pCloud.fs": {"pcloud", "pCloud"},
	"fuse.pcloud": {"pcloud", "pCloud"}, "fuse.onedriver": {"onedrive", "OneDrive"}, "fuse.dbxfs": {"dropbox", "Dropbox"}, "fuse.megafs": {"mega", "MEGA"},
	"fuse.mega-fs": {"mega", "MEGA"}, "fuse.seadrive": {"seafile", "Seafile"}, "fuse.Nextcloud": {"nextcloud", "Nextcloud"}, "fuse.gdfuse": {"google-drive", "Google Drive"},
	"fuse.odrive": {"odrive", "odrive"}, "fuse.expandrive": {"expandrive", "ExpanDrive"}, "fuse.icloud": {"icloud", "iCloud"}, "fuse.protondrive": {"proton", "Proton Drive"},
}

// The file systems of phones and cameras.
var phones = map[string]string{
	"fuse.jmtpfs": "mtp", "fuse.simple-mtpfs": "mtp", "fuse.go-mtpfs": "mtp", "fuse.go-mtpfs-fuse": "mtp", "fuse.mtpfs": "mtp", "fuse.android-file-transfer": "mtp",
	"fuse.aft-mtp-mount": "mtp", "fuse.ifuse": "afc", "fuse.gphotofs": "gphoto2", "fuse.DeviceFs": "mtp", "fuse.DeviceFs(": "mtp",
}

// The file systems through which the kernel speaks, or that hold no files of people: nobody keeps anything there.
var kernel = []string{
	"proc", "sysfs", "cgroup", "cgroup2", "devpts", "devtmpfs", "mqueue", "debugfs", "tracefs", "securityfs", "pstore", "bpf", "configfs", "fusectl", "hugetlbfs",
	"nsfs", "binfmt_misc", "efivarfs", "selinuxfs", "smackfs", "rpc_pipefs", "nfsd", "autofs", "pipefs", "sockfs", "resctrl", "dlmfs", "ocfs2_dlmfs", "cpuset", "xenfs",
	"fuse.lxcfs", "fuse.portal", "fuse.fuse-overlayfs-control", "functionfs", "gadgetfs", "ipathfs", "usbfs",
}

// Kernel reports whether the file system holds no files that people keep.
func Kernel(fs string) bool { return slices.Contains(kernel, fs) }

// Far reports whether to look at a file of this type may hang, or mount something: another machine, or a program of a user, answers.
func Far(fs string) bool {
	_, net := network[fs]
	return net || fs == "autofs" || fs == "fuse" || strings.HasPrefix(fs, "fuse.")
}

// GVFS is the one mount of a desktop's session below which shares, phones and clouds appear as folders (see InGVFS).
const GVFS = "fuse.gvfsd-fuse"

// Remote says what a mount is whose type or source tells: what another machine, a provider or a phone keeps. ok is false for all that may be local.
func Remote(m *mountinfo.Mount) (d Device, ok bool) {
	why, source := "file system "+m.FS, Shown(m.Source)
	if bus, yes := network[m.FS]; yes {
		return Device{Class: Network, Bus: bus, Share: source, Why: why}, true
	}
	if p, yes := cloudy[m.FS]; yes {
		return Device{Class: Cloud, Bus: p.short, Provider: p.name, Share: source, Why: why}, true
	}
	if bus, yes := phones[m.FS]; yes {
		return Device{Class: Removable, Bus: bus, Share: source, Why: why}, true
	}
	if m.FS != "fuse" && !strings.HasPrefix(m.FS, "fuse.") {
		return d, false
	}
	if strings.HasPrefix(m.Source, "pCloud") {
		return Device{Class: Cloud, Bus: "pcloud", Provider: "pCloud", Share: source, Why: "FUSE source " + source}, true
	}
	if host, yes := elsewhere(m.Source); yes && host != "" {
		bus := strings.TrimPrefix(strings.TrimPrefix(m.FS, "fuse"), ".")
		scheme, _, address := strings.Cut(m.Source, "://")
		switch {
		case bus == "" && address:
			bus = scheme
		case bus == "" && strings.HasPrefix(m.Source, "//"):
			bus = "smb"
		case bus == "":
			bus = "fuse"
		}
		return Device{Class: Network, Bus: bus, Share: source, Why: "the FUSE source names the machine " + host}, true
	}
	return d, false
}

// Shown is a source without the name and password that some clients leave in its URL.
func Shown(source string) string {
	scheme, rest, ok := strings.Cut(source, "://")
	if !ok {
		return source
	}
	host, path, found := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		host = host[at+1:]
	}
	if found {
		path = "/" + path
	}
	return scheme + "://" + host + path
}

// elsewhere returns the machine that a source names: //host/share, scheme://host/path, user@host:/path, host:/path, [::1]:/path. A path of this machine names none.
func elsewhere(source string) (host string, ok bool) {
	if scheme, rest, yes := strings.Cut(source, "://"); yes && scheme != "" && !strings.ContainsAny(scheme, "/:@") {
		host, _, _ = strings.Cut(rest, "/")
		if at := strings.LastIndexByte(host, '@'); at >= 0 {
			host = host[at+1:]
		}
		return host, host != ""
	}
	if rest, yes := strings.CutPrefix(source, "//"); yes {
		host, _, _ = strings.Cut(rest, "/")
		return host, host != ""
	}
	if strings.HasPrefix(source, "/") {
		return "", false
	}
	end := strings.IndexByte(source, ':')
	if strings.Contains(source, "]:") {
		end = strings.Index(source, "]:") + 1
	}
	if end <= 0 || end+1 < len(source) && source[end+1] != '/' && source[end+1] != '~' && !strings.Contains(source[:end], "@") {
		return "", false
	}
	host = source[:end]
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		host = host[at+1:]
	}
	return strings.Trim(host, "[]"), host != "" && !strings.ContainsAny(host, "/ ")
}

// gvfs are the schemes of the folders in a GVFS mount.
var gvfs = map[string]Device{
	"smb-share": {Class: Network, Bus: "smb"}, "smb-server": {Class: Network, Bus: "smb"}, "sftp": {Class: Network, Bus: "sftp"}, "ftp": {Class: Network, Bus: "ftp"},
	"ftps": {Class: Network, Bus: "ftp"}, "ftpis": {Class: Network, Bus: "ftp"}, "dav": {Class: Network, Bus: "dav"}, "davs": {Class: Network, Bus: "dav"},
	"dav+sd": {Class: Network, Bus: "dav"}, "davs+sd": {Class: Network, Bus: "dav"}, "nfs": {Class: Network, Bus: "nfs"}, "afp-volume": {Class: Network, Bus: "afp"},
	"afp-server": {Class: Network, Bus: "afp"}, "http": {Class: Network, Bus: "http"}, "wsdd": {Class: Network, Bus: "wsdd"},
	"mtp": {Class: Removable, Bus: "mtp"}, "gphoto2": {Class: Removable, Bus: "gphoto2"}, "afc": {Class: Removable, Bus: "afc"}, "cdda": {Class: Removable, Bus: "cdda"},
	"google-drive": {Class: Cloud, Bus: "google-drive", Provider: "Google Drive"}, "onedrive": {Class: Cloud, Bus: "onedrive", Provider: "OneDrive"},
}

// InGVFS says what a folder in a GVFS mount is, by its name, as in smb-share:server=nas,share=docs or mtp:host=Pixel_6. ok is false for what stays here
// (the trash, an archive that is looked into), and for names that are not of this form.
func InGVFS(name string) (d Device, ok bool) {
	scheme, rest, found := strings.Cut(name, ":")
	d, ok = gvfs[scheme]
	if !ok || !found {
		return Device{}, false
	}
	fields := map[string]string{}
	for pair := range strings.SplitSeq(rest, ",") {
		key, value, _ := strings.Cut(pair, "=")
		fields[key] = unpercent(value)
	}
	host := first(fields["host"], fields["server"])
	if user := fields["user"]; user != "" && host != "" && d.Class != Removable {
		host = user + "@" + host
	}
	d.Why = "folder " + scheme + ": of GVFS"
	switch {
	case d.Class == Removable:
		d.Model = host
	case d.Class == Cloud:
		d.Account = host
	case d.Bus == "smb", d.Bus == "afp":
		d.Share = "//" + host + "/" + first(fields["share"], fields["volume"])
	default:
		d.Share = host + ":" + fields["prefix"]
	}
	return d, true
}

// unpercent undoes %2F and its like; what is none stays.
func unpercent(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := strings.IndexByte(hexadecimal, lower(s[i+1])), strings.IndexByte(hexadecimal, lower(s[i+2]))
			if hi >= 0 && lo >= 0 {
				b.WriteByte(byte(hi<<4 | lo))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

const hexadecimal = "0123456789abcdef"

func lower(c byte) byte {
	if c >= 'A' && c <= 'F' {
		return c + 'a' - 'A'
	}
	return c
}
