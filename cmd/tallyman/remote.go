package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/client/ftp"
	"tallyman/client/remote"
	"tallyman/client/sftp"
	"tallyman/cmd/tallyman/terminal"
)

// remoteFlags are what get and put let one choose for FTP and SFTP.
type remoteFlags struct {
	passwordFile, check, fingerprint string
	cacert, knownHosts               string
	identities                       []string
	resume, insecure, acceptNew      bool
}

const secretsHelp = "A password comes from --password-file, from ~/.netrc (or the file that NETRC names) or from the prompt, never from the command line."

func (f *remoteFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.passwordFile, "password-file", "", "`file` whose first line is the password; - is standard input (FTP, SFTP)")
	c.Flags().StringVar(&f.check, "check", string(remote.CheckAuto), "what is compared at the end: size, hash, or auto: the hash if the server offers one, else the size. An upload to a server without is read back for hash (FTP, SFTP)")
	c.Flags().StringVar(&f.fingerprint, "fingerprint", "", "believe this server alone: SHA-256 of its certificate in hexadecimal (FTPS), SHA256:... of its host key (SFTP)")
	c.Flags().BoolVar(&f.insecure, "insecure", false, "believe any server: whoever stands between can read and change all (FTPS, SFTP)")
	c.Flags().StringVar(&f.cacert, "cacert", "", "`file` of certificates (PEM) of the authorities to believe, in place of the system's (FTPS)")
	c.Flags().StringVar(&f.knownHosts, "known-hosts", "", "`file` of the hosts that are known (default ~/.ssh/known_hosts) (SFTP)")
	c.Flags().BoolVar(&f.acceptNew, "accept-new", false, "add a host that is not known to the known ones; a key that changed is refused all the same (SFTP)")
	c.Flags().StringArrayVar(&f.identities, "identity", nil, "private key `file`, may be repeated (default: the agent and those in ~/.ssh) (SFTP)")
}

// errand is a transfer that is ready to run.
type errand struct {
	place remote.Place
	get   func(context.Context, *remote.Content) (remote.Result, error)
	put   func(context.Context, *remote.Content, int64) (remote.Result, error)
}

// errand prepares a transfer: whom to believe, and how to log in.
func (p *program) errand(f *remoteFlags, place remote.Place, verb string) (errand, error) {
	check := remote.Check(f.check)
	switch check {
	case remote.CheckAuto, remote.CheckSize, remote.CheckHash:
	default:
		return errand{}, usage("--check %q is none of auto, size, hash", f.check)
	}
	if f.insecure && (f.fingerprint != "" || f.cacert != "" || f.acceptNew) {
		return errand{}, usage("--insecure believes any server: leave it out beside --fingerprint, --cacert and --accept-new")
	}
	if f.insecure {
		fmt.Fprintln(p.stderr, "note: any server is believed (--insecure): whoever stands between can read and change what is transferred")
	}
	e := errand{place: place}
	progress := remote.Progress(p.progress(verb))
	if place.Scheme == "sftp" {
		r, err := p.sftpRequest(f, place, check)
		e.get = func(ctx context.Context, c *remote.Content) (remote.Result, error) {
			return sftp.Get(ctx, r, c, progress)
		}
		e.put = func(ctx context.Context, c *remote.Content, n int64) (remote.Result, error) {
			return sftp.Put(ctx, r, c, n, progress)
		}
		return e, err
	}
	r, err := p.ftpRequest(f, place, check)
	e.get = func(ctx context.Context, c *remote.Content) (remote.Result, error) {
		return ftp.Get(ctx, r, c, progress)
	}
	e.put = func(ctx context.Context, c *remote.Content, n int64) (remote.Result, error) {
		return ftp.Put(ctx, r, c, n, progress)
	}
	return e, err
}

func (p *program) ftpRequest(f *remoteFlags, place remote.Place, check remote.Check) (ftp.Request, error) {
	r := ftp.Request{Place: place, Check: check, Resume: f.resume, Trust: ftp.Trust{Insecure: f.insecure}}
	r.Security = map[string]ftp.Security{"ftp": ftp.Clear, "ftps": ftp.Implicit, "ftpes": ftp.Explicit}[place.Scheme]
	var err error
	if f.fingerprint != "" {
		if r.Trust.Fingerprint, err = ftp.ParseFingerprint(f.fingerprint); err != nil {
			return r, &coded{exitUsage, err}
		}
	}
	if f.cacert != "" {
		text, err := os.ReadFile(f.cacert)
		if err != nil {
			return r, fmt.Errorf("read --cacert: %w", err)
		}
		if r.Trust.Authorities = x509.NewCertPool(); !r.Trust.Authorities.AppendCertsFromPEM(text) {
			return r, usage("--cacert %s holds no certificate in PEM", f.cacert)
		}
	}
	if r.User, r.Password, err = p.ftpLogin(f, place); err != nil {
		return r, err
	}
	if r.User != "" && r.Security == ftp.Clear {
		fmt.Fprintln(p.stderr, "note: password and content go in the clear: everybody on the way can read them; ftps, ftpes and sftp protect them")
	}
	return r, nil
}

// fetch gets a file into a part beside the final one. A part that is no use is removed; another one is kept for --resume.
func (p *program) fetch(ctx context.Context, f *transferFlags, args []string) error {
	place, err := remote.ParsePlace(args[0])
	if err != nil {
		return &coded{exitUsage, err}
	}
	if place.Path == "" || strings.HasSuffix(place.Path, "/") {
		return usage("%s names no file", tallyman.Escape(args[0]))
	}
	to := path.Base(place.Path)
	if len(args) == 2 {
		to = args[1]
	}
	if to == "-" {
		if f.remote.resume {
			return usage("standard output cannot be resumed: name a file")
		}
		c, err := remote.NewDownload(p.stdout, nil)
		if err != nil {
			return err
		}
		e, err := p.errand(&f.remote, place, "get")
		if err != nil {
			return err
		}
		result, err := e.get(ctx, c)
		return p.tell(p.stderr, place, &result, err)
	}
	if to == "." || to == "/" || to == ".." {
		return usage("%s cannot be a file name here: name the file to write", to)
	}
	if _, err := os.Lstat(to); err == nil && !f.force {
		return fmt.Errorf("%s is there already: name another file, or use --force", to)
	}
	e, err := p.errand(&f.remote, place, "get")
	if err != nil {
		return err
	}
	part, c, err := openPart(to, f.remote.resume)
	if err != nil {
		return err
	}
	defer func() { _ = part.Close() }() // it is synced by then, or its loss is told
	result, err := e.get(ctx, c)
	if err != nil {
		return p.tell(p.stderr, place, &result, keep(part, &result, err))
	}
	if err := errors.Join(part.Chmod(0o644), part.Sync()); err != nil {
		return fmt.Errorf("store the file: %w", err)
	}
	if f.force {
		err = os.Rename(part.Name(), to)
	} else if err = os.Link(part.Name(), to); err == nil {
		err = os.Remove(part.Name())
	}
	if err != nil {
		return fmt.Errorf("store the file: %w", err)
	}
	return p.tell(p.stdout, place, &result, nil)
}

// partName is where an unfinished download lies, so that a later one finds it.
func partName(to string) string {
	return filepath.Join(filepath.Dir(to), "."+filepath.Base(to)+".tallyman-part")
}

// openPart opens the part of a file for one process alone; it ends behind what is there.
func openPart(to string, resume bool) (*os.File, *remote.Content, error) {
	part, err := os.OpenFile(partName(to), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("store the file: %w", err)
	}
	if err := unix.Flock(int(part.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = part.Close() // it is another's
		return nil, nil, fmt.Errorf("%s is in use by another tallyman get: wait for it, or name another file", part.Name())
	}
	var have io.Reader = part
	if !resume {
		have, err = nil, part.Truncate(0)
	}
	var c *remote.Content
	if err == nil {
		c, err = remote.NewDownload(part, have)
	}
	if err != nil {
		_ = part.Close() // that error is the one to tell
		return nil, nil, fmt.Errorf("store the file: %w", err)
	}
	return part, c, nil
}

// keep leaves what came for a later try and says so, unless it is of no use.
func keep(part *os.File, result *remote.Result, err error) error {
	st, serr := part.Stat()
	if serr != nil || st.Size() == 0 || result.Verdict == tallyman.Contradicted && result.Offset == 0 {
		_ = os.Remove(part.Name()) // the next try begins anew in any case
		return err
	}
	if result.Verdict == tallyman.Contradicted {
		return fmt.Errorf("%w; %s is left for you to look at", err, part.Name())
	}
	_ = part.Sync() // a part that is lost is fetched again
	return fmt.Errorf("%w; %s bytes are kept in %s, --resume goes on with them", err, tallyman.Count(st.Size()), part.Name())
}

// store puts a file.
func (p *program) store(ctx context.Context, f *transferFlags, file, url string) error {
	place, err := remote.ParsePlace(url)
	if err != nil {
		return &coded{exitUsage, err}
	}
	switch {
	case file == "-" && f.remote.resume:
		return usage("standard input cannot be resumed: name a file")
	case file == "-" && f.remote.passwordFile == "-":
		return usage("standard input is the content: write the password to a file")
	case place.Path != "" && !strings.HasSuffix(place.Path, "/"):
	case file == "-":
		return usage("%s names no file, and standard input has no name", tallyman.Escape(url))
	default:
		place.Path += filepath.Base(file)
	}
	in, size, err := p.content(file)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it is only read
	e, err := p.errand(&f.remote, place, "put")
	if err != nil {
		return err
	}
	result, err := e.put(ctx, remote.NewUpload(in), size)
	return p.tell(p.stdout, place, &result, err)
}

// tell says how it ended: what moved, the digest, the verdict and what it rests on.
func (p *program) tell(w io.Writer, place remote.Place, r *remote.Result, err error) error {
	if p.json {
		out := map[string]any{
			"file": tallyman.Escape(place.Path), "proto": place.Scheme, "server": r.Server.String(), "bytes": r.Bytes, "moved": r.Moved, "offset": r.Offset,
			"took_ms": float64(r.Took.Microseconds()) / 1000, "verdict": r.Verdict, "reason": r.Reason, "outcome": r.Verdict.Outcome(), "proof": r.Proof, "why": r.Why, "secured": r.Secured,
		}
		for key, digest := range map[string]tallyman.Digest{"sha256": r.Digest, "server_sha256": r.Remote} {
			if _, hex, ok := strings.Cut(string(digest), ":"); ok {
				out[key] = hex
			}
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
	if s := r.Took.Seconds(); s > 0 {
		rate = fmt.Sprintf(", %.1f MB/s", float64(r.Moved)/s/1e6)
	}
	resumed := ""
	if r.Offset > 0 {
		resumed = fmt.Sprintf(" (%s of them now)", tallyman.Count(r.Moved))
	}
	fmt.Fprintf(w, "%s  %s  %s bytes%s in %s%s\n%s  %s\n%s.\n", terminal.On(p.stdout).Verdict(r.Verdict, 0), tallyman.Escape(place.Path), tallyman.Count(r.Bytes), resumed,
		r.Took.Round(100*time.Microsecond), rate, r.Digest, r.Reason, capital(r.Sentence()))
	return nil
}

func capital(s string) string { return strings.ToUpper(s[:min(1, len(s))]) + s[min(1, len(s)):] }
