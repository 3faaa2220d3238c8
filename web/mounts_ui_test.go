//go:build ui

package web

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tallyman"
	"tallyman/web/live"
)

// TestMountsInChromium plays test/mounts.mjs: a stick is plugged in and pulled out while the page is open.
func TestMountsInChromium(t *testing.T) {
	ledger, feed := newMemory(), live.NewFeed()
	var mu sync.Mutex
	list := []Mount{
		{Path: "/", ToClass: "local", FS: "ext4", Source: "/dev/sda1", Since: time.Now().UTC()},
		{Path: "/mnt/nas", ToClass: "network", Device: "nfs:nas:/x", Share: "nas:/x", FS: "nfs4", Source: "nas:/x", Since: time.Now().UTC(), Why: "file system nfs4"},
	}
	s := startServer(t, t.Context(), Parts{Ledger: ledger, Feed: feed, Mounts: func() []Mount {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(list)
	}, System: func() System {
		return System{Witnesses: []Witness{{Name: "mounts", State: Live, Text: "1 local, 1 network mounted"}}, Spool: Store{State: Live}, Ledger: Store{State: Live}}
	}})
	seq := uint64(0)
	control := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		stick := Mount{
			Path: "/media/<b>stick</b>", ToClass: "removable", Device: `usb:4C53 SanDisk Ultra "STICK"`, FS: "vfat", Source: "/dev/sdb1", User: "ann", Since: time.Now().UTC(),
		}
		kind := strings.TrimPrefix(r.URL.Path, "/")
		if kind == "mount" {
			list = append(list, stick)
		} else {
			list = list[:2]
		}
		seq++
		e := &tallyman.Event{
			ID: tallyman.DrawUUID(time.Now(), tallyman.ID{Epoch: 3, Seq: seq}), At: tallyman.Clean(time.Now()), Host: "vm", Witness: "mounts", Kind: kind, Path: stick.Path,
			ToClass: stick.ToClass, Device: stick.Device, Text: kind + "ed, vfat of /dev/sdb1",
		}
		mu.Unlock()
		give(t, ledger, e)
		give(t, feed, e)
	}))
	defer control.Close()
	play(t, "test/mounts.mjs", s.Link(), control.URL)
}
