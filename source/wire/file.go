package wire

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gopacket/gopacket/pcapgo"

	"tallyman"
	"tallyman/source/wire/digest"
	"tallyman/source/wire/frame"
)

// ErrNoCapture is wrapped by the error of a file that is no capture.
var ErrNoCapture = errors.New("neither pcap nor pcapng")

// largestFrame bounds one frame; tcpdump and Wireshark take no larger one (MAXIMUM_SNAPLEN).
const largestFrame = 256 << 10

// ReadAhead is how many bytes of a capture are read at once: at least one frame. A bufio.Reader of that size, or a larger one, is not buffered again.
const ReadAhead = 512 << 10

// File reads the frames of one capture file, one after the other: it holds one frame.
type File struct {
	name   string
	read   func(*Frame) error // of the next frame all but its number
	number uint64
	err    error
	next   Frame
	peeked bool // next was read already
	place  uint32
}

// OpenFile reads the head of a capture: pcap of microseconds or nanoseconds in either byte order, pcapng, or one of these packed by gzip.
func OpenFile(name string, r io.Reader) (*File, error) {
	b := bufio.NewReaderSize(r, ReadAhead)
	head, _ := b.Peek(2)
	if bytes.Equal(head, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, fmt.Errorf("read %s: unpack: %w", name, err)
		}
		b = bufio.NewReaderSize(z, ReadAhead)
	}
	f := &File{name: name}
	head, _ = b.Peek(4)
	if bytes.Equal(head, []byte{0x0a, 0x0d, 0x0d, 0x0a}) {
		g, err := pcapgo.NewNgReader(b, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		f.read = (&pcapng{g}).read
		return f, nil
	}
	p, err := openPcap(b)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w: %w", name, ErrNoCapture, err)
	}
	if !p.link.Known() {
		return nil, fmt.Errorf("read %s: link type %d is not understood: capture on another interface, or with tcpdump -y", name, p.link)
	}
	f.read = p.read
	return f, nil
}

// pcapng reads the format of draft-ietf-opsawg-pcapng.
type pcapng struct{ r *pcapgo.NgReader }

func (p *pcapng) read(f *Frame) error {
	data, ci, err := p.r.ZeroCopyReadPacketData()
	switch {
	case err != nil:
		return err
	case ci.CaptureLength > largestFrame || ci.CaptureLength > len(data):
		return fmt.Errorf("a packet of %d bytes: the file is damaged", ci.CaptureLength)
	}
	f.Time, f.Place, f.Link, f.Data, f.Length = ci.Timestamp, uint32(ci.InterfaceIndex), 0xffff, data, ci.Length
	if i, err := p.r.Interface(ci.InterfaceIndex); err == nil {
		f.Link = frame.Link(i.LinkType)
	}
	return nil
}

// Next returns the next frame; its data is valid until the call after. io.EOF is the end. Whatever else ends it is told by its error: the frames
// before it are good.
func (f *File) Next() (*Frame, error) {
	if f.peeked {
		f.peeked = false
		f.next.Place |= f.place << 16
		return &f.next, nil
	}
	if f.err != nil {
		return nil, f.err
	}
	f.next.Place = 0
	if err := f.read(&f.next); err != nil {
		f.err = io.EOF
		if !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			f.err = fmt.Errorf("read %s behind packet %d: %w", f.name, f.number, err)
		}
		return nil, f.err
	}
	f.number++
	f.next.Number = f.number
	f.next.Place = f.place<<16 | f.next.Place&0xffff
	return &f.next, nil
}

// Begins returns the time of the first frame, and false if there is none. It is asked before Next and Replay; the frame is not lost by it.
func (f *File) Begins() (time.Time, bool) {
	if f.number == 0 {
		if _, err := f.Next(); err != nil {
			return time.Time{}, false
		}
		f.peeked = true
	}
	return f.next.Time, f.number == 1
}

// Replay reads captures to their end, merged by time, and gives the evidence to out, in the order of the packets. A file that is cut or damaged is read as
// far as it goes: the rest is a gap, and an error that is returned at the end. progress, when it is not nil, is told the number of frames now and then; it returns
// false to stop.
func Replay(cfg Config, files []*File, out func(tallyman.Evidence), progress func(frames uint64) bool) (Counts, error) {
	pool := digest.NewPool()
	go pool.Run()
	defer pool.Close()
	cfg.Hash = pool.New
	a := NewAnalyzer(cfg, out)
	err := replay(a, files, progress)
	return a.Counts(), err
}

func replay(a *Analyzer, files []*File, progress func(frames uint64) bool) error {
	var (
		heads = make([]*Frame, len(files))
		errs  []error
		count uint64
		last  time.Time
	)
	advance := func(i int) {
		var err error
		if heads[i], err = files[i].Next(); err != nil && !errors.Is(err, io.EOF) {
			errs = append(errs, err)
			a.Lost(last, last, -1, err.Error())
		}
	}
	for i, f := range files {
		f.place = uint32(i)
		advance(i)
	}
	for {
		at := -1
		for i, h := range heads {
			if h != nil && (at < 0 || h.Time.Before(heads[at].Time)) {
				at = i
			}
		}
		if at < 0 {
			break
		}
		last = heads[at].Time
		a.Packet(heads[at])
		if count++; count%4096 == 0 && progress != nil && !progress(count) {
			return errors.Join(errs...)
		}
		advance(at)
	}
	a.End()
	return errors.Join(errs...)
}
