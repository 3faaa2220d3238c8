package main

import (
	"context"
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

// clients is the argument that makes this program the process of the clients.
const clients = "clients"

// rig holds what all cases share: the served folder in memory, the state on the disk.
type rig struct {
	ctx      context.Context //nolint:containedctx // a rig is one run of the program, and this is the context of that run
	binary   string
	self     string
	peers    map[string]peer
	root     string // on tmpfs, so that no disk is measured
	state    string // folder for states, on the disk
	ledger   *disk  // where our ledger lies; nil = in the state folder
	progress io.Writer
	short    bool
	runs     int
	groups   int    // control groups made so far
	pin      string // together, apart, or "" where the scheduler decides
}

func newRig(ctx context.Context, binary string, progress io.Writer) (*rig, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if binary, err = filepath.Abs(binary); err != nil {
		return nil, err
	}
	if _, err := os.Stat(binary); err != nil {
		return nil, fmt.Errorf("%w: run make build", err)
	}
	peers, err := findPeers(ctx)
	if err != nil {
		return nil, err
	}
	root, err := os.MkdirTemp("/dev/shm", "tallyman-bench-")
	if err != nil {
		return nil, err
	}
	r := &rig{ctx: ctx, binary: binary, self: self, peers: peers, root: root, progress: progress}
	states, err := filepath.Abs(".cache/bench") // on the disk
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(states, 0o755); err != nil {
		return nil, err
	}
	if r.state, err = os.MkdirTemp(states, "state-"); err != nil {
		return nil, err
	}
	return r, os.Chmod(root, 0o755)
}

// group makes a control group with a name that no other has.
func (r *rig) group() (*account, error) {
	r.groups++
	return emptyAccount(fmt.Sprintf("tallyman-bench-%d-%d", os.Getpid(), r.groups))
}

func (r *rig) close() error { return errors.Join(os.RemoveAll(r.root), os.RemoveAll(r.state)) }

// file makes a file of the pattern, old enough for every cache.
func (r *rig) file(name string, size int64) error {
	path := filepath.Join(r.root, name)
	if info, err := os.Stat(path); err == nil && info.Size() == size {
		return nil
	}
	if err := os.WriteFile(path, load.NewPattern().Fill(size), 0o644); err != nil {
		return err
	}
	old := time.Now().Add(-time.Hour)
	return os.Chtimes(path, old, old)
}

// load runs clients in a process of their own, in namespace ns unless that is empty.
func (r *rig) load(s load.Spec, ns string, gate load.Gate) (load.Result, error) {
	args := []string{r.self, clients}
	if ns != "" {
		args = append([]string{"ip", "netns", "exec", ns}, args...)
	}
	if r.pin != "" {
		args = append([]string{"taskset", "-c", strconv.Itoa(r.clientProcessor())}, args...)
	}
	return load.In(exec.CommandContext(r.ctx, args[0], args[1:]...), s, gate)
}

// The values of -pin. Where one client and one server wake each other all the time, it
// decides more than all else whether they share a processor.
const (
	together = "together"
	apart    = "apart"
)

// serverProcessor is where a pinned server runs.
const serverProcessor = 0

func (r *rig) clientProcessor() int {
	if r.pin == apart {
		return serverProcessor + 1
	}
	return serverProcessor
}

// seconds is how long a run of clients lasts.
func (r *rig) seconds(n int) time.Duration {
	if r.short {
		return time.Second
	}
	return time.Duration(n) * time.Second
}

// contestant is one side of a comparison.
type contestant struct {
	label   string
	measure func() (sample, error)
}

// sample is what one run gave: metric -> figure.
type sample map[string]float64

// alternate measures each contestant in turn, again and again.
func (r *rig) alternate(name string, of ...contestant) (map[string][]sample, error) {
	got := map[string][]sample{}
	for i := range r.runs {
		for _, c := range of {
			s, err := c.measure()
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", name, c.label, err)
			}
			fmt.Fprintf(r.progress, "%s %d/%d %s: %s\n", name, i+1, r.runs, c.label, s)
			got[c.label] = append(got[c.label], s)
			if err := r.ctx.Err(); err != nil {
				return nil, err
			}
		}
	}
	return got, nil
}

// all runs the cases, or the one that is called only.
func (r *rig) all(only string) ([]result, error) {
	var results []result
	for _, c := range cases() {
		if only != "" && c.name != only {
			continue
		}
		got, err := c.run(r, c.name)
		if err != nil {
			return nil, err
		}
		results = append(results, result{Name: c.name, Title: c.title, Samples: got, Labels: c.labels, Metrics: c.metrics, Bars: c.judge(got)})
	}
	if results == nil {
		return nil, fmt.Errorf("no case %q: see -list", only)
	}
	return results, nil
}
