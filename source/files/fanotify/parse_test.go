package fanotify_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"tallyman/source/files/fanotify"
)

// render writes an event as the kernel does.
func render(e *fanotify.Event) []byte {
	b := make([]byte, 24)
	b[4] = 3
	binary.NativeEndian.PutUint16(b[6:], 24)
	binary.NativeEndian.PutUint64(b[8:], e.Mask)
	binary.NativeEndian.PutUint32(b[16:], ^uint32(0))
	binary.NativeEndian.PutUint32(b[20:], uint32(e.PID))
	info := func(kind byte, h fanotify.Handle, name []byte, named bool) {
		if h == nil {
			return
		}
		at := len(b)
		b = append(append(b, kind, 0, 0, 0), h...)
		if named {
			b = append(append(b, name...), 0)
			for len(b)%4 != 0 {
				b = append(b, 0)
			}
		}
		binary.NativeEndian.PutUint16(b[at+2:], uint16(len(b)-at))
	}
	info(10, e.From.Dir, e.From.Name, true)
	info(12, e.To.Dir, e.To.Name, true)
	info(2, e.At.Dir, e.At.Name, true)
	info(1, e.File, nil, false)
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	return b
}

func equal(a, b *fanotify.Event) bool {
	entry := func(a, b fanotify.Entry) bool { return bytes.Equal(a.Dir, b.Dir) && bytes.Equal(a.Name, b.Name) }
	return a.Mask == b.Mask && a.PID == b.PID && entry(a.At, b.At) && entry(a.From, b.From) && entry(a.To, b.To) && bytes.Equal(a.File, b.File)
}

var (
	folder = fanotify.MakeHandle(0x1122334455667788, 1, []byte("\x02\x40\x98\x00\xba\xa9\x93\xd8"))
	other  = fanotify.MakeHandle(0x1122334455667788, 0x81, []byte("inode64.gen4"))
	file   = fanotify.MakeHandle(0x1122334455667788, 1, []byte("\x11\x41\x98\x00\x72\xa7\xc7\x36"))
	events = []fanotify.Event{
		{Mask: fanotify.Open | fanotify.Create, PID: 812, At: fanotify.Entry{Dir: folder, Name: []byte("a")}, File: file},
		{Mask: fanotify.Rename, PID: 812, From: fanotify.Entry{Dir: folder, Name: []byte("a\nb")}, To: fanotify.Entry{Dir: other, Name: []byte("\xff\xfe")}, File: file},
		{Mask: fanotify.CloseWrite, At: fanotify.Entry{Dir: folder, Name: bytes.Repeat([]byte("x"), 255)}, File: other},
		{Mask: fanotify.Overflow},
	}
)

func TestEventsAreReadAsTheKernelWroteThem(t *testing.T) {
	var b []byte
	for i := range events {
		b = append(b, render(&events[i])...)
	}
	for i := range events {
		var got fanotify.Event
		rest, err := fanotify.Next(b, &got)
		if err != nil || !equal(&got, &events[i]) {
			t.Fatalf("event %d is %+v, %v", i, got, err)
		}
		b = rest
	}
	if len(b) != 0 {
		t.Errorf("%d bytes are left", len(b))
	}
}

func TestHandleIsTakenApart(t *testing.T) {
	if folder.FSID() != 0x1122334455667788 || other.Type() != 0x81 || string(other.Bytes()) != "inode64.gen4" {
		t.Errorf("%x, %x, %q", folder.FSID(), other.Type(), other.Bytes())
	}
}

func TestRecordsThatWereNotAskedForArePassedOver(t *testing.T) {
	b := render(&events[0])
	b = append(b, 4, 0, 8, 0, 9, 9, 9, 9) // a pidfd
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	var got fanotify.Event
	if rest, err := fanotify.Next(b, &got); err != nil || len(rest) != 0 || !equal(&got, &events[0]) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestCutEventIsRefused(t *testing.T) {
	for i := range events {
		whole := render(&events[i])
		for n := range len(whole) {
			var e fanotify.Event
			if _, err := fanotify.Next(whole[:n], &e); !errors.Is(err, fanotify.ErrMalformed) {
				t.Errorf("event %d cut to %d bytes: %v", i, n, err)
			}
		}
	}
}

// An event that is taken is the event that, written again, reads the same; and Next always goes forward.
func FuzzNext(f *testing.F) {
	for i := range events {
		f.Add(render(&events[i]))
		f.Add(append(render(&events[i]), render(&events[0])...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			var e, again fanotify.Event
			rest, err := fanotify.Next(b, &e)
			if err != nil {
				if !errors.Is(err, fanotify.ErrMalformed) {
					t.Fatal(err)
				}
				return
			}
			if len(rest) >= len(b) {
				t.Fatal("it does not go forward")
			}
			if _, err := fanotify.Next(render(&e), &again); err != nil || !equal(&e, &again) {
				t.Fatalf("%+v became %+v, %v", e, again, err)
			}
			b = rest
		}
	})
}
