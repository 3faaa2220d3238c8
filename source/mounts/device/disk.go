package device

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Finder finds out about block devices. Its folders are parameters, so that a tree of files can stand in for the machine.
type Finder struct {
	Sys  string // sysfs, /sys
	Udev string // the notes of udev, /run/udev/data
	Dev  string // device nodes, /dev
	// Where says on what a file lies; it is asked for the files behind loop devices. nil: nobody knows.
	Where func(path string) (Device, bool)
}

// Machine is the Finder of the machine it runs on.
func Machine() Finder { return Finder{Sys: "/sys", Udev: "/run/udev/data", Dev: "/dev"} }

// stackedAtMost bounds how deep devices are followed: partition, LUKS, LVM, RAID, loop and a few more.
const stackedAtMost = 12

// Block says what the block device of the number is. ok is false when sysfs knows none.
func (f *Finder) Block(major, minor uint32) (d Device, ok bool) {
	return f.block(number(major, minor), 0)
}

// Known reports whether the block device of the number, as in 8:17, is still there: a stick that was pulled out stays mounted, its device goes.
func (f *Finder) Known(number string) bool {
	_, err := os.Lstat(filepath.Join(f.Sys, "dev/block", number))
	return !errors.Is(err, os.ErrNotExist)
}

// Number reads the number of the device node, as in /dev/mapper/vault, without opening it.
func (f *Finder) Number(node string) (major, minor uint32, ok bool) {
	rest, inside := strings.CutPrefix(node, "/dev/")
	if !inside {
		return 0, 0, false
	}
	return numberOf(filepath.Join(f.Dev, rest))
}

func number(major, minor uint32) string {
	return strconv.FormatUint(uint64(major), 10) + ":" + strconv.FormatUint(uint64(minor), 10)
}

func (f *Finder) block(number string, depth int) (d Device, ok bool) {
	if depth > stackedAtMost {
		return d, false
	}
	node, err := filepath.EvalSymlinks(filepath.Join(f.Sys, "dev/block", number))
	if err != nil {
		return d, false
	}
	disk := node
	if exists(filepath.Join(node, "partition")) {
		disk = filepath.Dir(node)
	}
	note := f.note(number)
	if disk != node {
		for key, value := range f.note(line(disk, "dev")) {
			if _, has := note[key]; !has && !strings.HasPrefix(key, "ID_FS_") {
				note[key] = value
			}
		}
	}
	if below, found := f.below(disk, depth); found {
		d = below
	} else {
		d.Number = number
		f.classify(&d, disk, note)
		describe(&d, disk, note)
	}
	d.Label, d.UUID = first(unhex(note["ID_FS_LABEL_ENC"]), note["ID_FS_LABEL"]), note["ID_FS_UUID"]
	if note["ID_FS_TYPE"] == "" && d.Label == "" { // nobody noted what is on it
		if s, found := f.superblock(node); found {
			d.Label, d.UUID = s.label, first(d.UUID, s.uuid)
		}
	}
	return d, true
}

// below says what the devices below are: the slaves of device-mapper, MD and bcache, the file of a loop device. Of several the farthest counts.
func (f *Finder) below(disk string, depth int) (d Device, found bool) {
	if file := line(disk, "loop/backing_file"); file != "" {
		if f.Where != nil {
			d, found = f.Where(strings.TrimSuffix(file, " (deleted)"))
		}
		if !found {
			d = Device{Class: Local}
		}
		d.Why = "loop device of " + file + ": " + first(d.Why, "it lies on this machine")
		if d.Class == Local {
			d = Device{Class: Local, Bus: "loop", Model: "image " + file, Why: d.Why}
		}
		return d, true
	}
	slaves, err := os.ReadDir(filepath.Join(disk, "slaves"))
	if err != nil {
		return d, false
	}
	for _, s := range slaves {
		one, ok := f.block(line(disk, "slaves/"+s.Name()+"/dev"), depth+1)
		if !ok {
			continue
		}
		one.Why = filepath.Base(disk) + " lies on " + s.Name() + ": " + one.Why
		if !found || distance(one.Class) > distance(d.Class) {
			d = one
		}
		found = true
	}
	return d, found
}

func distance(c Class) int {
	for i, k := range Classes() {
		if c == k {
			return i
		}
	}
	return -1
}

// classify says by the path of the disk in sysfs how it is attached.
func (f *Finder) classify(d *Device, disk string, note map[string]string) {
	name := filepath.Base(disk)
	path := strings.TrimPrefix(disk, real(f.Sys))
	set := func(class Class, bus, why string) { d.Class, d.Bus, d.Why = class, bus, why }
	switch card := line(disk, "device/type"); {
	case strings.Contains(path, "/usb"):
		set(Removable, "usb", "on the USB bus")
	case strings.Contains(path, "/session") && exists(filepath.Join(disk, "device")) || strings.HasPrefix(note["ID_PATH"], "ip-"):
		set(Network, "iscsi", "an iSCSI session")
		d.Share = first(note["ID_PATH"], name)
	case strings.HasPrefix(name, "nbd"), strings.HasPrefix(name, "rbd"), strings.HasPrefix(name, "drbd") && line(disk, "device/type") == "net":
		set(Network, strings.TrimRight(name, "0123456789"), "a block device of the network")
		d.Share = name
	case strings.HasPrefix(name, "nvme") && fabric(line(disk, "device/transport")):
		set(Network, "nvme", "NVMe over "+line(disk, "device/transport"))
		d.Share = first(line(disk, "device/address"), name)
	case strings.HasPrefix(name, "mmcblk") && (strings.HasPrefix(card, "SD") || card == "MMC" && line(disk, "removable") == "1"):
		set(Removable, "sd", "a card ("+card+")")
	case note["ID_BUS"] == "usb":
		set(Removable, "usb", "udev says that it is on the USB bus")
	case note["ID_BUS"] == "ieee1394" || strings.Contains(path, "/fw"):
		set(Removable, "firewire", "on FireWire")
	case line(disk, "removable") == "1":
		set(Removable, first(note["ID_BUS"], "removable"), "sysfs says removable")
	case f.pluggable(disk):
		set(Removable, "thunderbolt", "its slot can be unplugged while it runs (Thunderbolt)")
	default:
		set(Local, first(note["ID_BUS"], busOf(path)), "built in")
	}
}

func fabric(transport string) bool {
	return transport == "tcp" || transport == "rdma" || transport == "fc"
}

func busOf(path string) string {
	for _, bus := range []string{"nvme", "virtio", "ata", "mmc"} {
		if strings.Contains(path, "/"+bus) {
			return bus
		}
	}
	return ""
}

// pluggable reports whether a device above the disk says that it can be removed (Documentation/ABI/testing/sysfs-devices-removable).
func (f *Finder) pluggable(disk string) bool {
	root := real(f.Sys)
	for at := filepath.Dir(disk); len(at) > len(root); at = filepath.Dir(at) {
		if line(at, "removable") == "removable" {
			return true
		}
	}
	return false
}

// describe finds names and serial: those that udev noted, else those of the USB device, which has them from the maker, else those of the disk.
func describe(d *Device, disk string, note map[string]string) {
	usb := ""
	for at := disk; len(at) > 1; at = filepath.Dir(at) {
		if exists(filepath.Join(at, "idVendor")) {
			usb = at
			break
		}
	}
	if usb != "" {
		d.Vendor, d.Model, d.Serial = line(usb, "manufacturer"), line(usb, "product"), line(usb, "serial")
	}
	d.Vendor = first(d.Vendor, unhex(note["ID_VENDOR_ENC"]), spaced(note["ID_VENDOR"]), line(disk, "device/vendor"))
	d.Model = first(d.Model, unhex(note["ID_MODEL_ENC"]), spaced(note["ID_MODEL"]), line(disk, "device/model"), line(disk, "device/name"))
	d.Serial = first(d.Serial, note["ID_SERIAL_SHORT"], line(disk, "device/serial"))
	if strings.HasPrefix(d.Vendor, "0x") { // a PCI number, not a name
		d.Vendor = ""
	}
}

// spaced undoes what udev does to spaces in names.
func spaced(s string) string { return strings.TrimSpace(strings.ReplaceAll(s, "_", " ")) }

// unhex undoes \x20 in the values of udev that end in _ENC.
func unhex(s string) string {
	return strings.TrimSpace(unpercent(strings.ReplaceAll(s, `\x`, "%")))
}

// note reads what udev noted about the device (systemd: sd-device, /run/udev/data). Without udev there is none.
func (f *Finder) note(number string) map[string]string {
	out := map[string]string{}
	if number == "" {
		return out
	}
	text := read(filepath.Join(f.Udev, "b"+number))
	for l := range strings.Lines(text) {
		if pair, ok := strings.CutPrefix(strings.TrimSuffix(l, "\n"), "E:"); ok {
			key, value, _ := strings.Cut(pair, "=")
			out[key] = value
		}
	}
	return out
}

func real(path string) string {
	if p, err := filepath.EvalSymlinks(path); err == nil {
		return p
	}
	return path
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// line reads an attribute of sysfs: one short line.
func line(dir, name string) string {
	return strings.TrimSpace(read(filepath.Join(dir, name)))
}

// mostRead bounds one attribute or note, in bytes.
const mostRead = 64 << 10

func read(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	buf := make([]byte, mostRead)
	n := 0
	for n < len(buf) {
		k, err := file.Read(buf[n:])
		n += k
		if err != nil || k == 0 {
			break
		}
	}
	return strings.ToValidUTF8(string(buf[:n]), "\uFFFD")
}
