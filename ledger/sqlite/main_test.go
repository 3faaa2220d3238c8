package sqlite

import (
	"os"
	"testing"
)

// TestMain lets the test binary be the victim of TestKilledWriterLosesNothing.
func TestMain(m *testing.M) {
	if path := os.Getenv(victimPath); path != "" {
		os.Exit(victim(path))
	}
	os.Exit(m.Run())
}
