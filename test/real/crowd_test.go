//go:build real

package real

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestNoRequestOf512ClientsAtOnceIsLost(t *testing.T) {
	s := serve(t, "")
	content := noise(1, 1024)
	s.file("phone.cnf.xml", content)
	const clients = 512
	devices, took := make([]*device, clients), make([]time.Duration, clients)
	for i := range devices {
		devices[i] = newDevice(t, s.addr, "127.0.0.1")
		devices[i].timer = 10 * time.Second // a packet that is lost shows
	}
	var ready, all sync.WaitGroup
	ready.Add(clients)
	start := make(chan struct{})
	for i, d := range devices {
		all.Go(func() {
			ready.Done()
			<-start
			began := time.Now()
			if b, err := d.get("phone.cnf.xml"); err != nil || !bytes.Equal(b, content) || d.repeated > 0 {
				t.Errorf("client %d gets %d bytes, %v, and repeated %d packets", i, len(b), err, d.repeated)
			}
			took[i] = time.Since(began)
		})
	}
	ready.Wait()
	close(start)
	all.Wait()
	slices.Sort(took)
	t.Logf("half of the clients had the file after %v, the last one after %v", took[clients/2], took[clients-1])
	found := s.ended(clients, "get", "phone.cnf.xml")
	if len(found) != clients {
		t.Errorf("%d records", len(found))
	}
	ports := map[uint16]bool{}
	for _, r := range found {
		s.compare(r, got("phone.cnf.xml", content))
		ports[r.Client.Port] = true
	}
	if len(ports) != clients {
		t.Errorf("the records name %d clients", len(ports))
	}
}

func TestAFileThatIsOverwrittenWhileItIsReadHasNoDigest(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	f := func(name string, size, at int, change func(path string)) {
		t.Helper()
		before := noise(1, size)
		path := s.file(name, before)
		first := newDevice(t, s.addr, "")
		if b, err := first.get(name); err != nil || !bytes.Equal(b, before) {
			t.Errorf("the first reader gets %d bytes, %v", len(b), err)
		}
		d := newDevice(t, s.addr, "")
		d.step = func(block int) bool {
			if block == at {
				change(path)
			}
			return true
		}
		mixed, err := d.get(name)
		found := s.ended(2, "get", name)
		s.compare(found[0], got(name, before))
		w := got(name, mixed)
		w.content = nil
		if err != nil {
			w.verdict, w.reason = found[1].Verdict, found[1].Reason
			if w.verdict != "failed" {
				t.Errorf("%s: the reader is told %v, and the record says %+v", name, err, found[1])
			}
			w.bytes = *found[1].Bytes
		}
		s.compare(found[1], w)
		after, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := newDevice(t, s.addr, "").get(name); err != nil || !bytes.Equal(b, after) {
			t.Errorf("%s: the next reader gets %d bytes, %v", name, len(b), err)
		}
		s.compare(s.ended(3, "get", name)[2], got(name, after))
	}
	write := func(content []byte, off int64) func(string) {
		return func(path string) {
			file, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			if _, err := file.WriteAt(content, off); err != nil {
				t.Fatal(err)
			}
		}
	}
	f("overwritten", 50_000, 20, write(noise(2, 50_000), 0))
	f("touched-behind", 50_000, 20, write([]byte("x"), 100))
	f("touched-ahead", 50_000, 20, write([]byte("x"), 49_000))
	f("at-the-end", 50_000, 98, write([]byte("x"), 0))
	f("grown", 50_000, 20, write([]byte("x"), 60_000))
	f("shrunk", 50_000, 20, func(path string) {
		if err := os.Truncate(path, 20_000); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAFileThatIsReplacedWhileItIsReadIsReadAsItWas(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	before, after := noise(1, 50_000), noise(2, 50_000)
	s.file("image", before)
	d := newDevice(t, s.addr, "")
	d.step = func(block int) bool {
		if block == 20 {
			if err := newDevice(t, s.addr, "").put("image", after); err != nil {
				t.Errorf("put: %v", err)
			}
		}
		return true
	}
	if b, err := d.get("image"); err != nil || !bytes.Equal(b, before) {
		t.Errorf("the reader gets %d bytes, %v", len(b), err)
	}
	same(t, filepath.Join(s.root, "image"), after)
	s.proves(stored("image", after))
	w := got("image", before)
	w.content = nil // its ctime has changed with its name, and what has changed gets no digest
	s.proves(w)
}
