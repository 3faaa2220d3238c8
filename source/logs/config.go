package logs

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"tallyman/source/logs/format"
)

// Config says which logs are read.
type Config struct {
	// State is the folder in which the places that were read to are kept.
	State string
	// Host is this machine, for lines that do not say.
	Host string
	// Journal follows the journal of systemd.
	Journal bool
	// JournalDir is a folder of journal files in place of the machine's own journal.
	JournalDir string
	// Files are text files that are followed.
	Files []File
	// Sockets are paths of sockets that are made, to be used as /dev/log by servers in containers and chroots.
	Sockets []string
	// Zone is the local time of this machine; nil is time.Local.
	Zone *time.Location
	// Clock tells the time; nil is time.Now.
	Clock func() time.Time
	// Log is told what goes wrong; nil is silent.
	Log *slog.Logger
}

// File is a text file.
type File struct {
	Path string
	// Format is a name of format.Names; "" finds out by the first lines.
	Format string
	// Zone is the local time that its stamps are in; nil is that of the machine.
	Zone *time.Location
	// FromStart reads what is there at the first start too.
	FromStart bool
}

// Validate says what is wrong.
func (c Config) Validate() error {
	if c.State == "" {
		return errors.New("the folder for the places in logs is not set")
	}
	if !c.Journal && len(c.Files) == 0 && len(c.Sockets) == 0 {
		return errors.New("no log is to be read: name the journal, a file or a socket")
	}
	for _, f := range c.Files {
		if !filepath.IsAbs(f.Path) {
			return fmt.Errorf("log file %q: write the whole path", f.Path)
		}
		if f.Format != "" && !slices.Contains(format.Names(), f.Format) {
			return fmt.Errorf("log file %s: there is no format %q; there are %v", f.Path, f.Format, format.Names())
		}
	}
	for _, s := range c.Sockets {
		if !filepath.IsAbs(s) {
			return fmt.Errorf("log socket %q: write the whole path", s)
		}
	}
	return nil
}
