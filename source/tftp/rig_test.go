package tftp

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"tallyman"
)

// patience bounds each wait for an event in these tests.
const patience = 10 * time.Second

// folder is a served tree of the simplest kind.
type folder struct {
	root *os.Root
	path string
	// onCommit and onWrite, if set, come before, and an error instead.
	onCommit func() error
	onWrite  func(name string, total int) error
	digest   tallyman.Digest
}

func (f *folder) Open(name tallyman.Name) (File, error) {
	file, err := f.root.OpenFile(name.Path(), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, refused(err)
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		file.Close()
		return nil, &Refusal{Reason: tallyman.NotReadable, Text: "not a regular file"}
	}
	return &opened{File: file, info: info, path: filepath.Join(f.path, name.Path()), digest: f.digest}, nil
}

func (f *folder) Create(name tallyman.Name, announced int64, _ netip.Addr) (Upload, error) {
	if announced > 1<<40 {
		return nil, &Refusal{Reason: tallyman.DiskFull, Text: "no room"}
	}
	if _, err := f.root.Stat(name.Path()); err == nil && name.Base() == "taken" {
		return nil, &Refusal{Reason: tallyman.Exists, Text: "taken"}
	}
	file, err := os.CreateTemp(f.path, ".part-*")
	if err != nil {
		return nil, refused(err)
	}
	return &incoming{File: file, folder: f, path: filepath.Join(f.path, name.Path())}, nil
}

func refused(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &Refusal{Reason: tallyman.NotFound, Text: err.Error()}
	default:
		return &Refusal{Reason: tallyman.NotReadable, Text: err.Error()}
	}
}

type opened struct {
	*os.File
	info   os.FileInfo
	path   string
	digest tallyman.Digest
}

func (o *opened) Size() int64             { return o.info.Size() }
func (o *opened) Path() string            { return o.path }
func (o *opened) Handle() string          { return "handle" }
func (o *opened) Digest() tallyman.Digest { return o.digest }
func (o *opened) Unchanged(tallyman.Digest) bool {
	now, err := o.Stat()
	return err == nil && now.ModTime().Equal(o.info.ModTime()) && now.Size() == o.info.Size()
}

type incoming struct {
	*os.File
	folder *folder
	path   string
	total  int
}

func (u *incoming) Write(p []byte) (int, error) {
	u.total += len(p)
	if u.folder.onWrite != nil {
		if err := u.folder.onWrite(filepath.Base(u.path), u.total); err != nil {
			return 0, err
		}
	}
	return u.File.Write(p)
}

func (u *incoming) Path() string   { return u.path }
func (u *incoming) Handle() string { return "temporary" }
func (u *incoming) Commit() error {
	if u.folder.onCommit != nil {
		if err := u.folder.onCommit(); err != nil {
			u.Abort()
			return err
		}
	}
	return errors.Join(u.Close(), os.Rename(u.Name(), u.path))
}
func (u *incoming) Abort() { u.Close(); os.Remove(u.Name()) }

// memory is a Recorder that remembers.
type memory struct {
	mu       sync.Mutex
	all      []tallyman.Evidence
	calls    int
	news     chan struct{} // closed at the next evidence
	onCommit func(tallyman.Evidence) error
}

func (m *memory) Record(batch ...tallyman.Evidence) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	m.all = append(m.all, batch...)
	close(m.news)
	m.news = make(chan struct{})
}

func (m *memory) Commit(_ context.Context, batch ...tallyman.Evidence) error {
	if m.onCommit != nil && len(batch) > 0 {
		if err := m.onCommit(batch[0]); err != nil {
			return err
		}
	}
	m.Record(batch...)
	return nil
}

// await waits for evidence of the kind about the name.
func (m *memory) await(t *testing.T, kind tallyman.Kind, name string) tallyman.Evidence {
	t.Helper()
	deadline := time.After(patience)
	for {
		m.mu.Lock()
		for _, e := range m.all {
			if e.Kind == kind && e.Name == name {
				m.mu.Unlock()
				return e
			}
		}
		news := m.news
		m.mu.Unlock()
		select {
		case <-news:
		case <-deadline:
			t.Fatalf("no %v of %q among %d pieces of evidence", kind, name, len(m.all))
		}
	}
}

// about lists what is known of a name by now.
func (m *memory) about(name string) (kinds []tallyman.Kind) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.all {
		if e.Name == name {
			kinds = append(kinds, e.Kind)
		}
	}
	return kinds
}

// rig is a running server.
type rig struct {
	*folder
	server *Server
	memory *memory
	addr   netip.AddrPort
	stop   func() // and wait for the end
}

// with changes the configuration before the start.
type with func(*Config, *rig)

func serve(t *testing.T, changes ...with) *rig {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{folder: &folder{root: root, path: dir}, memory: &memory{news: make(chan struct{})}}
	cfg := Defaults()
	cfg.Listen = "127.0.0.1:0"
	for _, change := range changes {
		change(&cfg, r)
	}
	gate := func(client netip.Addr) (bool, string, bool) {
		switch client.String() {
		case "127.0.0.66":
			return false, "127.0.0.66 is not in serve.tftp.allow", false
		case "127.0.0.67":
			return false, "not the one address", true
		}
		return true, "", false
	}
	r.server, err = Listen(cfg, r.folder, gate, Identity{Host: "here", Proc: tallyman.Proc{PID: 7}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r.addr = r.server.Addrs()[0]
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.server.Run(ctx, r.memory) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("the server does not stop")
		}
	})
	t.Cleanup(r.stop)
	return r
}

// put makes a file of the given size and returns its content.
func (r *rig) put(t *testing.T, name string, size int) []byte {
	t.Helper()
	content := make([]byte, size)
	for i := range content {
		content[i] = byte(i*7 + i>>8 + len(name))
	}
	if err := os.WriteFile(filepath.Join(r.path, name), content, 0o644); err != nil {
		t.Fatal(err)
	}
	return content
}

// digest is what a record says of content.
func digest(content []byte) tallyman.Digest {
	return tallyman.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(content)))
}
