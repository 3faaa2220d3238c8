// Command slowest reads the output of one or more runs of go test -json and tells it to people: a line for each package as it ends, what failing
// tests printed, and at the end the ten slowest tests and how many passed and failed.
//
//	{ go test -json ./...; go test -json -tags real ./test/real; } | slowest
//
// It exits with 1 if anything failed, was skipped (a test runs or is not compiled) or if no test ran at all. Lines that are not JSON
// pass through. Whether go test itself could start is known to the shell alone: use pipefail.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	ok, err := tell(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "slowest:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// event is one line of go test -json (go doc test2json; the import path belongs to build output).
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Elapsed    float64 // seconds
	Output     string
}

// result is a test at the top of its package.
type result struct {
	pack, test string
	seconds    float64
	failed     bool
}

// report counts tests at the top and keeps what running tests have printed.
type report struct {
	out            io.Writer
	passed, failed int
	tests          []result
	printed        map[string]string // by package and test
}

func tell(in io.Reader, out io.Writer) (ok bool, err error) {
	r := report{out: out, printed: map[string]string{}}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			var e event
			if line[0] != '{' || json.Unmarshal([]byte(line), &e) != nil {
				fmt.Fprintln(out, strings.TrimSuffix(line, "\n"))
			} else {
				r.take(e)
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return false, fmt.Errorf("read the output of go test: %w", err)
		}
	}
	r.close()
	return r.failed == 0 && r.passed > 0, nil
}

func (r *report) take(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		r.printed[key] += e.Output
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "build-fail":
		fmt.Fprintf(r.out, "FAIL  %s does not build\n", e.ImportPath)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.pack(e)
		} else {
			r.test(e)
		}
		delete(r.printed, key)
	}
}

// pack ends a package.
func (r *report) pack(e event) {
	switch e.Action {
	case "pass":
		fmt.Fprintf(r.out, "ok    %s %.1fs\n", e.Package, e.Elapsed)
	case "fail":
		fmt.Fprint(r.out, r.printed[e.Package+" "])
		fmt.Fprintf(r.out, "FAIL  %s %.1fs\n", e.Package, e.Elapsed)
		r.failed += r.unfinished(e.Package)
	}
}

// unfinished tells what the tests printed that began and did not end, as after a panic or a timeout. A package that fails without one
// counts as one failure, unless a test of it was counted already.
func (r *report) unfinished(pack string) int {
	n := 0
	for key, text := range r.printed {
		if name, ok := strings.CutPrefix(key, pack+" "); ok && name != "" {
			fmt.Fprint(r.out, text)
			delete(r.printed, key)
			if !strings.Contains(name, "/") {
				n++
			}
		}
	}
	counted := slices.ContainsFunc(r.tests, func(t result) bool { return t.failed && t.pack == pack })
	if n == 0 && !counted {
		return 1
	}
	return n
}

// test ends a test. What a subtest printed is told too, but only tests at the top are counted.
func (r *report) test(e event) {
	failed := e.Action != "pass"
	if failed {
		fmt.Fprint(r.out, r.printed[e.Package+" "+e.Test])
	}
	if strings.Contains(e.Test, "/") {
		return
	}
	if e.Action == "skip" {
		fmt.Fprintf(r.out, "%s was skipped: a test runs or is not compiled\n", e.Test)
	}
	if failed {
		r.failed++
	} else {
		r.passed++
	}
	r.tests = append(r.tests, result{e.Package, e.Test, e.Elapsed, failed})
}

func (r *report) close() {
	fmt.Fprintln(r.out, "\nThe slowest tests:")
	slices.SortStableFunc(r.tests, func(a, b result) int { return cmp.Compare(b.seconds, a.seconds) })
	for _, t := range r.tests[:min(10, len(r.tests))] {
		fmt.Fprintf(r.out, "%7.2fs  %s %s\n", t.seconds, t.pack, t.test)
	}
	for _, t := range r.tests {
		if t.failed {
			fmt.Fprintf(r.out, "FAIL  %s %s\n", t.pack, t.test)
		}
	}
	fmt.Fprintf(r.out, "%d passed, %d failed\n", r.passed, r.failed)
}
