//go:build real

package real

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binaryEnv tells all tests where the program is that was built for this run.
const binaryEnv = "TALLYMAN_REAL_BINARY"

func TestMain(m *testing.M) {
	if text := os.Getenv(ftpEnv); text != "" {
		os.Exit(runErrand(text))
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "tests with the tag real mount file systems and make namespaces: run them as root")
		return 1
	}
	dir, err := os.MkdirTemp("", "tallyman-real-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "tallyman")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/tallyman").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv(binaryEnv, binary); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
