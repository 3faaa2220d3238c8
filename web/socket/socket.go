// Package socket makes the unix socket by which the command line asks a running server. Its file mode is its lock.
//
// It promises: nobody ever finds the socket with a wider mode than 0660; a socket that a dead process left is replaced, and any other file in its place is
// left alone; the socket goes when the server ends. It leaves to package web what is said through it, and to the state folder's lock that two processes never share one.
package socket

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// longest is what sun_path holds (unix(7)): 108 bytes with the NUL.
const longest = 107

// Name is what the socket is called in the state folder.
const Name = "tallyman.sock"

// Path is where the socket of a state folder stands; a path too long for a socket moves to the runtime folder, under a name made from it.
func Path(state, runtime string) string {
	path := filepath.Join(state, Name)
	if len(path)+len(".new") <= longest {
		return path
	}
	sum := sha256.Sum256([]byte(path))
	return filepath.Join(runtime, fmt.Sprintf("tallyman-%x.sock", sum[:8]))
}

// Listen makes the socket, with mode 0660: whoever may open it may ask. What a dead process left there goes. The socket is made under another name and
// renamed, so that nobody ever finds it with a wider mode. It is removed when the listener closes.
func Listen(ctx context.Context, path string) (net.Listener, error) {
	fresh := path + ".new"
	if err := errors.Join(removeStale(fresh), removeStale(path)); err != nil {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", fresh)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(fresh, 0o660), os.Rename(fresh, path)); err != nil {
		return nil, errors.Join(err, l.Close(), removeStale(fresh))
	}
	return &listener{l, path}, nil
}

// listener removes the socket when it closes.
type listener struct {
	net.Listener
	path string
}

func (l *listener) Close() error {
	err := l.Listener.Close()
	if gone := os.Remove(l.path); err == nil && !errors.Is(gone, fs.ErrNotExist) {
		err = gone
	}
	return err
}

// removeStale takes away a socket that a dead process left. Two processes never share a state folder, so it is not in use.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is in the way and is no socket: move it away", path)
	}
	return os.Remove(path)
}
