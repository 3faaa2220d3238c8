//go:build root

package files_test

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
)

func cpu() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkStorm is the cost of 12,000 files, each written under a temporary name and renamed, by the clock of the processor.
func BenchmarkStorm(b *testing.B) {
	const n = 12_000
	for b.Loop() {
		r := newRig(b)
		r.settled()
		began, at := cpu(), time.Now()
		r.act(order{Do: "storm", Path: r.root, N: n})
		storm := time.Since(at)
		r.settled()
		lag := time.Since(at) - storm
		used := cpu() - began
		c := r.w.Counts()
		lost := len(r.have(func(e *tallyman.Evidence) bool { return e.Kind == tallyman.KindGap }))
		b.ReportMetric(float64(used.Nanoseconds())/n, "cpu-ns/file")
		b.ReportMetric(float64(used)/float64(storm+lag), "cores")
		b.ReportMetric(n/storm.Seconds(), "files/s")
		b.ReportMetric(float64(lag.Milliseconds()), "lag-ms")
		b.ReportMetric(float64(c.Events), "events")
		b.ReportMetric(float64(lost), "gaps")
		r.stop()
	}
}

// BenchmarkOutside is the same storm beside the root, on the same file system: what a busy host costs.
func BenchmarkOutside(b *testing.B) {
	const n = 12_000
	for b.Loop() {
		r := newRig(b)
		away := folder(b)
		r.settled()
		began, at := cpu(), time.Now()
		r.actor.do(order{Do: "storm", Path: away, N: n})
		storm := time.Since(at)
		r.settled()
		b.ReportMetric(float64((cpu()-began).Nanoseconds())/n, "cpu-ns/file")
		b.ReportMetric(n/storm.Seconds(), "files/s")
		r.stop()
	}
}
