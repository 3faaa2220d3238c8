// Package uevent listens to what the kernel says about devices that come and go (netlink, NETLINK_KOBJECT_UEVENT, group 1).
//
// It promises: what did not come from the kernel is dropped and counted. Whoever has CAP_NET_ADMIN in the network namespace can send to the group, so the
// sender is checked twice: port 0 and the group in the address, pid 0 and user 0 in the credentials that the kernel adds (SO_PASSCRED).
//
// A message is a hint and no more: what is true stands in sysfs and mountinfo, and a message that was lost costs time alone.
package uevent

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Event is one message.
type Event struct {
	Action string // add, remove, change, bind ...
	Path   string // below sysfs, as in /devices/pci0000:00/.../block/sdb
	Fields map[string]string
}

// Block reports whether it is about a disk or partition.
func (e *Event) Block() bool { return e.Fields["SUBSYSTEM"] == "block" }

// Number is the number of the device, as in 8:17; "" when it has none.
func (e *Event) Number() string {
	if e.Fields["MAJOR"] == "" || e.Fields["MINOR"] == "" {
		return ""
	}
	return e.Fields["MAJOR"] + ":" + e.Fields["MINOR"]
}

// The kernel's own bounds: 64 variables in 2 KiB (include/linux/kobject.h), with the head before them.
const (
	mostFields = 64
	mostBytes  = 8 << 10
)

// Parse reads one message of the kernel: ACTION@PATH, then KEY=VALUE, each ended by a NUL. Messages of udev ("libudev" in front) are none.
func Parse(b []byte) (e Event, err error) {
	text, ended := bytes.CutSuffix(b, []byte{0})
	if !ended || len(b) > mostBytes {
		return e, errors.New("no message of the kernel: it ends early")
	}
	parts := strings.Split(string(text), "\x00")
	action, path, ok := strings.Cut(parts[0], "@")
	if !ok || action == "" || !strings.HasPrefix(path, "/") || len(parts)-1 > mostFields {
		return e, errors.New("no message of the kernel: expected ACTION@PATH and fields")
	}
	e = Event{Action: action, Path: path, Fields: make(map[string]string, len(parts)-1)}
	for _, p := range parts[1:] {
		key, value, ok := strings.Cut(p, "=")
		if _, twice := e.Fields[key]; !ok || key == "" || twice {
			return Event{}, fmt.Errorf("the field %q is none", p)
		}
		e.Fields[key] = value
	}
	if e.Fields["ACTION"] != action || e.Fields["DEVPATH"] != path {
		return Event{}, errors.New("head and fields differ")
	}
	return e, nil
}
