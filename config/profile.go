package config

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed profile
var profiles embed.FS

// laterProfiles are words of the contract that this version has no configuration for.
var laterProfiles = []string{"host", "ftp", "exam", "syslog-server"}

// Profiles lists the profiles of this version.
func Profiles() []string { return []string{"tftp", "wotftp"} }

// Profile returns a commented configuration for a purpose, and what to do next, in a few lines for people.
func Profile(name string) (yaml, next string, err error) {
	known := strings.Join(Profiles(), ", ")
	switch {
	case slices.Contains(laterProfiles, name):
		return "", "", fmt.Errorf("the profile %s %s: there are %s", name, notYet, known)
	case !slices.Contains(Profiles(), name):
		return "", "", fmt.Errorf("there is no profile %q%s: there are %s", name, didYouMean(name, Profiles()), known)
	}
	text, err := profiles.ReadFile("profile/" + name + ".yaml")
	if err != nil {
		return "", "", fmt.Errorf("read profile: %w", err)
	}
	steps, err := profiles.ReadFile("profile/" + name + ".txt")
	if err != nil {
		return "", "", fmt.Errorf("read profile: %w", err)
	}
	return string(text), string(steps), nil
}
