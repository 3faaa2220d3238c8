package mounts

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"tallyman/source/mounts/device"
)

// Config says what is watched, and where the machine is.
type Config struct {
	Host  string
	State string    // folder in which is kept what was told; "" = nothing is kept
	Since time.Time // when a former run was last seen at work; zero: there was none

	Told    []device.Class          // the classes whose mounts are told; Places knows all
	Classes map[string]device.Class // what the site knows better: folders and what they are

	Mountinfo string        // the table, /proc/self/mountinfo
	Poll      bool          // look every so often, for kernels and systems that give no notice
	Every     time.Duration // between two such looks
	Finder    device.Finder
	Passwd    string // whose homes are looked at for cloud clients; "" = nobody's
	Homes     []string
	Boot      string // file that tells one boot of the machine from another
}

// Defaults is the configuration for this machine.
func Defaults(host string) Config {
	return Config{
		Host: host, Told: device.Classes(), Mountinfo: "/proc/self/mountinfo", Every: 500 * time.Millisecond, Finder: device.Machine(),
		Passwd: "/etc/passwd", Boot: "/proc/sys/kernel/random/boot_id",
	}
}

// Validate checks the configuration.
func (c *Config) Validate() error {
	if c.Every <= 0 {
		return errors.New("the time between two looks must be above 0")
	}
	for folder, class := range c.Classes {
		if !path.IsAbs(folder) || path.Clean(folder) != folder {
			return fmt.Errorf("%q is no absolute path", folder)
		}
		if !slices.Contains(device.Classes(), class) {
			return fmt.Errorf("%q is no class of %s: there are local, removable, network, cloud", class, folder)
		}
	}
	return nil
}

func (c *Config) tells(class device.Class) bool { return slices.Contains(c.Told, class) }
