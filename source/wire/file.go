package wire

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/pcapgo"

	"tallyman"
	"tallyman/source/wire/digest"
	"tallyman/source/wire/frame"
)

// ErrNoCapture is wrapped by the error of a file that is no capture.
var ErrNoCapture = errors.New("neither pcap nor pcapng")

// largestFrame bounds one frame; tcpdump and Wireshark take no larger one (MAXIMUM_SNAPLEN).
const largestFrame = 256 << 10

// File reads the frames of one capture file, one after the other: it holds one frame.
type File struct {
	name   string
	packet func() ([]byte, gopacket.CaptureInfo, error)
	link   func(*gopacket.CaptureInfo) frame.Link
	number uint64
	err    error
	next   Frame
	peeked bool // next was read already
	place  uint32
}

// OpenFile reads the head of a capture: pcap of microseconds or nanoseconds in either byte order, pcapng, or one of these packed by gzip.
func OpenFile(name string, r io.Reader) (*File, error) {
	b := bufio.NewReaderSize(r, 256<<10)
	head, _ := b.Peek(2)
	if bytes.Equal(head, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, fmt.Errorf("read %s: unpack: %w", name, err)
		}
		b = bufio.NewReaderSize(z, 64<<10)
	}
	f := &File{name: name}
	head, _ = b.Peek(4)
	if bytes.Equal(head, []byte{0x0a, 0x0d, 0x0d, 0x0a}) {
		g, err := pcapgo.NewNgReader(b, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		f.packet = g.ZeroCopyReadPacketData
		f.link = func(ci *gopacket.CaptureInfo) frame.Link {
			i, err := g.Interface(ci.InterfaceIndex)
			if err != nil {
				return 0xffff
			}
			return frame.Link(i.LinkType)
		}
		return f, nil
	}
	g, err := pcapgo.NewReader(b)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w: %w", name, ErrNoCapture, err)
	}
	f.packet = g.ZeroCopyReadPacketData
	link := frame.Link(g.LinkType() & 0x0fff) // the upper bits hold the length of a checksum (pcap-savefile(5))
	if !link.Known() {
		return nil, fmt.Errorf("read %s: link type %d is not understood: capture on another interface, or with tcpdump -y", name, link)
	}
	f.link = func(*gopacket.CaptureInfo) frame.Link { return link }
	return f, nil
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
	data, ci, err := f.packet()
	switch {
	case errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		f.err = io.EOF
		return nil, f.err
	case err != nil:
		f.err = fmt.Errorf("read %s behind packet %d: %w", f.name, f.number, err)
		return nil, f.err
	case ci.CaptureLength > largestFrame || ci.CaptureLength > len(data):
		f.err = fmt.Errorf("read %s: packet %d has %d bytes: the file is damaged", f.name, f.number+1, ci.CaptureLength)
		return nil, f.err
	}
	f.number++
	f.next = Frame{
		Time: ci.Timestamp, Number: f.number, Place: f.place<<16 | uint32(ci.InterfaceIndex)&0xffff, Link: f.link(&ci), Data: data, Length: ci.Length,
	}
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
