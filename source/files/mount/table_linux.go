package mount

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Table is the table of mounts as the kernel shows it to this process. It belongs to one goroutine.
type Table struct{ fd int }

// Open opens /proc/self/mountinfo. os.Open would have the runtime take the notices of changes away.
func Open() (*Table, error) {
	fd, err := unix.Open("/proc/self/mountinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open mountinfo: %w", err)
	}
	return &Table{fd: fd}, nil
}

// FD is for poll(2): POLLPRI says that something was mounted or unmounted.
func (t *Table) FD() int { return t.fd }

// Read reads all of it. Lines that are none are left out and counted.
func (t *Table) Read() (mounts []Mount, refused int, err error) {
	var text []byte
	buf := make([]byte, 64<<10)
	for at := int64(0); ; {
		n, err := unix.Pread(t.fd, buf, at)
		if err != nil {
			return nil, 0, fmt.Errorf("read mountinfo: %w", err)
		}
		if n == 0 {
			break
		}
		text = append(text, buf[:n]...)
		at += int64(n)
	}
	mounts, refused = Parse(text)
	return mounts, refused, nil
}

// Close lets go of it.
func (t *Table) Close() error { return unix.Close(t.fd) }
