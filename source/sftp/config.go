package sftp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/crypto/ssh"

	"tallyman"
	"tallyman/tree"
	"tallyman/user"
)

// Config is what the server is told once. What a reload may change is in Policy.
type Config struct {
	// Listen is host and port, as net.Listen takes them.
	Listen string
	// Keys are the keys that the server is known by.
	Keys []ssh.Signer
	// Fast speaks AES-GCM alone: clients that would take ChaCha20 first then cost half of the processor.
	Fast bool
	// Idle drops a session that has asked nothing for so long, Stall one that takes nothing of what it asked for.
	Idle, Stall time.Duration
	// LoginWithin drops who is not logged in by then.
	LoginWithin time.Duration
	// Drain is how long running transfers may go on when the server stops.
	Drain time.Duration
	// Connections at one time, in all; Waiting of those that are not logged in yet, in all, and WaitingEach of one address. More are closed at once and counted.
	Connections, Waiting, WaitingEach int
	// Handles that one session may have open.
	Handles int
	// Hash digests what passes.
	Hash bool
	Host string
	Proc tallyman.Proc
}

// Defaults is a server on port 2022.
func Defaults() Config {
	return Config{
		Listen: ":2022", Idle: 15 * time.Minute, Stall: time.Minute, LoginWithin: 30 * time.Second, Drain: 30 * time.Second,
		Connections: 2000, Waiting: 200, WaitingEach: 50, Handles: 256, Hash: true,
	}
}

// Validate says what is wrong.
func (c Config) Validate() error {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fmt.Errorf("listen %q: %w", c.Listen, err)
	}
	if len(c.Keys) == 0 {
		return errors.New("there is no host key")
	}
	for _, b := range [...]struct {
		name string
		n    int64
	}{
		{"idle", int64(c.Idle)},
		{"stall", int64(c.Stall)},
		{"login", int64(c.LoginWithin)},
		{"connections", int64(c.Connections)},
		{"waiting", int64(c.Waiting)},
		{"waiting of one address", int64(c.WaitingEach)},
		{"handles", int64(c.Handles)},
	} {
		if b.n <= 0 {
			return fmt.Errorf("the bound of %s must be above 0", b.name)
		}
	}
	return nil
}

// Policy is what a reload may change.
type Policy struct {
	Read bool
	// Write takes uploads; Mode says what happens to a file that has the name.
	Write   bool
	Mode    tree.Mode
	MaxSize int64 // bytes of an upload, 0 = any
	MinFree func(disk uint64) uint64
}

// Parts is who the server works with. The functions may be called by many goroutines.
type Parts struct {
	Users *user.Book
	// Root opens the root of an account. It stays open as long as the server.
	Root func(a *user.Account) (*Root, error)
	// Gate says who may connect at all, and if not why: one sentence that names the setting.
	Gate   func(client netip.Addr) (ok bool, why string)
	Policy func() Policy
}

// Root is a served folder.
type Root struct {
	Tree    *tree.Tree
	Digests *tree.Digests
}
