package uevent

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

const sdb1 = "add@/devices/pci0000:00/usb1/1-1/1-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb/sdb1\x00ACTION=add\x00" +
	"DEVPATH=/devices/pci0000:00/usb1/1-1/1-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb/sdb1\x00SUBSYSTEM=block\x00MAJOR=8\x00MINOR=17\x00DEVNAME=sdb1\x00" +
	"DEVTYPE=partition\x00SEQNUM=4711\x00"

func TestMessageOfTheKernelIsRead(t *testing.T) {
	e, err := Parse([]byte(sdb1))
	if err != nil || e.Action != "add" || !e.Block() || e.Number() != "8:17" || !strings.HasSuffix(e.Path, "/sdb1") || e.Fields["DEVTYPE"] != "partition" {
		t.Errorf("got %+v, %v", e, err)
	}
}

func TestWhatIsNoMessageOfTheKernelIsRefused(t *testing.T) {
	f := func(s string) {
		t.Helper()
		if e, err := Parse([]byte(s)); err == nil {
			t.Errorf("%q was read as %+v", s, e)
		}
	}
	f("")
	f("\x00")
	f("libudev\x00\xfe\xed\xca\xfe")
	f("add@/devices/x\x00ACTION=add\x00DEVPATH=/devices/x") // ends early
	f("add@/devices/x\x00ACTION=remove\x00DEVPATH=/devices/x\x00")
	f("add@/devices/x\x00ACTION=add\x00DEVPATH=/devices/y\x00")
	f("add@/devices/x\x00ACTION=add\x00ACTION=add\x00DEVPATH=/devices/x\x00")
	f("add@/devices/x\x00ACTION=add\x00DEVPATH=/devices/x\x00NOPAIR\x00")
	f("add@/devices/x\x00ACTION=add\x00DEVPATH=/devices/x\x00" + strings.Repeat("A", mostBytes) + "=1\x00")
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sdb1))
	f.Add([]byte("libudev\x00\xfe\xed"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Parse(b)
		if err != nil {
			return
		}
		text := e.Action + "@" + e.Path + "\x00"
		for _, key := range slices.Sorted(maps.Keys(e.Fields)) {
			text += key + "=" + e.Fields[key] + "\x00"
		}
		again, err := Parse([]byte(text))
		if err != nil || again.Action != e.Action || again.Path != e.Path || !maps.Equal(again.Fields, e.Fields) || len(text) != len(b) {
			t.Errorf("%q was read as %+v, and what that says as %+v, %v", b, e, again, err)
		}
	})
}
