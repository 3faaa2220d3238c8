package mounts

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/mounts/device"
)

// patience is how long a test waits for what must come. It comes at once.
const patience = 20 * time.Second

// tape records evidence, and lets a test wait for it.
type tape struct {
	mu   sync.Mutex
	got  []tallyman.Evidence
	news chan struct{}
}

func newTape() *tape { return &tape{news: make(chan struct{}, 1)} }

func (r *tape) Record(e ...tallyman.Evidence) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, e...)
	select {
	case r.news <- struct{}{}:
	default:
	}
}

func (r *tape) Commit(_ context.Context, e ...tallyman.Evidence) error {
	r.Record(e...)
	return nil
}

func (r *tape) all() []tallyman.Evidence {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]tallyman.Evidence(nil), r.got...)
}

// await waits for evidence of the kind and path that is not one of the first n, and returns it.
func (r *tape) await(t *testing.T, n int, kind tallyman.Kind, path string) tallyman.Evidence {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		all := r.all()
		for _, e := range all[min(n, len(all)):] {
			if e.Kind == kind && e.Path == path {
				return e
			}
		}
		select {
		case <-r.news:
		case <-late.C:
			t.Fatalf("no %s of %q was told; told was:\n%s", kind, path, listing(r.all()))
		}
	}
}

func listing(all []tallyman.Evidence) string {
	var b strings.Builder
	for i := range all {
		e := &all[i]
		b.WriteString(e.Kind.String() + " " + tallyman.Escape(e.Path) + " [" + e.Volume + "] " + e.Err + " " + e.Details + "\n")
	}
	return b.String()
}

// watch runs a Watcher until stop is called.
func watch(t *testing.T, cfg Config) (w *Watcher, r *tape, stop func()) {
	t.Helper()
	w, err := Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r = newTape()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx, r) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the watch ended: %v", err)
		}
		w.Close()
	})
	t.Cleanup(stop)
	return w, r, stop
}

// still is a configuration whose table is a file that the test writes: no kernel, no root.
func still(t *testing.T, table string) (cfg Config, write func(string)) {
	t.Helper()
	dir := t.TempDir()
	cfg = Defaults("h")
	cfg.Mountinfo, cfg.Poll, cfg.Every = filepath.Join(dir, "mountinfo"), true, 10*time.Millisecond
	cfg.Passwd, cfg.State, cfg.Boot = "", filepath.Join(dir, "state"), filepath.Join(dir, "boot")
	cfg.Finder = device.Finder{Sys: filepath.Join(dir, "sys"), Udev: filepath.Join(dir, "udev"), Dev: filepath.Join(dir, "dev")}
	put(t, cfg.Boot, "boot-1\n")
	if err := os.MkdirAll(cfg.State, 0o755); err != nil {
		t.Fatal(err)
	}
	write = func(text string) { put(t, cfg.Mountinfo, text) }
	write(table)
	return cfg, write
}

// put writes a file as a whole, as editors and clients do.
func put(t *testing.T, path, text string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path+".new", []byte(text), 0o644)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// plug puts a stick into the fixture: the block device of the number, on the USB bus.
func plug(t *testing.T, f device.Finder, number, serial string) {
	t.Helper()
	port := filepath.Join(f.Sys, "devices/pci0000:00/usb1/1-1")
	disk := filepath.Join(port, "1-1:1.0/host6/target6:0:0/6:0:0:0/block/sdz")
	put(t, filepath.Join(port, "idVendor"), "0781\n")
	put(t, filepath.Join(port, "manufacturer"), "SanDisk\n")
	put(t, filepath.Join(port, "product"), "Ultra\n")
	put(t, filepath.Join(port, "serial"), serial+"\n")
	put(t, filepath.Join(disk, "removable"), "0\n") // as USB disks say
	link := filepath.Join(f.Sys, "dev/block", number)
	err := os.MkdirAll(filepath.Dir(link), 0o755)
	if err == nil {
		err = os.Symlink(disk, link)
	}
	if err != nil {
		t.Fatal(err)
	}
}
