package spool

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"

	"tallyman"
)

// BenchmarkAppend measures what a source waits for: one entry of 300 bytes into the buffer. The clock stands while the disk catches up.
func BenchmarkAppend(b *testing.B) {
	s := mustOpen(b, Config{Dir: b.TempDir(), Buffer: 8 << 20})
	defer s.Close()
	r := mustReader(b, s, "bench")
	p := bytes.Repeat([]byte("e"), 300)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Append(p); err != nil {
			b.StopTimer()
			catchUp(b, s, r)
			b.StartTimer()
		}
	}
}

// BenchmarkAppendSustained keeps the clock running while the disk catches up.
func BenchmarkAppendSustained(b *testing.B) {
	s := mustOpen(b, Config{Dir: b.TempDir()})
	defer s.Close()
	r := mustReader(b, s, "bench")
	p := bytes.Repeat([]byte("e"), 300)
	b.ReportAllocs()
	b.SetBytes(300)
	for b.Loop() {
		if _, err := s.Append(p); err != nil {
			catchUp(b, s, r)
			if _, err = s.Append(p); err != nil {
				b.Fatal(err)
			}
		}
	}
	catchUp(b, s, r)
}

func catchUp(b *testing.B, s *Spool, r *Reader) {
	id, err := s.Commit(context.Background())
	if err = errors.Join(err, r.Commit(id)); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkAppendSync100 measures one record when each hundred is synced.
func BenchmarkAppendSync100(b *testing.B) { benchmarkSync(b, 100) }

// BenchmarkAppendSync1 measures one record that is synced alone.
func BenchmarkAppendSync1(b *testing.B) { benchmarkSync(b, 1) }

func benchmarkSync(b *testing.B, each int) {
	s := mustOpen(b, Config{Dir: b.TempDir()})
	defer s.Close()
	r := mustReader(b, s, "bench")
	p := bytes.Repeat([]byte("e"), 300)
	b.ReportAllocs()
	n := 0
	var id tallyman.ID
	for b.Loop() {
		var err error
		if id, err = s.Append(p); err != nil {
			b.Fatal(err)
		}
		if n++; n%each == 0 {
			if err := errors.Join(s.Sync(context.Background(), id), r.Commit(id)); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(s.Status().Syncs)/float64(n), "syncs/op")
}

// BenchmarkRead measures one entry of 300 bytes through Next.
func BenchmarkRead(b *testing.B) {
	s := mustOpen(b, Config{Dir: b.TempDir()})
	defer s.Close()
	r := mustReader(b, s, "bench")
	p := bytes.Repeat([]byte("e"), 300)
	for range 200 {
		if _, err := s.Commit(context.Background(), slices.Repeat([][]byte{p}, 100)...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; {
		if r.at.seq > 20000 {
			if err := r.Seek(tallyman.ID{}); err != nil {
				b.Fatal(err)
			}
		}
		es, err := r.Next(context.Background(), 256)
		if err != nil {
			b.Fatal(err)
		}
		n += len(es)
	}
}

// BenchmarkCommit128 measures one record that is synced alone while 127 others are too: they share the fdatasync.
func BenchmarkCommit128(b *testing.B) {
	s := mustOpen(b, Config{Dir: b.TempDir()})
	defer s.Close()
	r := mustReader(b, s, "bench")
	p := bytes.Repeat([]byte("e"), 300)
	b.SetParallelism(128 / runtime.GOMAXPROCS(0))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			id, err := s.Commit(context.Background(), p)
			if err = errors.Join(err, r.Commit(id)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(s.Status().Syncs)/float64(b.N), "syncs/op")
}
