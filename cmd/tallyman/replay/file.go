package replay

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"tallyman/source/wire"
)

const (
	// headBytes is how much of a file is looked at to find out what it is.
	headBytes = 64 << 10
	// fileBuffer holds what is read ahead of one file.
	fileBuffer = wire.ReadAhead
)

// file is one open file, unpacked.
type file struct {
	name    string
	r       *bufio.Reader
	size    int64 // on the disk; 0 = not known
	written time.Time
	done    int64
	told    func(n int)
	bad     error // why nothing could be read
	closer  io.Closer
}

func openFile(path string, stdin io.Reader) (*file, error) {
	f := &file{name: path}
	from := stdin
	if path == "-" {
		f.name = "stdin"
	} else {
		i, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("%s does not exist", path)
		case err != nil:
			return nil, fmt.Errorf("open %s: %w", path, err)
		case i.IsDir():
			return nil, fmt.Errorf("%s is a folder: name the files in it, as in %s/*", path, strings.TrimRight(path, "/"))
		}
		o, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", path, errors.Unwrap(err))
		}
		f.closer, from, f.written = o, o, i.ModTime()
		if i.Mode().IsRegular() {
			f.size = i.Size()
		}
	}
	f.r = bufio.NewReaderSize(&counter{from, f}, fileBuffer)
	if head, _ := f.r.Peek(2); !bytes.Equal(head, []byte{0x1f, 0x8b}) {
		return f, nil
	}
	z, err := gzip.NewReader(f.r)
	if err != nil {
		f.close()
		return nil, fmt.Errorf("unpack %s: %w: the file is damaged", f.name, err)
	}
	if !z.ModTime.IsZero() {
		f.written = z.ModTime
	}
	f.r = bufio.NewReaderSize(z, fileBuffer)
	return f, nil
}

// peek returns the first bytes.
func (f *file) peek(n int) []byte {
	head, err := f.r.Peek(n)
	if err != nil && !errors.Is(err, io.EOF) {
		f.bad = err
	}
	return head
}

func (f *file) close() {
	if f.closer != nil {
		_ = f.closer.Close() // it was only read
	}
}

// counter counts what is read from the disk.
type counter struct {
	io.Reader
	of *file
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.of.done += int64(n)
	if c.of.told != nil {
		c.of.told(n)
	}
	return n, err
}

// isCapture reports whether the file begins like a capture: pcap of microseconds or nanoseconds in either byte order (pcap-savefile(5)), or pcapng.
func isCapture(head []byte) bool {
	for _, magic := range []string{"\xd4\xc3\xb2\xa1", "\xa1\xb2\xc3\xd4", "\x4d\x3c\xb2\xa1", "\xa1\xb2\x3c\x4d", "\x0a\x0d\x0d\x0a"} {
		if strings.HasPrefix(string(head[:min(len(head), 4)]), magic) {
			return true
		}
	}
	return false
}

// strange says what a file is that is neither a capture nor text, and what to do.
func strange(head []byte) (what, do string) {
	for _, s := range []struct{ magic, what, do string }{
		{"\xfd7zXZ\x00", "packed by xz", "unpack it first with unxz -k"},
		{"BZh", "packed by bzip2", "unpack it first with bunzip2 -k"},
		{"\x28\xb5\x2f\xfd", "packed by zstd", "unpack it first with unzstd"},
		{"\x04\x22\x4d\x18", "packed by lz4", "unpack it first with unlz4"},
		{"PK\x03\x04", "packed by zip", "unpack it first"},
		{"snoop\x00", "a capture of snoop", "convert it with editcap -F pcap"},
		{"LPKSHHRH", "a journal of systemd", "write its entries with journalctl --file FILE -o export, and replay those"},
	} {
		if bytes.HasPrefix(head, []byte(s.magic)) {
			return s.what, s.do
		}
	}
	if bytes.IndexByte(head, 0) >= 0 {
		return "neither a capture (pcap, pcapng) nor a log: it holds bytes that are no text", "name a capture or a log; a log that is damaged is read with --format NAME"
	}
	return "", ""
}
