package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"tallyman/client/api"
	"tallyman/web/socket"
)

// Exit codes (design section 6).
const (
	exitFine = iota
	exitFailed
	exitUsage
	exitFound
	exitUnreachable
)

// program is one call of tallyman: where it reads and writes, and what the flags that every command has say.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	state          string
	json           bool
	step           func(op, path string) error // tests count file operations; nil otherwise
}

// coded is an error with the exit code that it asks for.
type coded struct {
	code int
	err  error
}

func (c *coded) Error() string { return c.err.Error() }
func (c *coded) Unwrap() error { return c.err }

func usage(format string, args ...any) error { return &coded{exitUsage, fmt.Errorf(format, args...)} }

// run is the whole program. It returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{stdin: stdin, stdout: stdout, stderr: stderr}
	return p.run(ctx, args)
}

func (p *program) run(ctx context.Context, args []string) int {
	root := p.root()
	root.SetArgs(args)
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitFine
	}
	code := codeOf(err)
	if text := err.Error(); text != "" {
		fmt.Fprintln(p.stderr, "tallyman: "+text)
		if code == exitUsage {
			fmt.Fprintf(p.stderr, "See: %s -h\n", cmd.CommandPath())
		}
	}
	return code
}

// codeOf is the exit code that an error asks for.
func codeOf(err error) int {
	if c, ok := errors.AsType[*coded](err); ok {
		return c.code
	}
	answer, ok := errors.AsType[*api.Error](err)
	switch {
	case errors.Is(err, api.ErrUnreachable):
		return exitUnreachable
	case ok && answer.Status == http.StatusBadRequest, isUsage(err):
		return exitUsage
	default:
		return exitFailed
	}
}

// group makes a command that only holds others: alone it shows its help, and a word that is none of them is a mistake.
func (p *program) group(c *cobra.Command) *cobra.Command {
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usage("unknown command %q for %q", args[0], cmd.CommandPath())
		}
		return cmd.Help()
	}
	return c
}

// isUsage reports whether cobra refused the command line: it has no type for these errors.
func isUsage(err error) bool {
	for _, start := range []string{"unknown command", "unknown flag", "unknown shorthand", "invalid argument", "accepts ", "requires at least", "flag needs an argument", "required flag"} {
		if strings.HasPrefix(err.Error(), start) {
			return true
		}
	}
	return false
}

// root builds the tree of commands. Help without a topic shows those to start with.
func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "tallyman",
		Short: "one record with a proven verdict for every file transfer",
		Long: `Tallyman gives every file transfer one record with a proven verdict.

Start with:
  tallyman demo                  a dozen transfers, good and bad, and what is proven about them
  tallyman serve ./share         serve a folder by TFTP, with a live page
  tallyman watch                 watch the servers of other makers that run here (as root)
  tallyman drop                  a write-only TFTP drop box
  tallyman get tftp://HOST/FILE  fetch a file, with hash and verdict
  tallyman put FILE tftp://HOST/ send one
  tallyman ls                    what was transferred
  tallyman why FILE              why a transfer has its verdict
  tallyman doctor                what works here, and what would work better

Every command has -h with examples. All commands: tallyman help --all`,
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: false},
	}
	root.PersistentFlags().StringVar(&p.state, "state", "", "state `folder` (default: TALLYMAN_STATE, else /var/lib/tallyman as root, else the user's state folder)")
	reading := []*cobra.Command{p.lsCommand(), p.tailCommand(), p.eventsCommand(), p.showCommand(), p.whyCommand(), p.statsCommand(), p.diffCommand()}
	for _, c := range reading {
		c.Flags().BoolVar(&p.json, "json", false, "write JSON, the same as the API gives")
	}
	root.AddCommand(reading...)
	root.AddCommand(p.otherCommands()...)
	help := &cobra.Command{
		Use: "help [COMMAND]", Short: "how to use a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			if all, _ := cmd.Flags().GetBool("all"); all {
				root.Long = "Tallyman gives every file transfer one record with a proven verdict."
				return root.Usage()
			}
			target, _, err := root.Find(args)
			if err != nil || target == nil {
				return usage("there is no command %q", strings.Join(args, " "))
			}
			return target.Help()
		},
	}
	help.Flags().Bool("all", false, "list all commands")
	root.SetHelpCommand(help)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		long := cmd.Long
		if long == "" {
			long = cmd.Short
		}
		fmt.Fprintln(p.stdout, long)
		if cmd != root {
			fmt.Fprint(p.stdout, "\n"+cmd.UsageString())
		}
	})
	return root
}

// stateFolder is where records, accounts and socket live.
func (p *program) stateFolder() (string, error) {
	if p.state != "" {
		return filepath.Abs(p.state)
	}
	if s := os.Getenv("TALLYMAN_STATE"); s != "" {
		return filepath.Abs(s)
	}
	if os.Geteuid() == 0 {
		return "/var/lib/tallyman", nil
	}
	if s := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(s) {
		return filepath.Join(s, "tallyman"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no state folder: %w: name one with --state DIR", err)
	}
	return filepath.Join(home, ".local", "state", "tallyman"), nil
}

// runtimeFolder is where a socket goes whose path would be too long (XDG base directory specification).
func runtimeFolder() string {
	if d := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(d) {
		return d
	}
	if os.Geteuid() == 0 {
		return "/run"
	}
	return os.TempDir()
}

func socketPath(state string) string { return socket.Path(state, runtimeFolder()) }
