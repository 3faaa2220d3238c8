package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"tallyman"
	"tallyman/ledger/sqlite"
	"tallyman/pipe"
	"tallyman/source/tftp/engine"
	"tallyman/source/tftp/record"
	"tallyman/spool"
)

// BenchmarkChain takes short reads, as the TFTP server tells of them, from the Recorder to the ledger on the disk: 128 clients,
// 50 files of 1 KiB. us/record is the CPU of the process, user and system, until the ledger has them all.
//
//	go test -run - -bench Chain -benchtime 200000x -cpuprofile cpu.out ./test/bench
func BenchmarkChain(b *testing.B) {
	for _, rate := range []int{1000, 10_000, 20_000, 40_000} {
		b.Run(fmt.Sprintf("%d-a-second", rate), func(b *testing.B) { chain(b, rate) })
	}
}

func chain(b *testing.B, rate int) {
	dir := os.Getenv("CHAIN_DIR")
	if dir == "" {
		dir = b.TempDir()
	} else {
		var err error
		if dir, err = os.MkdirTemp(dir, "chain-"); err != nil { //nolint:usetesting // CHAIN_DIR names the disk that is measured
			b.Fatal(err)
		}
		defer os.RemoveAll(dir)
	}
	sp, err := spool.Open(spool.Config{Dir: filepath.Join(dir, "spool"), SyncEvery: 20 * time.Millisecond})
	if err != nil {
		b.Fatal(err)
	}
	l, err := sqlite.Open(b.Context(), sqlite.Config{Path: filepath.Join(dir, "tallyman.db")})
	if err != nil {
		b.Fatal(err)
	}
	p, err := pipe.Start(b.Context(), pipe.Parts{Host: "bench", Spool: sp, Ledger: l, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	w := record.New(p, "bench", tallyman.Proc{PID: 4711, Start: 123456})
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu(b)
	began := time.Now()
	for i := range b.N {
		read(w, i)
		if i%(rate/200) == 0 {
			<-time.After(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		}
	}
	recorded := cpu(b)
	if err := p.Drain(context.Background()); err != nil {
		b.Fatal(err)
	}
	after := cpu(b)
	b.StopTimer()
	n := float64(b.N)
	b.ReportMetric(float64((after-before).Nanoseconds())/1e3/n, "us/record")
	b.ReportMetric(float64((recorded-before).Nanoseconds())/1e3/n, "us/recorded")
	st, err := l.Status(context.Background())
	if err != nil || st.Transfers != int64(b.N) {
		b.Fatal(st.Transfers, err)
	}
	b.ReportMetric(float64(st.Used)/n, "bytes/record")
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	if err := sp.Close(); err != nil {
		b.Fatal(err)
	}
}

// read is the evidence of a read of 1 KiB.
func read(w *record.Scribe, i int) {
	name := fmt.Sprintf("small-%d", i%50)
	now := record.Wall()
	a := &record.About{
		Op:     tallyman.OpGet,
		Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(1024+i*7919%60000)),
		Server: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(32768+i%28000)),
		Began:  now.Add(-time.Duration(300+i%700) * time.Microsecond),
		Name:   name, Path: "/srv/tftp/" + name, Handle: "dev 1c ino 4711", Size: 1024, Expected: -1,
		Grant: engine.Grant{BlockSize: 512, Window: 1},
	}
	e := &record.End{
		Reason: tallyman.FinalAck, Size: -1, Digest: "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
		Outcome: engine.Outcome{Bytes: 1024, LastBlock: 3, LastAcked: 3, Requests: 1, RTT: time.Duration(100+i%900) * time.Microsecond},
	}
	w.Ended(a, e, false)
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
