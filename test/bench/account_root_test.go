//go:build root

package main

import (
	"io"
	"os/exec"
	"testing"
	"time"
)

// The shell ignores SIGCHLD, as tftpd-hpa does: its account in /proc lacks its children.
func TestAccountCountsChildrenThatHaveEnded(t *testing.T) {
	cmd := exec.Command("sh", "-c", `trap "" CHLD; read go; sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; echo done; read go`)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	a, err := newAccount(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	defer cmd.Wait()
	defer in.Close()
	before, err := a.used()
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(in, "\n")
	if _, err := io.ReadFull(out, make([]byte, len("done\n"))); err != nil {
		t.Fatal(err)
	}
	after, err := a.used()
	if err != nil || after-before < 20*time.Millisecond {
		t.Errorf("a child that counted to 300,000 used %v, %v", after-before, err)
	}
	if held, err := a.held(); err != nil || held <= 0 {
		t.Errorf("held %d bytes, %v", held, err)
	}
}
