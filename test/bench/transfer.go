package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tallyman/test/bench/load"
)

// enough is the least CPU that is quoted.
const enough = 500 * time.Millisecond

// side is one contestant of a comparison of single clients.
type side struct {
	label, server string
	block, window int
	buffer        int  // SO_RCVBUF of the client, 0 = the kernel's default
	unchanged     bool // the file stays as it is, else it is touched before each read
}

// servers starts the named servers and stops them when body returns.
func (r *rig) servers(names []string, ns string, body func(map[string]*server) error) (err error) {
	running := map[string]*server{}
	defer func() {
		for _, s := range running {
			s.stop()
		}
	}()
	for _, name := range names {
		if running[name] != nil {
			continue
		}
		s, err := r.start(name, ns)
		if err != nil {
			return err
		}
		running[name] = s
	}
	return body(running)
}

// turn is one run of clients on one server, as the server's accounts show it.
type turn struct {
	load.Result
	cpu   time.Duration
	drain time.Duration
	syncs int64
}

// take runs the clients until least has passed and the server has used enough CPU to quote.
func (r *rig) take(s *server, spec load.Spec, ns string, least time.Duration) (turn, error) {
	var sum turn
	spec.Server = s.addr
	for {
		t, err := r.once(s, spec, ns)
		if err != nil {
			return sum, err
		}
		sum.add(t)
		if sum.over(least) {
			return sum, nil
		}
	}
}

// over reports whether a turn is long enough. What does no transfer would last for ever.
func (t *turn) over(least time.Duration) bool {
	return t.Elapsed >= least && t.cpu >= enough || least == 0 || t.Transfers == 0
}

func (r *rig) once(s *server, spec load.Spec, ns string) (turn, error) {
	var t turn
	before, err := s.usage()
	if err != nil {
		return t, err
	}
	if t.Result, err = r.load(spec, ns, nil); err != nil {
		return t, err
	}
	if t.drain, err = s.drain(r.ctx); err != nil {
		return t, err
	}
	after, err := s.usage()
	if err != nil {
		return t, err
	}
	if t.Transfers == 0 && s.control != nil { // what a peer cannot do is a figure
		err = errors.New("no transfer was whole: " + t.Error)
	}
	t.cpu, t.syncs = after.cpu-before.cpu, after.syncs-before.syncs
	return t, err
}

// add makes t and o one turn; a percentile is the worst of the two.
func (t *turn) add(o turn) {
	o.Elapsed += t.Elapsed
	o.Bytes += t.Bytes
	o.Transfers += t.Transfers
	o.Failed += t.Failed
	o.LostRequests += t.LostRequests
	o.Timeouts += t.Timeouts
	o.Gaps += t.Gaps
	o.P50, o.P99, o.Max = max(o.P50, t.P50), max(o.P99, t.P99), max(o.Max, t.Max)
	o.cpu += t.cpu
	o.drain += t.drain
	o.syncs += t.syncs
	*t = o
}

// usage is what a server has used so far.
type usage struct {
	cpu   time.Duration
	syncs int64
}

func (s *server) usage() (usage, error) {
	cpu, err := s.used()
	if err != nil || s.control == nil {
		return usage{cpu: cpu}, err
	}
	sys, err := s.system()
	return usage{cpu, sys.Counters["spool_syncs_total"]}, err
}

// figures turns a turn into metrics.
func (t turn) figures() sample {
	n := float64(t.Transfers)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return sample{
		speed: float64(t.Bytes) / 1e6 / t.Elapsed.Seconds(), cost: t.cpu.Seconds() / (float64(t.Bytes) / 1e9),
		again: float64(t.Gaps + t.Timeouts), lost: float64(t.LostRequests), failed: float64(t.Failed),
		syncs: float64(t.syncs) / n, spoolled: n / t.Elapsed.Seconds(), ledgered: n / (t.Elapsed + t.drain).Seconds(),
		each: float64(t.cpu.Microseconds()) / n, p50: ms(t.P50), p99: ms(t.P99), slowest: ms(t.Max),
		drained: t.drain.Seconds(),
	}
}

// reads compares one client that reads one file again and again. But for sides that say
// otherwise the file is touched before each read, so that no cache of digests helps.
func (r *rig) reads(name string, sides ...side) (map[string][]sample, error) {
	var got map[string][]sample
	err := r.servers(serversOf(sides), "", func(running map[string]*server) (err error) {
		var of []shift
		for _, s := range sides {
			size := int64(16 << 20)
			if s.window > 1 {
				size = 64 << 20
			}
			file := fmt.Sprintf("f%d", size)
			touch := filepath.Join(r.root, file)
			if s.unchanged {
				file, touch = "unchanged-"+file, ""
			}
			if err := r.file(file, size); err != nil {
				return err
			}
			spec := load.Spec{
				Kind: load.Read, Server: running[s.server].addr, Names: []string{file}, Size: size, Block: s.block, Window: s.window,
				Duration: pass, Limit: 20 * time.Second, Timeout: time.Second, ReceiveBuffer: s.buffer, Touch: touch,
			}
			of = append(of, shift{s.label, func(string) (turn, error) { return r.once(running[s.server], spec, "") }})
		}
		got, err = r.interleave(name, of...)
		return err
	})
	return got, err
}

func serversOf(sides []side) []string {
	var names []string
	for _, s := range sides {
		names = append(names, s.server)
	}
	return names
}

// writes compares one client that stores one file after the other, each under a new name.
func (r *rig) writes(name string, block int) (map[string][]sample, error) {
	const size = 64 << 20
	var got map[string][]sample
	err := r.servers([]string{ours, atftpd}, "", func(running map[string]*server) (err error) {
		var of []shift
		for _, who := range []string{ours, atftpd} {
			of = append(of, shift{who, func(name string) (turn, error) {
				t, err := r.once(running[who], load.Spec{
					Kind: load.Write, Server: running[who].addr, Names: []string{name}, Size: size, Block: block, Window: 64,
					Duration: pass, Limit: 20 * time.Second, Timeout: time.Second,
				}, "")
				whole, wrong := r.collect(name+"-", size)
				if err = errors.Join(err, wrong); err == nil && whole < t.Transfers {
					err = fmt.Errorf("%d uploads were acknowledged, and %d files are whole", t.Transfers, whole)
				}
				return t, err
			}})
		}
		got, err = r.interleave(name, of...)
		return err
	})
	return got, err
}

// collect takes away what was uploaded and counts the files that hold what was sent.
func (r *rig) collect(prefix string, size int64) (whole int, err error) {
	pattern := load.NewPattern()
	entries, err := os.ReadDir(r.root)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		path := filepath.Join(r.root, e.Name())
		good, failure := holds(path, pattern, size)
		if good {
			whole++
		}
		err = errors.Join(err, failure, os.Remove(path))
	}
	return whole, err
}

// holds reports whether the file is the first size bytes of the pattern.
func holds(path string, pattern *load.Pattern, size int64) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }() // it was only read
	b := make([]byte, 32<<10)
	for at := int64(0); ; {
		n, err := f.Read(b)
		if !pattern.Holds(at, b[:n]) {
			return false, nil
		}
		if at += int64(n); errors.Is(err, io.EOF) {
			return at == size, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// small compares n clients that read small files for 10 s: each one file after the
// other, or, when files is above 0, so many each, and then all of them begin again at once.
func (r *rig) small(name string, n, files int) (map[string][]sample, error) {
	var names []string
	for i := range 128 {
		names = append(names, fmt.Sprintf("small-%d", i))
		if err := r.file(names[i], 1024); err != nil {
			return nil, err
		}
	}
	spec := load.Spec{
		Kind: load.Many, Names: names, Size: 1024, Block: 512, Clients: n, Limit: r.seconds(10) + 30*time.Second, Timeout: time.Second,
	}
	if spec.Transfers = files; files == 0 {
		spec.Duration = r.seconds(10)
	}
	servers := []string{ours, dnsmasq, atftpd}
	var got map[string][]sample
	err := r.servers(servers, "", func(running map[string]*server) (err error) {
		var of []contestant
		for _, who := range servers {
			of = append(of, contestant{who, func() (sample, error) {
				t, err := r.take(running[who], spec, "", r.seconds(10))
				return t.figures(), err
			}})
		}
		got, err = r.alternate(name, of...)
		return err
	})
	return got, err
}
