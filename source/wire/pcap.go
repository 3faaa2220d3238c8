package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"time"

	"tallyman/source/wire/frame"
)

// The sizes of the headers of a file and of a record in it (pcap-savefile(5)).
const (
	pcapHead   = 24
	recordHead = 16
)

// pcap reads the format of pcap-savefile(5). Frames are shown where they stand in the buffer of the reader: they are not copied.
type pcap struct {
	r       *bufio.Reader
	swapped bool  // numbers are big-endian
	unit    int64 // nanoseconds in the second number of a stamp
	link    frame.Link
	ahead   []byte // what is buffered behind the last frame
	done    int    // bytes of the buffer before ahead
}

// openPcap reads the head of the file. The buffer of r must hold a frame: ReadAhead bytes do.
func openPcap(r *bufio.Reader) (*pcap, error) {
	head, err := r.Peek(pcapHead)
	if err != nil {
		return nil, err
	}
	p := &pcap{r: r, done: pcapHead, unit: 1000}
	switch magic := binary.LittleEndian.Uint32(head); magic {
	case 0xa1b2c3d4, 0xa1b23c4d:
	case 0xd4c3b2a1, 0x4d3cb2a1:
		p.swapped = true
	default:
		return nil, fmt.Errorf("it begins with %x", head[:4])
	}
	if p.number(head) == 0xa1b23c4d {
		p.unit = 1
	}
	major, minor := binary.LittleEndian.Uint16(head[4:]), binary.LittleEndian.Uint16(head[6:])
	if p.swapped {
		major, minor = bits.ReverseBytes16(major), bits.ReverseBytes16(minor)
	}
	if major != 2 || minor != 4 {
		return nil, fmt.Errorf("version %d.%d of the format is not understood", major, minor)
	}
	p.link = frame.Link(p.number(head[20:]) & 0x0fff) // the upper bits hold the length of a checksum
	return p, nil
}

// number reads 32 bits in the byte order of the file.
func (p *pcap) number(b []byte) uint32 {
	n := binary.LittleEndian.Uint32(b)
	if p.swapped {
		n = bits.ReverseBytes32(n)
	}
	return n
}

// read fills f with the next frame; its data is valid until the read after.
func (p *pcap) read(f *Frame) error {
	if len(p.ahead) < recordHead {
		if err := p.more(recordHead); err != nil {
			return err
		}
	}
	head := p.ahead[:recordHead]
	captured, length := int64(p.number(head[8:])), int64(p.number(head[12:]))
	switch {
	case captured > largestFrame:
		return fmt.Errorf("a packet of %d bytes: the file is damaged", captured)
	case captured > length:
		return fmt.Errorf("%d captured bytes of a packet of %d: the file is damaged", captured, length)
	}
	end := recordHead + int(captured)
	f.Time = time.Unix(int64(p.number(head)), int64(p.number(head[4:]))*p.unit).UTC()
	if len(p.ahead) < end {
		if err := p.more(end); errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		} else if err != nil {
			return err
		}
	}
	f.Data, f.Length, f.Link = p.ahead[recordHead:end], int(length), p.link
	p.ahead, p.done = p.ahead[end:], p.done+end
	return nil
}

// more buffers at least n bytes behind the last frame, and as many as there are.
func (p *pcap) more(n int) error {
	if _, err := p.r.Discard(p.done); err != nil {
		return err
	}
	p.ahead, p.done = nil, 0
	if b, err := p.r.Peek(n); err != nil {
		if errors.Is(err, io.EOF) && len(b) > 0 {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	var err error
	p.ahead, err = p.r.Peek(p.r.Buffered())
	return err
}
