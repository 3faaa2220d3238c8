// Package device says what it is that is mounted: a disk of this machine, a stick, a share of another machine, a folder that goes to a cloud.
//
//	mountinfo line ──▶ file system type and source ──▶ network, cloud, phone            (Remote: pure)
//	               └─▶ major:minor ──▶ sysfs: partition ▶ disk ▶ slaves ▶ bus ──▶ removable, network, local   (Finder)
//	                                    └─▶ udev's notes, else sysfs and the superblock: vendor, model, serial, label
//
// It promises: nothing that is mounted is opened or looked at (a dead share would hang, an autofs would mount, an umount would be busy), only sysfs, the notes
// of udev and the block device are read. The bus decides, not the flag removable: USB disks say removable=0. What is stacked (LUKS, LVM, RAID, loop) has the
// class of what lies below.
//
// It leaves to others: what is mounted where (mountinfo), and what the site knows better (mounts.Config).
package device

import (
	"strings"

	"tallyman"
)

// Class says how far away from this machine something is kept.
type Class string

// The classes of design section 3.
const (
	Local     Class = "local"     // a disk or the memory of this machine
	Removable Class = "removable" // can be carried away: USB, cards, phones
	Network   Class = "network"   // kept by another machine
	Cloud     Class = "cloud"     // kept by a provider, or copied there by a client
)

// Classes lists them from near to far.
func Classes() []Class { return []Class{Local, Removable, Network, Cloud} }

// Device is what is known of it. Texts are as the device or the file system has them: they are hostile and escaped where they are shown.
type Device struct {
	Class    Class
	Bus      string // usb, sd, mtp ...; of shares the protocol: nfs, smb, sshfs ...; of clouds the provider's short name
	Vendor   string
	Model    string
	Serial   string
	Label    string // of the file system
	UUID     string // of the file system
	Share    string // as it was mounted: host:/path, //host/share, remote:path
	Provider string // of a cloud
	Account  string // of a cloud folder
	Number   string // of the partition or disk that all lies on at last, as in 8:17; "" = none
	Why      string // how the class was found out
}

// Volume names the same thing again when it is seen again: usb:SERIAL, nfs:HOST:/PATH, dropbox:ACCOUNT; "" for what is local.
func (d *Device) Volume() string {
	switch d.Class {
	case Removable:
		name := first(d.Serial, strings.Trim(d.Vendor+"-"+d.Model, "- "), d.UUID, d.Label, d.Share, "unknown")
		return first(d.Bus, "removable") + ":" + name
	case Network:
		return first(d.Bus, "network") + ":" + d.Share
	case Cloud:
		return first(d.Bus, "cloud") + ":" + first(d.Account, d.Share)
	default:
		return ""
	}
}

// String is one line for people: what it is, and the label in quotes. Control bytes are escaped.
func (d *Device) String() string {
	var parts []string
	add := func(s string) {
		if s != "" {
			parts = append(parts, tallyman.Escape(s))
		}
	}
	add(d.Volume())
	if d.Class == Cloud && d.Provider != "" {
		add(d.Provider)
	}
	if d.Class == Local || d.Class == Removable {
		add(d.Vendor)
		add(d.Model)
	}
	if d.Class == Local && d.Share != "" {
		add(d.Share)
	}
	if d.Label != "" {
		parts = append(parts, `"`+tallyman.Escape(d.Label)+`"`)
	}
	return strings.Join(parts, " ")
}

func first(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}
