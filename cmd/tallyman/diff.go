package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"tallyman"
	"tallyman/cmd/tallyman/terminal"
	"tallyman/tree/reserved"
)

// diffMost bounds the size of a file that is compared line by line, in bytes.
const diffMost = 8 << 20

func (p *program) diffCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "diff NAME", Short: "what changed in a stored file since its last version", Args: cobra.ExactArgs(1),
		Long:    "Compares a file that was uploaded with its newest kept version (serve.tftp.write: keep).",
		Example: "  tallyman diff router-confg",
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := p.reachOrRead(cmd.Context())
			if err != nil {
				return err
			}
			defer a.close()
			path, err := a.storedAs(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			kept, err := newestKept(path)
			if err != nil {
				return err
			}
			return p.diff(kept, path)
		},
	}
	return c
}

// storedAs returns the path under which the newest upload of a name was stored.
func (a *asked) storedAs(ctx context.Context, name string) (string, error) {
	var pg page
	for _, name := range []string{name, unescape(name)} {
		if err := a.Get(ctx, "transfers", url.Values{"q": {"op:put outcome:success file:" + quoted(name)}, "limit": {"1"}}, &pg); err != nil {
			return "", err
		}
		if len(pg.Transfers) > 0 {
			break
		}
	}
	if len(pg.Transfers) == 0 || pg.Transfers[0].Path == "" {
		return "", fmt.Errorf("no upload of “%s” is recorded: tallyman ls op:put shows what was stored", tallyman.Escape(name))
	}
	return pg.Transfers[0].Path, nil
}

// newestKept finds the newest old version of a stored file: below .kept in its folder or in one above it.
func newestKept(path string) (string, error) {
	base := filepath.Base(path)
	for dir, below := filepath.Dir(path), "."; ; {
		shelf := filepath.Join(dir, reserved.Kept, below)
		entries, err := os.ReadDir(shelf)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("look for old versions: %w", err)
		}
		var found []string
		for _, e := range entries {
			if reserved.IsVersion(e.Name(), base) {
				found = append(found, e.Name())
			}
		}
		if len(found) > 0 {
			return filepath.Join(shelf, slices.Max(found)), nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("%s has no kept version: it was stored once, or serve.tftp.write is not keep", tallyman.Escape(path))
		}
		dir, below = up, filepath.Join(filepath.Base(dir), below)
	}
}

// diff prints what changed; exit code 3 says that something did.
func (p *program) diff(before, after string) error {
	old, err := readBounded(before)
	if err != nil {
		return err
	}
	now, err := readBounded(after)
	if err != nil {
		return err
	}
	if bytes.Equal(old, now) {
		fmt.Fprintln(p.stdout, "No change since "+tallyman.Escape(filepath.Base(before)))
		return nil
	}
	if bytes.IndexByte(old, 0) >= 0 || bytes.IndexByte(now, 0) >= 0 {
		fmt.Fprintf(p.stdout, "- %12s bytes  sha256 %x  %s\n+ %12s bytes  sha256 %x  %s\n",
			tallyman.Count(int64(len(old))), sha256.Sum256(old), tallyman.Escape(before), tallyman.Count(int64(len(now))), sha256.Sum256(now), tallyman.Escape(after))
		return &coded{exitFound, errors.New("the content changed: it is not text")}
	}
	text := string(diff.Diff(tallyman.Escape(before), old, tallyman.Escape(after), now))
	for line := range strings.Lines(text) {
		terminal.On(p.stdout).Changed(escapeLine(strings.TrimSuffix(line, "\n")))
	}
	return &coded{exitFound, errors.New("")}
}

// escapeLine makes a line of a text harmless, and leaves its tabs.
func escapeLine(line string) string {
	cells := strings.Split(line, "\t")
	for i := range cells {
		cells[i] = tallyman.Escape(cells[i])
	}
	return strings.Join(cells, "\t")
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	defer func() { _ = f.Close() }() // it is only read
	b, err := io.ReadAll(io.LimitReader(f, diffMost+1))
	if err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	if len(b) > diffMost {
		return nil, fmt.Errorf("%s is larger than %s bytes: compare it with cmp or diff", tallyman.Escape(path), tallyman.Count(diffMost))
	}
	return b, nil
}
