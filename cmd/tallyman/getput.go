package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tallyman"
	client "tallyman/client/tftp"
	"tallyman/cmd/tallyman/terminal"
)

// transferFlags are what get and put let one choose.
type transferFlags struct {
	mode          string
	block, window int
	plain         bool
	force         bool
	remote        remoteFlags
}

func (f *transferFlags) add(p *program, c *cobra.Command) {
	c.Flags().StringVar(&f.mode, "mode", "", "octet or netascii (default octet)")
	c.Flags().IntVar(&f.block, "blksize", 0, "block size to ask for, 8 to 65464 bytes (default 1428)")
	c.Flags().IntVar(&f.window, "windowsize", 0, "window to ask for, 1 to 64 blocks (default 16)")
	c.Flags().BoolVar(&f.plain, "plain", false, "ask for no options: blocks of 512 bytes, one at a time")
	c.Flags().BoolVar(&p.json, "json", false, "write the result as JSON")
	f.remote.add(c)
}

// byTFTP reports whether a URL is of TFTP, or of nothing that is known. Flags of the other protocols are a mistake.
func (f *transferFlags) byTFTP(c *cobra.Command, url string) (bool, error) {
	scheme, _, ok := strings.Cut(url, "://")
	scheme = strings.ToLower(scheme)
	if !ok || !slices.Contains([]string{"tftp", "ftp", "ftps", "ftpes", "sftp"}, scheme) {
		return false, usage("%s: write a URL of tftp, ftp, ftps, ftpes or sftp, as tftp://HOST/FILE", tallyman.Escape(url))
	}
	known := schemeFlags[scheme]
	var err error
	c.Flags().Visit(func(g *pflag.Flag) {
		for _, of := range schemeFlags {
			if slices.Contains(of, g.Name) && !slices.Contains(known, g.Name) {
				err = usage("--%s has no meaning for %s", g.Name, scheme)
			}
		}
	})
	return scheme == "tftp", err
}

var ftpsFlags = []string{"password-file", "resume", "check", "fingerprint", "insecure", "cacert"}

// schemeFlags are those that do not go with every protocol.
var schemeFlags = map[string][]string{
	"tftp": {"mode", "blksize", "windowsize", "plain"},
	"ftp":  {"password-file", "resume", "check"},
	"ftps": ftpsFlags, "ftpes": ftpsFlags,
	"sftp": {"password-file", "resume", "check", "fingerprint", "insecure", "known-hosts", "accept-new", "identity"},
}

// request reads a URL and the flags.
func (f *transferFlags) request(url string) (client.Request, error) {
	r, err := client.ParseURL(url)
	if err != nil {
		return r, &coded{exitUsage, err}
	}
	if f.mode != "" {
		r.Mode = client.Mode(f.mode)
	}
	r.BlockSize, r.Window, r.Plain = f.block, f.window, f.plain
	return r, nil
}

func (p *program) getCommand() *cobra.Command {
	var f transferFlags
	c := &cobra.Command{
		Use: "get URL [FILE]", Short: "fetch a file, with hash and verdict", Args: cobra.RangeArgs(1, 2),
		Long: "Fetches a file by TFTP, FTP, FTPS (ftps: TLS from the first byte, ftpes: AUTH TLS) or SFTP. It appears under its name once it is whole; - writes to standard output. " +
			secretsHelp,
		Example: "  tallyman get tftp://10.20.0.5/fw.bin\n  tallyman get tftp://127.0.0.1:6969/hello.txt -\n  tallyman get --resume sftp://ann@10.20.0.5/images/fw.bin",
		RunE: func(cmd *cobra.Command, args []string) error {
			if tftp, err := f.byTFTP(cmd, args[0]); err != nil {
				return err
			} else if !tftp {
				return p.fetch(cmd.Context(), &f, args)
			}
			r, err := f.request(args[0])
			if err != nil {
				return err
			}
			if r.Name == "" {
				return usage("%s names no file", args[0])
			}
			to := path.Base(r.Name)
			if len(args) == 2 {
				to = args[1]
			}
			return p.get(cmd.Context(), r, to, f.force)
		},
	}
	f.add(p, c)
	c.Flags().BoolVar(&f.force, "force", false, "replace FILE if it is there")
	c.Flags().BoolVar(&f.remote.resume, "resume", false, "go on with what an earlier try has kept, if that is the beginning of the file (FTP, SFTP)")
	return c
}

// get fetches into a temporary file beside the final one, so that nothing stands under the name before it is whole.
func (p *program) get(ctx context.Context, r client.Request, to string, force bool) error {
	if to == "-" {
		result, err := client.Get(ctx, r, p.stdout, p.progress("get"))
		return p.reportTo(p.stderr, r, result, err)
	}
	if to == "." || to == "/" || to == ".." {
		return usage("%s cannot be a file name here: name the file to write", to)
	}
	if _, err := os.Lstat(to); err == nil && !force {
		return fmt.Errorf("%s is there already: name another file, or use --force", to)
	}
	tmp, err := os.CreateTemp(filepath.Dir(to), ".tallyman-get-*")
	if err != nil {
		return fmt.Errorf("store the file: %w", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // the file has its name by then, or is not wanted
	result, err := client.Get(ctx, r, tmp, p.progress("get"))
	if err == nil {
		err = errors.Join(tmp.Chmod(0o644), tmp.Sync())
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return p.reportTo(p.stderr, r, result, err)
	}
	if force {
		err = os.Rename(tmp.Name(), to)
	} else {
		err = os.Link(tmp.Name(), to)
	}
	if err != nil {
		return fmt.Errorf("store the file: %w", err)
	}
	return p.reportTo(p.stdout, r, result, nil)
}

func (p *program) putCommand() *cobra.Command {
	var f transferFlags
	c := &cobra.Command{
		Use: "put FILE URL", Short: "send a file, with hash and verdict", Args: cobra.ExactArgs(2),
		Long: "Sends a file by TFTP, FTP, FTPS (ftps: TLS from the first byte, ftpes: AUTH TLS) or SFTP; - reads standard input. A URL that ends in a slash takes the name of the file. " +
			secretsHelp,
		Example: "  tallyman put running-config tftp://10.20.0.5/\n  tar c /etc | tallyman put - tftp://10.20.0.5/etc.tar\n  tallyman put --resume fw.bin ftpes://ann@10.20.0.5/images/",
		RunE: func(cmd *cobra.Command, args []string) error {
			file, url := args[0], args[1]
			if strings.Contains(file, "://") {
				file, url = url, file // design section 6 writes put URL [FILE]
			}
			if tftp, err := f.byTFTP(cmd, url); err != nil {
				return err
			} else if !tftp {
				return p.store(cmd.Context(), &f, file, url)
			}
			r, err := f.request(url)
			if err != nil {
				return err
			}
			if r.Name == "" || strings.HasSuffix(r.Name, "/") {
				if file == "-" {
					return usage("%s names no file, and standard input has no name", url)
				}
				r.Name += filepath.Base(file)
			}
			return p.put(cmd.Context(), r, file)
		},
	}
	f.add(p, c)
	c.Flags().BoolVar(&f.remote.resume, "resume", false, "go on behind what the server has, if that is the beginning of the file (FTP, SFTP)")
	return c
}

func (p *program) put(ctx context.Context, r client.Request, file string) error {
	in, size, err := p.content(file)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it is only read
	result, err := client.Put(ctx, r, in, size, p.progress("put"))
	return p.reportTo(p.stdout, r, result, err)
}

// content opens a file to send, or standard input. Its size is -1 if it is not known.
func (p *program) content(file string) (io.ReadCloser, int64, error) {
	if file == "-" {
		return io.NopCloser(p.stdin), -1, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, 0, fmt.Errorf("read the file to send: %w", err)
	}
	st, err := f.Stat()
	switch {
	case err != nil:
		err = fmt.Errorf("read the file to send: %w", err)
	case st.IsDir():
		err = usage("%s is a folder: put sends single files", file)
	case st.Mode().IsRegular():
		return f, st.Size(), nil
	default:
		return f, -1, nil
	}
	_ = f.Close() // it was not read
	return nil, 0, err
}

// reportTo says how it ended: what moved, the digest, the verdict.
func (p *program) reportTo(w io.Writer, r client.Request, result client.Result, err error) error {
	if p.json {
		out := map[string]any{
			"file": tallyman.Escape(r.Name), "server": result.Server.String(), "bytes": result.Bytes, "took_ms": float64(result.Took.Microseconds()) / 1000,
			"verdict": result.Verdict, "reason": result.Reason, "outcome": result.Verdict.Outcome(), "retransmits": result.Retransmits, "duplicates": result.Duplicates,
		}
		if _, hex, ok := strings.Cut(string(result.Digest), ":"); ok {
			out["sha256"] = hex
		}
		line, jerr := json.Marshal(out)
		if jerr != nil {
			return jerr
		}
		fmt.Fprintf(w, "%s\n", line)
		return err
	}
	if err != nil {
		return err
	}
	rate := ""
	if s := result.Took.Seconds(); s > 0 {
		rate = fmt.Sprintf(", %.1f MB/s", float64(result.Bytes)/s/1e6)
	}
	fmt.Fprintf(w, "%s  %s  %s bytes in %s%s\n%s  %s\n",
		terminal.On(p.stdout).Verdict(result.Verdict, 0), tallyman.Escape(r.Name), tallyman.Count(result.Bytes), result.Took.Round(100*time.Microsecond), rate, result.Digest, result.Reason)
	return nil
}

// progress draws a bar on standard error while a person looks at it.
func (p *program) progress(what string) client.Progress {
	if !terminal.IsTerminal(p.stderr) || p.json {
		return nil
	}
	return terminal.Progress(p.stderr, what)
}
