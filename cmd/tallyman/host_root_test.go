//go:build root

package main

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestRootScripts runs scripts that need root: see testdata/root.
func TestRootScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/root",
		Setup: func(e *testscript.Env) error {
			e.Setenv("TALLYMAN_STATE", filepath.Join(e.WorkDir, "state"))
			e.Setenv("TALLYMAN_WATCH_FILES_PATHS", filepath.Join(e.WorkDir, "w"))
			e.Setenv("NO_COLOR", "1")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"ready": waitReady, "settled": settled},
	})
}
