// Package tree is one served folder: safe reads, uploads that nobody sees before they are whole, and the old versions of what they
// replace. The servers (source/tftp, later source/ftp and source/sftp) hand it names; they touch no file themselves.
//
//	Name --OpenRead--> File: regular, readable, inside the root, size fixed at open
//	Name --Create----> Upload: ROOT/dir/.tallyman-0123456789abcdef.part
//	                     | Commit: sync the file, ROOT/.kept/dir/NAME-2020-04-20-11-05-37-345 <- old, NAME <- new, sync the folders
//	                     | Abort: gone
//	     --Stat, List--> Info;   --Mkdir, Rmdir, Remove, Rename, SetMode, SetModified--> done and synced
//
// It promises:
//   - No name and no symbolic link leads out of the root, whoever swaps links meanwhile (room beneath).
//   - No FIFO, device or socket blocks anybody. Nothing registers with the runtime's poller.
//   - What stands under a final name is whole. A reader finds the old file or the new one, never a part, never nothing.
//   - After Commit has returned without error the upload survives a power cut. After an error of Commit, or after a kill, the old file stands,
//     or the new one whole. What a kill leaves behind is a temporary file, and Sweep takes it away;
//     where the file system has no links it may be the whole new version in .kept.
//   - In mode Keep no version is lost while it counts among the newest, also when uploads of one name end at once, in this process or in another. (A
//     kill that hits the moment between two such ends may cost the version that stood for that moment.)
//   - An error is a *Refusal with a reason from the closed list and a sentence for people.
//
// What it leaves to others: who may ask (room acl), the words on the wire, evidence, digests of what streams by.
package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tallyman"
	"tallyman/tree/beneath"
)

// Config says how a folder is served. The zero Config is a sound one.
type Config struct {
	// WorldReadableOnly refuses files that others may not read (mode o+r, and o+x on the folders below the root), whoever runs the process. It
	// is on for protocols without a login and for processes started as root.
	WorldReadableOnly bool
	// MakeDirs makes the folders that an upload names and that do not exist, with mode 0755.
	MakeDirs bool
	// Mode of an uploaded file; 0 means 0644. The umask does not count.
	Mode fs.FileMode
	// UID and GID own what is made, when the process runs as root.
	UID, GID int
	// Kept is how many old versions of one name stay; 0 means 30, below 0 all.
	Kept int
	// Zone in which the time in a kept name is written; nil means local time.
	Zone *time.Location
	// Step is told of each file operation; nil in production.
	Step tallyman.Step
}

const (
	defaultMode = 0o644
	defaultKept = 30
)

// Tree is one served folder. Its methods may be called by many goroutines.
type Tree struct {
	cfg  Config
	root *beneath.Root

	replacing sync.Mutex // one upload at a time takes the place of an old file
}

// Open opens a folder for serving. It starts nothing and changes nothing; whoever wants leftovers gone calls Sweep.
func Open(root string, cfg Config) (*Tree, error) {
	if cfg.Mode == 0 {
		cfg.Mode = defaultMode
	}
	if cfg.Kept == 0 {
		cfg.Kept = defaultKept
	}
	if cfg.Zone == nil {
		cfg.Zone = time.Local
	}
	r, err := beneath.Open(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open served root %s: it does not exist: make it with mkdir, or name another root: %w", tallyman.Escape(root), err)
	}
	if err != nil {
		return nil, fmt.Errorf("open served root: %w", err)
	}
	return &Tree{cfg: cfg, root: r}, nil
}

// Path returns the real absolute path of the root.
func (t *Tree) Path() string { return t.root.Path() }

// Close lets the root go. Files and uploads must be closed before.
func (t *Tree) Close() error { return t.root.Close() }

// abs returns the absolute path of a path relative to the root.
func (t *Tree) abs(rel string) string { return filepath.Join(t.Path(), rel) }

// do makes one file operation: it asks the step first, and repeats what a signal interrupted (signal(7): network file systems and
// FUSE may say EINTR).
func (t *Tree) do(op, path string, call func() error) error {
	if err := t.cfg.Step.Do(op, path); err != nil {
		return err
	}
	return again(call)
}

// chowns reports whether what is made must be given away.
func (t *Tree) chowns() bool { return (t.cfg.UID != 0 || t.cfg.GID != 0) && os.Geteuid() == 0 }
