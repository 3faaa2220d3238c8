package config

import (
	"reflect"
	"strings"
)

// Show writes the configuration in force as YAML, all keys in the order of the file. Behind a value that is not the default
// stands where it comes from. Load reads the text back to an equal configuration.
func Show(c Config) string {
	var b strings.Builder
	defaults := Defaults()
	var walk func(ks []key, indent string)
	walk = func(ks []key, indent string) {
		for _, k := range ks {
			b.WriteString(indent + k.name + ":")
			if k.members != nil {
				b.WriteString("\n")
				walk(k.members, indent+"  ")
				continue
			}
			b.WriteString(" " + k.text(&c))
			if from, ok := c.from[k.path]; ok && k.text(&c) != k.text(&defaults) {
				b.WriteString("  # " + from.String())
			}
			b.WriteString("\n")
		}
	}
	walk(keys(), "")
	return b.String()
}

// Diff returns the keys whose values differ: those that a running server takes over at once, and those that need a restart.
func Diff(before, after Config) (live, restart []string) {
	for _, k := range values() {
		if reflect.DeepEqual(k.in(&before).Interface(), k.in(&after).Interface()) {
			continue
		}
		if k.live {
			live = append(live, k.path)
		} else {
			restart = append(restart, k.path)
		}
	}
	return live, restart
}
