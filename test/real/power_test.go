//go:build real

package real

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// uploads are what clients tried to store, and whether the server said that it had.
type uploads struct {
	mu      sync.Mutex
	content map[string][]byte
	acked   map[string]bool
	dark    bool // the power is being cut: what is said now, no machine without power could say
	changed chan struct{}
}

func newUploads() *uploads {
	return &uploads{content: map[string][]byte{}, acked: map[string]bool{}, changed: make(chan struct{})}
}

func (u *uploads) begin(name string, content []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.content[name] = content
}

func (u *uploads) ack(name string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.dark {
		return
	}
	u.acked[name] = true
	close(u.changed)
	u.changed = make(chan struct{})
}

func (u *uploads) setDark(dark bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.dark = dark
}

// await waits until n more uploads than now are acknowledged, or until it is late.
func (u *uploads) await(n int) {
	late := time.After(soon)
	u.mu.Lock()
	n += len(u.acked)
	for len(u.acked) < n {
		changed := u.changed
		u.mu.Unlock()
		select {
		case <-changed:
		case <-late:
			u.mu.Lock()
			return
		}
		u.mu.Lock()
	}
	u.mu.Unlock()
}

// run keeps so many clients uploading until the returned function is called.
func (u *uploads) run(s *server, label string, clients int) (stop func()) {
	var all sync.WaitGroup
	var devices []*device
	for i := range clients {
		d := newDevice(s.t, s.addr, "")
		d.timer = 200 * time.Millisecond
		devices = append(devices, d)
		all.Go(func() {
			for n := 0; ; n++ {
				name := fmt.Sprintf("%s-%d-%d", label, i, n)
				content := noise(rand.Uint64(), rand.IntN(20_000))
				u.begin(name, content)
				if d.put(name, content) != nil {
					return
				}
				u.ack(name)
			}
		})
	}
	return func() {
		for _, d := range devices {
			d.close()
		}
		all.Wait()
	}
}

// check compares files and records with what the clients know.
func (u *uploads) check(s *server) {
	s.t.Helper()
	records := map[string][]record{}
	for _, r := range s.listed() {
		records[r.File] = append(records[r.File], r)
	}
	for name, content := range u.content {
		b, err := os.ReadFile(filepath.Join(s.root, name))
		there := err == nil
		switch {
		case there && !bytes.Equal(b, content):
			s.t.Errorf("%s holds %d bytes that nobody sent", name, len(b))
		case !there && (u.acked[name] || !errors.Is(err, os.ErrNotExist)):
			s.t.Errorf("%s, acknowledged %v: %v", name, u.acked[name], err)
		}
		found := records[name]
		if len(found) > 1 || u.acked[name] && len(found) != 1 {
			s.t.Errorf("%s, acknowledged %v, has %d records: %+v", name, u.acked[name], len(found), found)
		}
		for _, r := range found {
			switch said := r.Verdict + " " + r.Reason; {
			case said == "complete stored" && there:
				s.compare(r, stored(name, content))
			case u.acked[name], said == "unproven gap" && !there, said != "unproven gap" && said != "failed server-gone" && r.Verdict != "failed":
				s.t.Errorf("%s, acknowledged %v, there %v: the record says %s:\n%s", name, u.acked[name], there, said, s.tallyman("why", r.ID))
			}
		}
	}
	if left := s.leftovers(); len(left) > 0 {
		s.t.Errorf("left: %v", left)
	}
}

// onDisk prepares a server whose root and state lie on a disk of their own.
func onDisk(t testing.TB, d *disk) *server {
	s := &server{t: t, root: mkdir(t, d.at, "root"), state: filepath.Join(d.at, "state"), listen: "127.0.0.1:0", tftp: "min_free: 1MiB"}
	return s
}

func TestAPowerCutAfterTheLastAckLosesNoUpload(t *testing.T) {
	t.Parallel()
	d := newDisk(t, "256M")
	s, u := onDisk(t, d), newUploads()
	for round := range 8 {
		s.start()
		c := newDevice(t, s.addr, "")
		name, content := fmt.Sprintf("config-%d", round), noise(uint64(round), 1+round*3000)
		u.begin(name, content)
		if err := c.put(name, content); err != nil {
			t.Fatal(err)
		}
		d.cut()
		u.ack(name)
		s.kill()
		d.again()
	}
	s.start()
	u.check(s)
	s.stop()
}

func TestAPowerCutAtAnyMomentLosesNoAcknowledgedUpload(t *testing.T) {
	t.Parallel()
	d := newDisk(t, "256M")
	s, u := onDisk(t, d), newUploads()
	for round := range 8 {
		s.start()
		u.check(s)
		stop := u.run(s, fmt.Sprintf("config-%d", round), 4)
		u.await(rand.IntN(20))
		<-time.After(time.Duration(rand.IntN(10_000)) * time.Microsecond) // somewhere in the middle of four uploads
		u.setDark(true)
		d.cut()
		stop()
		u.setDark(false)
		s.kill()
		d.again()
	}
	s.start()
	u.check(s)
	s.stop()
	t.Logf("%d uploads begun, %d acknowledged, 8 power cuts", len(u.content), len(u.acked))
}

func TestAKillAtAnyMomentLosesNoAcknowledgedUpload(t *testing.T) {
	t.Parallel()
	s, u := newServer(t), newUploads()
	for round := range 12 {
		s.start()
		u.check(s)
		stop := u.run(s, fmt.Sprintf("config-%d", round), 8)
		u.await(rand.IntN(40))
		<-time.After(time.Duration(rand.IntN(10_000)) * time.Microsecond)
		s.kill()
		stop()
	}
	s.start()
	u.check(s)
	s.stop()
	t.Logf("%d uploads begun, %d acknowledged, 12 kills", len(u.content), len(u.acked))
}
