package inotify_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"tallyman/source/files/inotify"
)

// render writes an event as the kernel does.
func render(e inotify.Event) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(e.Watch))
	b = binary.NativeEndian.AppendUint32(b, e.Mask)
	b = binary.NativeEndian.AppendUint32(b, e.Cookie)
	if len(e.Name) == 0 {
		return binary.NativeEndian.AppendUint32(b, 0)
	}
	name := append([]byte{}, e.Name...)
	for name = append(name, 0); len(name)%16 != 0; {
		name = append(name, 0)
	}
	return append(binary.NativeEndian.AppendUint32(b, uint32(len(name))), name...)
}

func TestCutEventIsRefused(t *testing.T) {
	whole := render(inotify.Event{Watch: 1, Mask: inotify.Create, Name: []byte("a\nb")})
	for n := range whole {
		var e inotify.Event
		if _, err := inotify.Next(whole[:n], &e); !errors.Is(err, inotify.ErrMalformed) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

func TestEventsOfTheKernelAreRead(t *testing.T) {
	q, err := inotify.New()
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	dir := t.TempDir()
	watch, err := q.Add(dir)
	if err != nil {
		t.Fatal(err)
	}
	name := "a\n\xff"
	if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	b, err := q.Read(make([]byte, 4096))
	if err != nil {
		t.Fatal(err)
	}
	var masks []uint32
	var cookie uint32
	for len(b) > 0 {
		var e inotify.Event
		if b, err = inotify.Next(b, &e); err != nil {
			t.Fatal(err)
		}
		masks = append(masks, e.Mask)
		want := name
		if e.Mask == inotify.MovedTo {
			want = "b"
			if e.Cookie == 0 || e.Cookie != cookie {
				t.Errorf("the halves of the rename have the cookies %d and %d", cookie, e.Cookie)
			}
		}
		cookie = e.Cookie
		if e.Watch != watch || string(e.Name) != want {
			t.Errorf("%+v", e)
		}
	}
	want := []uint32{inotify.Create, inotify.Open, inotify.Modify, inotify.CloseWrite, inotify.MovedFrom, inotify.MovedTo}
	if len(masks) != len(want) {
		t.Fatalf("masks %x", masks)
	}
	for i := range want {
		if masks[i] != want[i] {
			t.Errorf("masks %x", masks)
		}
	}
	fds := []unix.PollFd{{Fd: int32(q.FD()), Events: unix.POLLIN}}
	if n, err := unix.Poll(fds, 0); n != 0 || err != nil {
		t.Errorf("something waits in an empty queue: %d, %v", n, err)
	}
	if b, err := q.Read(make([]byte, 4096)); b != nil || err != nil {
		t.Errorf("%v, %v", b, err)
	}
}

// What is taken is an event that, written again, reads the same; and Next always goes forward.
func FuzzNext(f *testing.F) {
	f.Add(render(inotify.Event{Watch: 1, Mask: inotify.Create, Name: []byte("a\nb")}))
	f.Add(render(inotify.Event{Watch: -1, Mask: inotify.Overflow}))
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			var e, again inotify.Event
			rest, err := inotify.Next(b, &e)
			if err != nil {
				if !errors.Is(err, inotify.ErrMalformed) {
					t.Fatal(err)
				}
				return
			}
			if len(rest) >= len(b) {
				t.Fatal("it does not go forward")
			}
			if _, err := inotify.Next(render(e), &again); err != nil || again.Watch != e.Watch || again.Mask != e.Mask || again.Cookie != e.Cookie ||
				string(again.Name) != string(e.Name) {
				t.Fatalf("%+v became %+v, %v", e, again, err)
			}
			b = rest
		}
	})
}
