package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
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
func (r *rig) lossy(name string) (got map[string][]sample, err error) {
	const file = "lossy"
	if err := r.file(file, 100_000); err != nil {
		return nil, err
	}
	ns := "tallyman-bench-" + strconv.Itoa(os.Getpid())
	// Dropped on the way in, since a sender is told of what is dropped on its way out.
	rules := "table inet loss { chain in { type filter hook input priority 0; meta l4proto udp numgen random mod 100 < 5 drop; }; }"
	defer func() { err = errors.Join(err, exec.Command("ip", "netns", "del", ns).Run()) }()
	for _, args := range [][]string{
		{"ip", "netns", "add", ns},
		{"ip", "-n", ns, "link", "set", "lo", "up"},
		// tftpd-hpa resolves no address where there is none but loopback (AI_ADDRCONFIG, man 3 getaddrinfo).
		{"ip", "-n", ns, "addr", "add", "192.0.2.1/32", "dev", "lo"},
		{"ip", "netns", "exec", ns, "nft", rules},
	} {
		if out, err := exec.CommandContext(r.ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%v: %w: %s", args, err, out)
		}
	}
	spec := load.Spec{
		Kind: load.Many, Names: []string{file}, Size: 100_000, Block: 512, Clients: 16, Transfers: 1, Limit: 2 * time.Minute, Timeout: time.Second,
	}
	err = r.servers([]string{ours, hpa}, ns, func(running map[string]*server) (err error) {
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

// The contestants of the case with the ledger on a disk that hangs.
const (
	free   = "ledger's disk well"
	frozen = "ledger's disk frozen"
)

// frozen compares our server with itself: the disk of the ledger, and only that, hangs from before the first request until 3 s after the last answer.
func (r *rig) frozen(name string) (map[string][]sample, error) {
	const file = "crowd"
	if err := r.file(file, 256_000); err != nil {
		return nil, err
	}
	d, err := newDisk(r.state)
	if err != nil {
		return nil, err
	}
	r.ledger = d
	defer func() {
		r.ledger = nil
		_ = d.close()
	}()
	measure := func(hang bool) func() (sample, error) {
		return func() (got sample, err error) {
			err = r.servers([]string{ours}, "", func(running map[string]*server) error {
				got, err = r.whileFrozen(running[ours], file, hang)
				return err
			})
			return got, err
		}
	}
	return r.alternate(name, contestant{free, measure(false)}, contestant{frozen, measure(true)})
}

func (r *rig) whileFrozen(s *server, file string, hang bool) (sample, error) {
	page, err := s.open(r.ctx)
	if err != nil {
		return nil, err
	}
	defer page.close()
	if hang {
		if err := r.ledger.freeze(); err != nil {
			return nil, err
		}
		defer func() { _ = r.ledger.thaw() }()
	}
	spec := load.Spec{
		Kind: load.Many, Server: s.addr, Names: []string{file}, Size: 256_000, Block: 1428, Clients: 500, Transfers: 2, Limit: time.Minute, Timeout: time.Second,
	}
	result, err := r.load(spec, "", nil)
	if err != nil {
		return nil, err
	}
	if hang {
		<-time.After(3 * time.Second)
	}
	sys, err := s.system()
	if err := errors.Join(err, r.ledger.thaw()); err != nil {
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
	kept, err := s.records()
	got := turn{Result: result, drain: drain}.figures()
	got[peak], got[highest], got[missing] = float64(sys.Backlog), float64(rss)/(1<<20), float64(result.Transfers-kept)
	return got, err
}
