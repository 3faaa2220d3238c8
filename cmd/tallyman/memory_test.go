package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"testing/fstest"
)

func TestMemoryIsThatOfTheTightestControlGroup(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	machine := memoryLimit(fstest.MapFS{})
	if machine < 64<<20 {
		t.Fatalf("the machine has %d bytes", machine)
	}
	f := func(want int64, files fstest.MapFS) {
		t.Helper()
		if got := memoryLimit(files); got != want {
			t.Errorf("%d, want %d", got, want)
		}
	}
	f(machine, fstest.MapFS{"proc/self/cgroup": file("0::/\n")})
	f(machine, fstest.MapFS{"proc/self/cgroup": file("0::/a\n"), "sys/fs/cgroup/a/memory.max": file("max\n")})
	f(machine, fstest.MapFS{"proc/self/cgroup": file("0::/a\n"), "sys/fs/cgroup/other/memory.max": file("1000\n")})
	f(5000, fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("5000\n")}) // in a container
	f(4000, fstest.MapFS{
		"proc/self/cgroup":               file("1:name=systemd:/x\n0::/a/b\n"),
		"sys/fs/cgroup/a/memory.max":     file("4000\n"),
		"sys/fs/cgroup/a/b/memory.max":   file("9000\n"),
		"sys/fs/cgroup/a/b/c/memory.max": file("1000\n"),
	})
	f(machine, fstest.MapFS{"proc/self/cgroup": file("0::/../../a\n"), "sys/fs/cgroup/memory.max": file("broken")})
}

func TestCollectorIsLeftAloneWhereMemoryIsScarceOrTheUserSaysSo(t *testing.T) {
	before := debug.SetGCPercent(100)
	limit := debug.SetMemoryLimit(-1)
	defer func() { debug.SetGCPercent(before); debug.SetMemoryLimit(limit) }()
	small := fstest.MapFS{
		"proc/self/cgroup": {Data: []byte("0::/\n")}, "sys/fs/cgroup/memory.max": {Data: []byte("100000000\n")},
	}
	f := func(want int, files fstest.MapFS, environ ...string) {
		t.Helper()
		easeCollector(files, environ)
		if got := debug.SetGCPercent(100); got != want {
			t.Errorf("%d %%, want %d", got, want)
		}
	}
	f(100, small)
	if got := debug.SetMemoryLimit(-1); got != 80_000_000 {
		t.Errorf("a limit of %d bytes in a group of 100 MB", got)
	}
	f(100, fstest.MapFS{}, "HOME=/root", "GOGC=50")
	f(100, fstest.MapFS{}, "GOMEMLIMIT=1GiB")
	if memoryLimit(fstest.MapFS{}) >= plenty {
		f(lazy, fstest.MapFS{}, "HOME=/root")
	}
}

func TestCollectorIsLazyOnlyWhileLittleIsAlive(t *testing.T) {
	if got := percentFor(few); got != lazy {
		t.Errorf("few: %d", got)
	}
	if got := percentFor(few + 1); got != orderly {
		t.Errorf("more: %d", got)
	}
	before := debug.SetGCPercent(lazy)
	defer debug.SetGCPercent(before)
	hold := make([]byte, 2*few)
	followHeap(lazy)
	for got := lazy; got != orderly; { // until a collection has been followed
		runtime.GC()
		got = debug.SetGCPercent(lazy)
	}
	runtime.KeepAlive(hold)
}
