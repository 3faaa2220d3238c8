package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"tallyman/config"
)

func (p *program) configCommand() *cobra.Command {
	c := p.group(&cobra.Command{Use: "config", Short: "check, show and describe the configuration"})
	var file string
	c.PersistentFlags().StringVar(&file, "config", "", "configuration `file`")
	load := func(args []string) (config.Config, error) {
		if len(args) == 1 {
			file = args[0]
		}
		cfg, err := config.Load(file, os.Environ())
		if err == nil {
			err = cfg.Check()
		}
		if err != nil {
			return cfg, &coded{exitFailed, err}
		}
		return cfg, nil
	}
	c.AddCommand(
		&cobra.Command{
			Use: "check [FILE]", Short: "say everything that is wrong with a configuration", Args: cobra.MaximumNArgs(1),
			Example: "  tallyman config check tallyman.yaml",
			RunE: func(_ *cobra.Command, args []string) error {
				if len(args) == 0 && file == "" {
					return usage("name the file to check")
				}
				if _, err := load(args); err != nil {
					return err
				}
				fmt.Fprintln(p.stdout, file+": fine")
				return nil
			},
		},
		&cobra.Command{
			Use: "show [FILE]", Short: "the configuration in force, and where each value comes from", Args: cobra.MaximumNArgs(1),
			Example: "  tallyman config show tallyman.yaml\n  TALLYMAN_WEB_LISTEN=127.0.0.1:9000 tallyman config show",
			RunE: func(_ *cobra.Command, args []string) error {
				cfg, err := load(args)
				if err != nil {
					return err
				}
				fmt.Fprint(p.stdout, config.Show(cfg))
				return nil
			},
		},
		&cobra.Command{
			Use: "schema", Short: "JSON Schema of the configuration, for editors", Args: cobra.NoArgs,
			Example: "  tallyman config schema > tallyman.schema.json",
			RunE: func(*cobra.Command, []string) error {
				_, err := p.stdout.Write(append(config.Schema(), '\n'))
				return err
			},
		},
	)
	return c
}

func (p *program) initCommand() *cobra.Command {
	profile, out, force := "tftp", "", false
	c := &cobra.Command{
		Use: "init", Short: "write a commented configuration, and say the next step", Args: cobra.NoArgs,
		Long:    "Writes a commented configuration for a purpose: " + strings.Join(config.Profiles(), ", ") + ".",
		Example: "  tallyman init --profile tftp\n  tallyman init --profile wotftp --out -",
		RunE: func(*cobra.Command, []string) error {
			text, next, err := config.Profile(profile)
			if err != nil {
				return &coded{exitUsage, err}
			}
			if out == "-" {
				_, err := fmt.Fprint(p.stdout, text)
				return err
			}
			flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
			if force {
				flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
			}
			f, err := os.OpenFile(out, flags, 0o640)
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("%s is there already: name another with --out, or replace it with --force", out)
			}
			if err != nil {
				return fmt.Errorf("write configuration: %w", err)
			}
			_, err = f.WriteString(text)
			if err := errors.Join(err, f.Close()); err != nil {
				return fmt.Errorf("write configuration: %w", err)
			}
			fmt.Fprintf(p.stdout, "Wrote %s.\n%s\n", out, strings.ReplaceAll(next, "tallyman.yaml", out))
			return nil
		},
	}
	c.Flags().StringVar(&profile, "profile", profile, "purpose: "+strings.Join(config.Profiles(), ", "))
	c.Flags().StringVar(&out, "out", "tallyman.yaml", "`file` to write, - for standard output")
	c.Flags().BoolVar(&force, "force", false, "replace the file if it is there")
	return c
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "the version of this program", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(p.stdout, "tallyman "+version())
			return err
		},
	}
}

func (p *program) manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "write the manual pages into a folder", Args: cobra.ExactArgs(1),
		Example: "  tallyman man ./man && man ./man/tallyman-why.1",
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := filepath.Clean(args[0])
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("write manual pages: %w", err)
			}
			return doc.GenManTree(cmd.Root(), &doc.GenManHeader{Title: "TALLYMAN", Section: "1", Source: "tallyman " + version()}, dir)
		},
	}
}

// otherCommands are all but those that read records.
func (p *program) otherCommands() []*cobra.Command {
	return []*cobra.Command{
		p.serveCommand(), p.watchCommand(), p.dropCommand(), p.demoCommand(), p.getCommand(), p.putCommand(), p.initCommand(), p.doctorCommand(), p.configCommand(),
		p.userCommand(), p.dbCommand(), p.stopCommand(), p.reloadCommand(), p.versionCommand(), p.manCommand(), p.replayCommand(),
	}
}
