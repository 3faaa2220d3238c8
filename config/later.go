package config

import "strings"

// later lists the keys that the contract knows and this version does not. A file that sets one is refused in words that differ
// from those for a slip of the pen: the key is right, the program is too old.
var later = []string{
	"watch.servers.*", "watch.files.sensitive", "watch.files.integrity", "watch.flows", "fleet", "rules", "route", "notify", "forward", "privacy",
	"detectors.unknown-client", "detectors.critical-file", "detectors.request-rate", "detectors.transfer-failed", "detectors.copy-out",
	"detectors.flow-new", "detectors.mass-change", "detectors.integrity-changed", "detectors.sensor-lost", "detectors.evidence-contradiction",
	"detectors.wake-forged", "detectors.disk-low", "detectors.first-seen", "detectors.off-hours", "detectors.unusual-volume",
	"detectors.expected-missing",
	"keep.host", "keep.agent_files", "ledger.dsn_file",
}

// laterWords lists values of the contract that this version does not know, by key.
var laterWords = map[string][]string{"ledger.driver": {"mysql", "postgres", "clickhouse"}}

const notYet = "is not in this version"

// laterIn returns the names of the later keys of one section, whose path is given with its dot.
func laterIn(prefix string) []string {
	var out []string
	for _, path := range later {
		if name, ok := strings.CutPrefix(path, prefix); ok && !strings.Contains(name, ".") {
			out = append(out, name)
		}
	}
	return out
}
