// Package demo holds the acts of the demo: what real clients do, right and wrong, and what must be on record afterwards.
//
// It promises: each act returns once its client has done what it does, over real sockets; it touches nothing but the folder that SetScene is given. It leaves to
// cmd/tallyman the server, the full disk that one act needs (Tiny), and the comparison with what was recorded.
package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"tallyman"
	client "tallyman/client/tftp"
)

const (
	// GiveUp is how long the server must wait for a client that fell silent: one act lasts so long.
	GiveUp = time.Second
	// Tiny is the folder that must take no more than Room.
	Tiny = "tiny"
	// Room is what the disk of Tiny holds, in bytes.
	Room = 64 << 10
)

// Act is one scene: what the client does, and what must be on record afterwards.
type Act struct {
	Title string
	Play  func(context.Context, *Stage) error
	Want  []Record
}

// Record is one record that an act must leave.
type Record struct {
	File    string
	Verdict tallyman.Verdict
	Reason  tallyman.Reason
}

// Stage is where the demo plays.
type Stage struct{ Server netip.AddrPort }

func (s *Stage) request(name string) client.Request {
	return client.Request{Host: s.Server.Addr().String(), Port: s.Server.Port(), Name: name}
}

// SetScene makes the files that the acts ask for.
func SetScene(root string) error {
	if err := os.MkdirAll(filepath.Join(root, "pxelinux.cfg"), 0o755); err != nil {
		return fmt.Errorf("prepare the demo: %w", err)
	}
	if err := os.Mkdir(filepath.Join(root, Tiny), 0o755); err != nil {
		return fmt.Errorf("prepare the demo: %w", err)
	}
	for name, content := range map[string][]byte{
		"hello.txt": []byte("Hello. Who took this file, and did it arrive?\n"), "firmware.bin": pattern(8 << 20), "image.bin": pattern(100_000),
		"pxelinux.cfg/default": []byte("default linux\n"),
	} {
		if err := os.WriteFile(filepath.Join(root, name), content, 0o644); err != nil {
			return fmt.Errorf("prepare the demo: %w", err)
		}
	}
	return nil
}

// pattern is content that differs in every block.
func pattern(n int) []byte {
	b := make([]byte, n)
	x := uint32(2463534242)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}

// content is a reader of so many bytes.
func content(n int) io.Reader { return bytes.NewReader(pattern(n)) }
