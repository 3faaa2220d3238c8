package sqlite

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// TestMain lets the test binary be the victim of TestKilledWriterLosesNothing, and draws less where SQLite is slow.
func TestMain(m *testing.M) {
	if path := os.Getenv(victimPath); path != "" {
		os.Exit(victim(path))
	}
	if err := flag.Set("rapid.checks", drawings); err != nil { // the command line comes later, and wins
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
