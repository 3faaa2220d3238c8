package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"tallyman"
	"tallyman/config"
	"tallyman/ledger/sqlite"
	"tallyman/ledger/sqlstore"
)

// openLedger opens the ledger of the state folder.
func openLedger(ctx context.Context, state string, readOnly bool) (*sqlite.Ledger, error) {
	return sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(state, ledgerFile), ReadOnly: readOnly})
}

func (p *program) dbCommand() *cobra.Command {
	c := p.group(&cobra.Command{Use: "db", Short: "the ledger: status, migration, pruning, backup, export"})
	c.AddCommand(p.dbStatusCommand(), p.dbMigrateCommand(), p.dbPruneCommand(), p.dbBackupCommand(), p.dbExportCommand())
	return c
}

func (p *program) dbStatusCommand() *cobra.Command {
	var recount string
	c := &cobra.Command{
		Use: "status", Short: "how large the ledger is, and whether its roll-ups are right", Args: cobra.NoArgs,
		Example: "  tallyman db status\n  tallyman db status --recount 2026-11-20",
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := p.reachOrRead(cmd.Context())
			if err != nil {
				return err
			}
			defer a.close()
			if recount != "" {
				return p.recount(cmd.Context(), a, recount)
			}
			var st sqlite.Status
			if err := a.Get(cmd.Context(), "ledger", nil, &st); err != nil {
				return err
			}
			if p.json {
				return p.jsonLine(st)
			}
			fmt.Fprintf(p.stdout, "file        %s\nmigration   %d of %d\nsize        %s bytes, %s in use, log %s\n", st.Path, st.Migration, st.Newest,
				tallyman.Count(st.Bytes), tallyman.Count(st.Used), tallyman.Count(st.Log))
			fmt.Fprintf(p.stdout, "transfers   %s\nevents      %s\n", tallyman.Count(st.Transfers), tallyman.Count(st.Events))
			return nil
		},
	}
	c.Flags().StringVar(&recount, "recount", "", "count the records of a UTC `day` and compare with the roll-ups")
	c.Flags().BoolVar(&p.json, "json", false, "write JSON")
	return c
}

// recount compares the roll-ups of a day with its records; exit code 3 says that they differ.
func (p *program) recount(ctx context.Context, a *asked, day string) error {
	var r sqlstore.Recount
	if err := a.Get(ctx, "ledger/recount", url.Values{"day": {day}}, &r); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "%s: %s transfers counted, %d cells of the roll-ups differ\n", day, tallyman.Count(r.Transfers), len(r.Differences))
	if r.Pruned {
		fmt.Fprintln(p.stdout, "Records of this day were pruned: the roll-ups rightly say more.")
	}
	for _, d := range r.Differences {
		fmt.Fprintf(p.stdout, "  %+v\n", d)
	}
	if len(r.Differences) > 0 && !r.Pruned {
		return &coded{exitFound, errors.New("the roll-ups differ from the records: please report this")}
	}
	return nil
}

func (p *program) dbMigrateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "migrate", Short: "bring the schema of the ledger up to date", Args: cobra.NoArgs,
		Long: "Brings the schema up to date. Starting a server does so too.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.alone(cmd.Context(), func(l *sqlite.Ledger) error {
				st, err := l.Status(cmd.Context())
				if err == nil {
					fmt.Fprintf(p.stdout, "The ledger is at migration %d.\n", st.Migration)
				}
				return err
			})
		},
	}
}

func (p *program) dbPruneCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "prune", Short: "take away what is older than the configuration keeps", Args: cobra.NoArgs,
		Long:    "Takes away what is older than keep, or beyond keep.max_size. A running server does so every hour, and records it.",
		Example: "  tallyman db prune --config /etc/tallyman/tallyman.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.configure(cmd, &serveFlags{config: file}, nil)
			if err != nil {
				return err
			}
			return p.alone(cmd.Context(), func(l *sqlite.Ledger) error {
				done, err := l.Prune(cmd.Context(), keepOf(cfg, time.Now()))
				fmt.Fprintln(p.stdout, pruned(done))
				return err
			})
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration `file`")
	return c
}

func (p *program) dbBackupCommand() *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "copy the ledger, also while a server runs", Args: cobra.ExactArgs(1),
		Long:    "Copies the ledger as of one moment. FILE appears when it is whole. To restore it, stop the server and put it in the place of " + ledgerFile + ".",
		Example: "  tallyman db backup /backup/tallyman-$(date +%F).db",
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := p.reachOrRead(cmd.Context())
			if err != nil {
				return err
			}
			defer a.close()
			if err := a.backup(cmd.Context(), args[0]); err != nil {
				return err
			}
			fmt.Fprintln(p.stdout, "Wrote "+args[0])
			return nil
		},
	}
}

// backup writes a copy of the ledger. The file has its name only when it is whole and on stable storage.
func (a *asked) backup(ctx context.Context, to string) error {
	body, err := a.Open(ctx, "POST", "ledger/backup", nil)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // it is only read
	part, err := os.CreateTemp(filepath.Dir(to), ".tallyman-backup-*")
	if err != nil {
		return fmt.Errorf("write the copy: %w", err)
	}
	defer func() { _ = os.Remove(part.Name()) }() // the copy has its name by then, or is not wanted
	_, err = io.Copy(part, body)
	if err := errors.Join(err, part.Sync(), part.Close()); err != nil {
		return fmt.Errorf("write the copy: %w", err)
	}
	if err := os.Link(part.Name(), to); err != nil {
		return fmt.Errorf("write the copy: %w: name another file", err)
	}
	return nil
}

func (p *program) dbExportCommand() *cobra.Command {
	var s span
	format := "ndjson"
	c := &cobra.Command{
		Use: "export [QUERY]", Short: "all records that fit, as NDJSON or CSV", Long: "Writes all records that fit.\n\n" + queryHelp,
		Example: "  tallyman db export --from now-30d > month.ndjson\n  tallyman db export --format csv verdict:failed > failed.csv",
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "ndjson" && format != "csv" {
				return usage("--format %s: write ndjson or csv", format)
			}
			a, err := p.reachOrRead(cmd.Context())
			if err != nil {
				return err
			}
			defer a.close()
			v := s.values(args)
			if v.Get("from") == "" {
				v.Set("from", "1970-01-01")
			}
			return p.copyAnswer(cmd.Context(), a, "transfers."+format, v)
		},
	}
	s.flags(c)
	c.Flags().StringVar(&format, "format", format, "ndjson or csv")
	return c
}

func (p *program) copyAnswer(ctx context.Context, a *asked, path string, v url.Values) error {
	body, err := a.Open(ctx, "GET", path, v)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	if _, err := io.Copy(p.stdout, body); err != nil {
		return fmt.Errorf("the export broke off: %w", err)
	}
	return nil
}

// books lets the page's room ask a ledger.
type books struct{ of *sqlite.Ledger }

// Status implements web.Books.
func (b books) Status(ctx context.Context) (any, error) { return b.of.Status(ctx) }

// Recount implements web.Books.
func (b books) Recount(ctx context.Context, day time.Time) (any, error) {
	return b.of.Recount(ctx, day)
}

// Backup implements web.Books.
func (b books) Backup(ctx context.Context, path string) error { return b.of.Backup(ctx, path) }

// alone runs on a ledger that no server has open.
func (p *program) alone(ctx context.Context, do func(*sqlite.Ledger) error) (err error) {
	state, err := p.stateFolder()
	if err != nil {
		return err
	}
	lock, err := hold(state)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.release(false)) }()
	l, err := openLedger(ctx, state, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	return do(l)
}

// keepOf composes what the ledger keeps.
func keepOf(cfg config.Config, now time.Time) sqlstore.Keep {
	k := cfg.Keep
	return sqlstore.Keep{
		Now: now, Transfers: time.Duration(k.Transfers), Evidence: time.Duration(k.Evidence), Events: time.Duration(k.Events), MaxSize: int64(k.MaxSize),
	}
}

// pruned puts a pruning into words.
func pruned(d sqlstore.Pruned) string {
	if d.IsZero() {
		return "Nothing was older than the configuration keeps."
	}
	return fmt.Sprintf("Pruned %s transfers, the evidence of %s, and %s events.", tallyman.Count(d.Transfers), tallyman.Count(d.Evidence), tallyman.Count(d.Events))
}
