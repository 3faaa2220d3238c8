package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"tallyman/test/bench/load"
)

// memory compares what 500 slow readers cost. A server is new for each run; its first
// transfers, which fill pools and load code, are over before the count begins.
func (r *rig) memory(name string) (map[string][]sample, error) {
	const readers = 500
	const file = "slow"
	if err := r.file(file, 1<<20); err != nil {
		return nil, err
	}
	var of []contestant
	for _, who := range []string{ours, dnsmasq, atftpd, hpa} {
		of = append(of, contestant{who, func() (got sample, err error) {
			err = r.servers([]string{who}, "", func(running map[string]*server) error {
				s := running[who]
				warm := load.Spec{
					Kind: load.Many, Server: s.addr, Names: []string{file}, Size: 1 << 20, Block: 512, Clients: 4, Transfers: 1, Timeout: time.Second,
				}
				_, err := r.load(warm, "", nil)
				if err != nil {
					return err
				}
				got, err = r.slow(s, file, readers)
				return err
			})
			return got, err
		}})
	}
	return r.alternate(name, of...)
}

func (r *rig) slow(s *server, file string, readers int) (sample, error) {
	at := map[string]int64{}
	var failure error
	spec := load.Spec{
		Kind: load.Slow, Server: s.addr, Names: []string{file}, Size: 1 << 20, Block: 512, Clients: readers, Transfers: 1,
		Timeout: 10 * time.Second, Pace: 5 * time.Second, Limit: time.Minute,
	}
	result, err := r.load(spec, "", func(state string) {
		n, err := s.held()
		failure = errors.Join(failure, err)
		at[state] = n
	})
	if err = errors.Join(err, failure); err != nil {
		return nil, err
	}
	if at["holding"] == 0 {
		return nil, fmt.Errorf("not all %d readers had their first block: %s", readers, result.Error)
	}
	return sample{memory: float64(at["holding"]-at["ready"]) / 1024 / float64(readers), failed: float64(result.Failed)}, nil
}

// lossy compares 16 readers in a network namespace that drops one packet in 20.
func (r *rig) lossy(name string) (map[string][]sample, error) {
	const file = "lossy"
	if err := r.file(file, 100_000); err != nil {
		return nil, err
	}
	ns := "tallyman-bench-" + strconv.Itoa(os.Getpid())
	// Dropped on the way in, since a sender is told of what is dropped on its way out.
	rules := "table inet loss { chain in { type filter hook input priority 0; meta l4proto udp numgen random mod 100 < 5 drop; }; }"
	defer exec.Command("ip", "netns", "del", ns).Run()
	for _, args := range [][]string{
		{"ip", "netns", "add", ns}, {"ip", "-n", ns, "link", "set", "lo", "up"},
		// tftpd-hpa resolves no address where there is none but loopback (AI_ADDRCONFIG, man 3 getaddrinfo).
		{"ip", "-n", ns, "addr", "add", "192.0.2.1/32", "dev", "lo"}, {"ip", "netns", "exec", ns, "nft", rules},
	} {
		if out, err := exec.CommandContext(r.ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%v: %w: %s", args, err, out)
		}
	}
	spec := load.Spec{
		Kind: load.Many, Names: []string{file}, Size: 100_000, Block: 512, Clients: 16, Transfers: 1, Limit: 2 * time.Minute, Timeout: time.Second,
	}
	var got map[string][]sample
	err := r.servers([]string{ours, hpa}, ns, func(running map[string]*server) (err error) {
		var of []contestant
		for _, who := range []string{ours, hpa} {
			of = append(of, contestant{who, func() (sample, error) {
				t, err := r.take(running[who], spec, ns, 0)
				return t.figures(), err
			}})
		}
		got, err = r.alternate(name, of...)
		return err
	})
	return got, err
}

// The contestants of the case with the locked ledger.
const (
	free   = "ledger free"
	locked = "ledger locked"
)

// locked compares our server with itself: another process holds the write lock of the
// ledger from before the first request until 3 s after the last answer.
func (r *rig) locked(name string) (map[string][]sample, error) {
	const file = "crowd"
	if err := r.file(file, 256_000); err != nil {
		return nil, err
	}
	measure := func(lock bool) func() (sample, error) {
		return func() (got sample, err error) {
			err = r.servers([]string{ours}, "", func(running map[string]*server) error {
				got, err = r.underLock(running[ours], file, lock)
				return err
			})
			return got, err
		}
	}
	return r.alternate(name, contestant{free, measure(false)}, contestant{locked, measure(true)})
}

func (r *rig) underLock(s *server, file string, lock bool) (sample, error) {
	page, err := s.open(r.ctx)
	if err != nil {
		return nil, err
	}
	defer page.close()
	unlock := func() error { return nil }
	if lock {
		if unlock, err = lockLedger(filepath.Join(filepath.Dir(s.socket), "ledger.db")); err != nil {
			return nil, err
		}
		defer unlock()
	}
	spec := load.Spec{
		Kind: load.Many, Server: s.addr, Names: []string{file}, Size: 256_000, Block: 1428, Clients: 500, Transfers: 2, Limit: time.Minute, Timeout: time.Second,
	}
	result, err := r.load(spec, "", nil)
	if err != nil {
		return nil, err
	}
	if lock {
		<-time.After(3 * time.Second)
	}
	sys, err := s.system()
	if err := errors.Join(err, unlock()); err != nil {
		return nil, err
	}
	drain, err := s.drain(r.ctx)
	if err != nil {
		return nil, err
	}
	rss, err := resident(s.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	kept, err := countRows(filepath.Join(filepath.Dir(s.socket), "ledger.db"))
	got := turn{Result: result, drain: drain}.figures()
	got[peak], got[highest], got[missing] = float64(sys.Backlog), float64(rss)/(1<<20), float64(result.Transfers-kept)
	return got, err
}

// lockLedger takes the write lock of a SQLite file in a process of its own.
func lockLedger(path string) (unlock func() error, err error) {
	cmd := exec.Command("sqlite3", "-batch", path)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	fmt.Fprintln(in, ".timeout 5000\nBEGIN IMMEDIATE;\nSELECT 'held';")
	held := make([]byte, len("held"))
	if _, err := io.ReadFull(out, held); err != nil {
		return nil, fmt.Errorf("lock the ledger with sqlite3: %w", err)
	}
	return func() error {
		if in == nil {
			return nil
		}
		in.Close() // sqlite3 rolls back and ends
		in = nil
		return cmd.Wait()
	}, nil
}

func countRows(path string) (int, error) {
	out, err := exec.Command("sqlite3", "-readonly", path, "SELECT count(*) FROM transfer").Output()
	if err != nil {
		return 0, fmt.Errorf("count the records: %w", err)
	}
	n, err := strconv.Atoi(string(out[:max(len(out)-1, 0)]))
	return n, err
}
