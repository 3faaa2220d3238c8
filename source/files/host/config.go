package host

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// Config says what to watch.
type Config struct {
	Host    string
	Paths   []string // absolute; each with all below it
	Exclude []string // whole paths and parts of paths: see scope
	State   string   // folder where the index is kept; empty: it is not
	Own     []string // paths that are never told: the state of the program
	// Since is when a former watch was last alive; zero: not known. Without a former index nothing is compared.
	Since time.Time
	// Bounded keeps the bound of the kernel's queue (fs.fanotify.max_queued_events, 16,384). Otherwise it grows while we are slow.
	Bounded bool
	Proc    string
	// Every is how often the canary is sent; zero: never. Late is after what time one that did not come back is a gap.
	Every, Late time.Duration
	// Slow, if set, is called before each read of the queue: tests hold the reader up.
	Slow func()
}

// Defaults returns the configuration for paths on a running host.
func Defaults(host string, paths ...string) Config {
	return Config{Host: host, Paths: paths, Proc: "/proc", Every: time.Minute, Late: 10 * time.Second}
}

// Validate says what is wrong, and what to do.
func (c Config) Validate() error {
	if len(c.Paths) == 0 {
		return errors.New("no folder to watch: name at least one in watch.files.paths")
	}
	for _, p := range c.Paths {
		if !filepath.IsAbs(p) {
			return fmt.Errorf("path %q is not absolute: write the whole path", p)
		}
	}
	return nil
}
