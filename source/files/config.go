package files

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tallyman/source/files/account"
	"tallyman/source/files/fanotify"
)

// Mode is the way in which events reach us.
type Mode string

// The modes, the best first. Auto takes the best that works, for each file system.
const (
	Auto       Mode = ""
	FileSystem Mode = "fanotify"         // marks on whole file systems: nothing can be missed, the process is known
	Folders    Mode = "fanotify-folders" // marks folder by folder: what is made in a new folder at once is found by looking
	Inotify    Mode = "inotify"          // the same, and the process is not known
)

// Root is a folder that is watched, with all below it.
type Root struct {
	Path  string
	Proto string // of the server that serves it: tftp, ftp, sftp; it is set in the evidence
	// Programs are the names of the programs whose doings are told: of the executable or of the process. Empty: all.
	Programs []string
}

// Config says what to watch.
type Config struct {
	Host  string
	Roots []Root
	Mode  Mode
	// Since is when the former watch ended, as far as that is known: from then to the start is a gap. Zero: there was none.
	Since time.Time
	// Bounded keeps the kernel's bound on the queue (fs.fanotify.max_queued_events). Otherwise it grows while we are slow.
	Bounded bool
	Account account.Config
	// Proc is where /proc is.
	Proc string
}

// Defaults returns the configuration for roots on a running host.
func Defaults(host string, roots ...Root) Config {
	return Config{Host: host, Roots: roots, Account: account.Defaults(host), Proc: "/proc"}
}

// Validate says what is wrong, and what to do.
func (c Config) Validate() error {
	if len(c.Roots) == 0 {
		return errors.New("no root to watch: name at least one folder")
	}
	for _, r := range c.Roots {
		if !filepath.IsAbs(r.Path) {
			return fmt.Errorf("root %q is not absolute: write the whole path", r.Path)
		}
	}
	if !slices.Contains([]Mode{Auto, FileSystem, Folders, Inotify}, c.Mode) {
		return fmt.Errorf("mode %q is none of fanotify, fanotify-folders, inotify", c.Mode)
	}
	return nil
}

// wants reports whether a process is one of the programs. Of one that had gone before it could be looked at, nobody knows: it is told.
func (r *Root) wants(who *account.Who) bool {
	if len(r.Programs) == 0 || who.Comm == "" {
		return true
	}
	return slices.ContainsFunc(r.Programs, func(p string) bool {
		return p == filepath.Base(who.Exe) || p == who.Comm || len(who.Comm) == commLen && strings.HasPrefix(p, who.Comm)
	})
}

// commLen is how long the name of a process can be (TASK_COMM_LEN without its NUL).
const commLen = 15

// mask is what is asked of the kernel. ONDIR is for folders that are made, moved and removed; their opens come with it and are passed over.
const mask = fanotify.Open | fanotify.Access | fanotify.Modify | fanotify.CloseWrite | fanotify.CloseNoWrite |
	fanotify.Create | fanotify.Delete | fanotify.Rename | fanotify.OnDir
