package device

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// machine builds a tree that stands in for /sys, /run/udev/data and /dev. Each line is "PATH = TEXT" for a file, or "PATH -> TARGET" for a link; \n in a text
// is a new line.
func machine(t *testing.T, lines string) *Finder {
	t.Helper()
	root := t.TempDir()
	for l := range strings.Lines(lines) {
		l = strings.TrimSpace(l)
		if l == "" {
			continue
		}
		name, target, link := strings.Cut(l, " -> ")
		name, text, _ := strings.Cut(name, " = ")
		path := filepath.Join(root, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil && link {
			err = os.Symlink(target, path)
		} else if err == nil {
			err = os.WriteFile(path, []byte(strings.ReplaceAll(text, `\n`, "\n")+"\n"), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return &Finder{Sys: filepath.Join(root, "sys"), Udev: filepath.Join(root, "udev"), Dev: filepath.Join(root, "dev")}
}

// A stick and a USB hard disk that says removable=0, as Linux 6.1 shows them; a disk built in; a card; a card reader; LUKS on the stick; RAID; a loop device.
const desktop = `
sys/dev/block/8:16 -> ../../devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host6/target6:0:0/6:0:0:0/block/sdb
sys/dev/block/8:17 -> ../../devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host6/target6:0:0/6:0:0:0/block/sdb/sdb1
sys/devices/pci0000:00/0000:00:14.0/usb1/1-2/idVendor = 0781
sys/devices/pci0000:00/0000:00:14.0/usb1/1-2/manufacturer = SanDisk
sys/devices/pci0000:00/0000:00:14.0/usb1/1-2/product = Ultra Fit
sys/devices/pci0000:00/0000:00:14.0/usb1/1-2/serial = 4C530001230412
sys/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host6/target6:0:0/6:0:0:0/block/sdb/removable = 1
sys/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host6/target6:0:0/6:0:0:0/block/sdb/dev = 8:16
sys/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host6/target6:0:0/6:0:0:0/block/sdb/sdb1/partition = 1
sys/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host6/target6:0:0/6:0:0:0/block/sdb/sdb1/dev = 8:17
udev/b8:17 = S:disk/by-label/MY\x20STICK\nE:ID_BUS=usb\nE:ID_FS_LABEL=MY_STICK\nE:ID_FS_LABEL_ENC=MY\x20STICK\nE:ID_FS_UUID=1A2B-3C4D\nE:ID_FS_TYPE=vfat

sys/dev/block/8:33 -> ../../devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host7/target7:0:0/7:0:0:0/block/sdc/sdc1
sys/devices/pci0000:00/0000:00:14.0/usb2/2-1/idVendor = 1058
sys/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host7/target7:0:0/7:0:0:0/vendor = WD
sys/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host7/target7:0:0/7:0:0:0/model = Elements 25A2
sys/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host7/target7:0:0/7:0:0:0/block/sdc/removable = 0
sys/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host7/target7:0:0/7:0:0:0/block/sdc/dev = 8:32
sys/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host7/target7:0:0/7:0:0:0/block/sdc/device -> ../..
sys/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host7/target7:0:0/7:0:0:0/block/sdc/sdc1/partition = 1
udev/b8:32 = E:ID_SERIAL_SHORT=WX11A

sys/dev/block/8:1 -> ../../devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1
sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda/removable = 0
sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda/dev = 8:0
sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda/device/model = Samsung SSD 860
sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1/partition = 1
sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1/dev = 8:1

sys/dev/block/179:1 -> ../../devices/platform/soc/mmc_host/mmc1/mmc1:aaaa/block/mmcblk1/mmcblk1p1
sys/devices/platform/soc/mmc_host/mmc1/mmc1:aaaa/block/mmcblk1/mmcblk1p1/partition = 1
sys/devices/platform/soc/mmc_host/mmc1/mmc1:aaaa/block/mmcblk1/removable = 0
sys/devices/platform/soc/mmc_host/mmc1/mmc1:aaaa/block/mmcblk1/device/type = SD
sys/devices/platform/soc/mmc_host/mmc1/mmc1:aaaa/block/mmcblk1/device/name = SC16G
sys/devices/platform/soc/mmc_host/mmc1/mmc1:aaaa/block/mmcblk1/device/serial = 0xd1c5d4ba
sys/dev/block/179:8 -> ../../devices/platform/soc/mmc_host/mmc0/mmc0:0001/block/mmcblk0
sys/devices/platform/soc/mmc_host/mmc0/mmc0:0001/block/mmcblk0/removable = 0
sys/devices/platform/soc/mmc_host/mmc0/mmc0:0001/block/mmcblk0/device/type = MMC

sys/dev/block/253:0 -> ../../devices/virtual/block/dm-0
sys/devices/virtual/block/dm-0/slaves/sdb1 -> ../../../../pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host6/target6:0:0/6:0:0:0/block/sdb/sdb1
sys/devices/virtual/block/dm-0/dm/name = luks-vault
sys/devices/virtual/block/dm-0/dev = 253:0
udev/b253:0 = E:ID_FS_LABEL=vault\nE:ID_FS_TYPE=ext4
sys/dev/block/253:1 -> ../../devices/virtual/block/dm-1
sys/devices/virtual/block/dm-1/slaves/dm-0 -> ../../dm-0
sys/devices/virtual/block/dm-1/dev = 253:1
sys/dev/block/9:0 -> ../../devices/virtual/block/md0
sys/devices/virtual/block/md0/slaves/sda1 -> ../../../../pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1
sys/devices/virtual/block/md0/slaves/sdb1 -> ../../../../pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host6/target6:0:0/6:0:0:0/block/sdb/sdb1
sys/dev/block/253:9 -> ../../devices/virtual/block/dm-9
sys/devices/virtual/block/dm-9/slaves/dm-9 -> ../../dm-9
sys/devices/virtual/block/dm-9/dev = 253:9
sys/dev/block/7:0 -> ../../devices/virtual/block/loop0
sys/devices/virtual/block/loop0/loop/backing_file = /mnt/nas/disk.img
sys/dev/block/7:1 -> ../../devices/virtual/block/loop1
sys/devices/virtual/block/loop1/loop/backing_file = /srv/disk.img (deleted)

sys/dev/block/8:48 -> ../../devices/platform/host3/session1/target3:0:0/3:0:0:0/block/sdd
sys/devices/platform/host3/session1/target3:0:0/3:0:0:0/block/sdd/device/vendor = IET
udev/b8:48 = E:ID_PATH=ip-10.0.0.5:3260-iscsi-iqn.2020-01.org.example:disk-lun-1
sys/dev/block/43:0 -> ../../devices/virtual/block/nbd0
sys/devices/virtual/block/nbd0/removable = 0
sys/dev/block/11:0 -> ../../devices/pci0000:00/0000:00:17.0/ata2/host1/target1:0:0/1:0:0:0/block/sr0
sys/devices/pci0000:00/0000:00:17.0/ata2/host1/target1:0:0/1:0:0:0/block/sr0/removable = 1
sys/dev/block/259:0 -> ../../devices/pci0000:00/0000:00:1d.0/0000:05:00.0/nvme/nvme1/nvme1n1
sys/devices/pci0000:00/0000:00:1d.0/removable = removable
sys/devices/pci0000:00/0000:00:1d.0/0000:05:00.0/nvme/nvme1/nvme1n1/removable = 0
sys/dev/block/254:0 -> ../../devices/pci0000:00/0000:00:05.0/virtio2/block/vda
sys/devices/pci0000:00/0000:00:05.0/virtio2/block/vda/removable = 0
sys/dev/block/8:64 -> ../../devices/pci0000:00/0000:00:99.0/host9/block/sde
sys/devices/pci0000:00/0000:00:99.0/host9/block/sde/removable = 0
udev/b8:64 = E:ID_BUS=usb\nE:ID_VENDOR=Kingston\nE:ID_MODEL=DataTraveler_3.0\nE:ID_SERIAL_SHORT=E0D55
`
