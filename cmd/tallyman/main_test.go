package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the test binary be the program, for scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tallyman": main, "victim": victim})
}

// TestScripts runs the command line as a person would: see testdata/script. A fixed fault becomes a stanza headed by what was wrong.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("TALLYMAN_STATE", filepath.Join(e.WorkDir, "state"))
			e.Setenv("NO_COLOR", "1")
			repo, err := filepath.Abs("../..")
			e.Setenv("REPO", repo)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": waitReady, "settled": settled, "readme": readmeCommands, "capture": writeCapture, "examples": runExamples,
			"documented": documented, "told": awaitEvents,
		},
	})
}

// waitReady waits for the ready file of a server in the background, and sets the variables TFTP, FTP, FTPS and SFTP to its addresses.
func waitReady(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-tick.C {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		ts.Check(err)
		for _, proto := range []string{"ftp", "ftps", "sftp"} {
			if _, after, ok := strings.Cut(string(text), `"`+proto+`":"`); ok {
				addr, _, _ := strings.Cut(after, `"`)
				ts.Setenv(strings.ToUpper(proto), addr)
			}
		}
		if _, after, ok := strings.Cut(string(text), `"tftp":"`); ok {
			addr, _, _ := strings.Cut(after, `"`)
			ts.Setenv("TFTP", addr)
			_, port, err := net.SplitHostPort(addr)
			ts.Check(err)
			ts.Setenv("PORT", port)
		}
		return
	}
	ts.Fatalf("%s did not appear", args[0])
}

// settled waits until so many transfers have ended.
func settled(ts *testscript.TestScript, _ bool, args []string) {
	a := askSocket(socketPath(ts.Getenv("TALLYMAN_STATE")))
	defer a.close()
	n := 0
	for _, digit := range args[0] {
		n = 10*n + int(digit-'0')
	}
	_, err := awaitRecords(context.Background(), a, n)
	ts.Check(err)
}

// awaitEvents waits until so many events fit a query.
func awaitEvents(ts *testscript.TestScript, _ bool, args []string) {
	a := askSocket(socketPath(ts.Getenv("TALLYMAN_STATE")))
	defer a.close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var answer struct{ Events []json.RawMessage }
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-tick.C {
		ts.Check(a.Get(context.Background(), "events", url.Values{"q": {args[1]}}, &answer))
		if strconv.Itoa(len(answer.Events)) == args[0] {
			return
		}
	}
	ts.Fatalf("%d events fit %s, not %s", len(answer.Events), args[1], args[0])
}

// documented checks that every command that a page shows is run by a script of testdata/script.
func documented(ts *testscript.TestScript, _ bool, args []string) {
	page, err := os.ReadFile(args[0])
	ts.Check(err)
	script, err := os.ReadFile(args[1])
	ts.Check(err)
	n := 0
	for line := range strings.Lines(string(page)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "tallyman ") {
			n++
			if !strings.Contains(string(script), "exec "+line) {
				ts.Fatalf("%s shows %q, and %s does not run it", args[0], line, args[1])
			}
		}
	}
	if n == 0 {
		ts.Fatalf("%s shows no command", args[0])
	}
}

// readmeCommands checks that every command that the README shows exists, and that the block of commands to start with is what start.txtar runs.
func readmeCommands(ts *testscript.TestScript, _ bool, args []string) {
	text, err := os.ReadFile(filepath.Join(args[0], "README.md"))
	ts.Check(err)
	script, err := os.ReadFile(filepath.Join(args[0], "cmd", "tallyman", "testdata", "script", "start.txtar"))
	ts.Check(err)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "bin/tallyman "); ok {
			words, _, _ := strings.Cut(rest, " --state")
			if !strings.Contains(string(script), "tallyman "+words) {
				ts.Fatalf("README shows %q, and start.txtar does not run it", line)
			}
		}
	}
}
