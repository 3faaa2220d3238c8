package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a program that is measured from its first instruction on, with all its children.
type process struct {
	cmd       *exec.Cmd
	in        io.Closer
	out       text
	complaint text
	ended     chan struct{}
	*account
}

// launch starts a program in a control group of its own. It may find libraries in folders of its own.
func (r *rig) launch(args []string, libraries string) (*process, error) {
	a, err := r.group()
	if err != nil {
		return nil, err
	}
	// The shell moves itself before it becomes the program: no child is born outside.
	const enter = `for d in $GROUPS_OF_BENCH; do echo 0 >"$d/cgroup.procs" || exit 1; done; exec "$@"`
	p := &process{account: a, ended: make(chan struct{})}
	p.cmd = exec.CommandContext(r.ctx, "sh", append([]string{"-c", enter, "sh"}, args...)...)
	p.cmd.Env = append(os.Environ(), "GROUPS_OF_BENCH="+strings.Join(a.folders(), " "), "LD_LIBRARY_PATH="+libraries)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.complaint
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		a.close()
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		a.close()
		return nil, err
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how it ended is asked where that matters
	}()
	return p, nil
}

// patience is how long is waited for a program to begin or to end.
const patience = 20 * time.Second

// stop asks the program to end, by the end of its input and by a signal, and waits for it.
func (p *process) stop() error {
	_ = p.in.Close()
	_ = syscall.Kill(p.cmd.Process.Pid, syscall.SIGINT) // it may have ended
	select {
	case <-p.ended:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("%s does not end: %s", p.cmd.Args[3:], p.complaint.String())
	}
}

// kill ends the program and its children, if they still run, and takes their group away.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // ESRCH when none is left
	<-p.ended
	p.close()
}

// resident is the highest memory of the program and of its children, added up, in bytes.
func (p *process) resident() (int64, error) {
	list, err := os.ReadFile(filepath.Join(p.processor, "cgroup.procs"))
	if err != nil {
		return 0, err
	}
	var sum int64
	for pid := range strings.FieldsSeq(string(list)) {
		var n int
		if _, err := fmt.Sscan(pid, &n); err != nil {
			return 0, err
		}
		held, err := resident(n)
		if errors.Is(err, os.ErrNotExist) {
			continue // it has just ended
		} else if err != nil {
			return 0, err
		}
		sum += held
	}
	return sum, nil
}

// text is what a program writes; it may be read meanwhile.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// mostText bounds what is kept: the last words, of much.
const mostText = 1 << 20

func (t *text) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.b.Len() > mostText {
		t.b.Next(t.b.Len() - mostText/2)
	}
	return t.b.Write(b)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// await waits until the text holds want.
func (t *text) await(ctx context.Context, want string, ended <-chan struct{}) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !strings.Contains(t.String(), want) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ended:
			return errors.New("it ended before it began")
		case <-late:
			return fmt.Errorf("it never said %q", want)
		case <-tick.C:
		}
	}
	return nil
}
