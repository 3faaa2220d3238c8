package main

import (
	"io/fs"
	"math"
	"path"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// plenty is the memory from which the collector is let be lazy: of a server of short transfers, which holds 20 to 40 MB and lets as much go each second, the
	// collector takes a tenth of the CPU at Go's default of 100 %, and a thirtieth at 300 %.
	plenty = 1 << 30
	lazy   = 300
	// few is the live heap up to which that pays: what 500 SFTP sessions hold is four times as dear as what one client holds, and is let go more slowly.
	few     = 24 << 20
	orderly = 75
)

// easeCollector sets how often the garbage collector runs, by what memory this process may have. Where more than half of it is in use the collector runs as
// often as it must (runtime/debug, SetMemoryLimit). What the environment says (GOGC, GOMEMLIMIT) counts more.
func easeCollector(root fs.FS, environ []string) {
	for _, v := range environ {
		if strings.HasPrefix(v, "GOGC=") || strings.HasPrefix(v, "GOMEMLIMIT=") {
			return
		}
	}
	switch total := memoryLimit(root); {
	case total >= plenty:
		debug.SetGCPercent(lazy)
		debug.SetMemoryLimit(total / 2)
		followHeap(lazy)
	case total > 0:
		debug.SetMemoryLimit(total / 10 * 8) // the kernel ends who takes more than all
	}
}

// followHeap looks after each collection at what is alive, and sets how often the collector runs. Now is what is set.
func followHeap(now int) {
	seen := new([64]byte) // larger than what the allocator puts together: it dies with the next collection
	runtime.AddCleanup(seen, func(now int) {
		next := percentFor(liveHeap())
		if next != now {
			debug.SetGCPercent(next)
		}
		followHeap(next)
	}, now)
}

// percentFor is how much may be allocated before the next collection, in percent of what is alive.
func percentFor(live uint64) int {
	if live > few {
		return orderly
	}
	return lazy
}

// liveHeap is what the last collection found alive, in bytes.
func liveHeap() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// memoryLimit is the memory of the machine, or what the control groups of this process leave of it (cgroups(7); memory.max of version 2); 0 if it is not known.
func memoryLimit(root fs.FS) int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	least := int64(min(uint64(info.Totalram)*uint64(info.Unit), math.MaxInt64))
	own, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return least
	}
	for line := range strings.Lines(string(own)) {
		group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		// A group outside of our own view of the tree is given as /../name: it is taken for one inside, which is not there.
		for at := path.Join("sys/fs/cgroup", path.Clean("/"+group)); at != "sys/fs"; at = path.Dir(at) {
			text, err := fs.ReadFile(root, at+"/memory.max")
			if err != nil {
				continue
			}
			if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil { // or "max"
				least = min(least, n)
			}
		}
	}
	return least
}
