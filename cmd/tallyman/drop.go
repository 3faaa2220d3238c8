package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"tallyman"
	"tallyman/acl"
	"tallyman/config"
	"tallyman/source/tftp"
	"tallyman/tree"
)

// dropFlags are those of wotftp, version 011, and what it wished for.
type dropFlags struct {
	serveFlags
	dir, bind, remote, names string
	port                     uint16
	timestamp, ipstamp       bool
	overwrite                bool
	verbose                  int
}

func (p *program) dropCommand() *cobra.Command {
	f := dropFlags{dir: ".", port: 69, verbose: 1, names: "plain"}
	c := &cobra.Command{
		Use: "drop", Short: "a write-only TFTP drop box, with the flags of wotftp", Args: cobra.NoArgs,
		Long: `Takes uploads and nothing else, many at once. A read gets ERROR 2. With --remoteip, other clients get silence.
With --timestamp and --ipstamp a file is called 10.1.1.5-file.txt-2020-04-20-11-05-37-345, in local time.
Without --timestamp the old version of a name is kept in .kept; --overwrite replaces it, as wotftp does.
Ctrl-C, SIGTERM and tallyman stop let running uploads end. There is no page unless --web names its address.`,
		Example: "  tallyman drop --dir in --port 6969\n  tallyman drop --dir in --timestamp --ipstamp --remoteip 10.1.1.5",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.verbose < 0 || f.verbose > 2 {
				return usage("--verbose %d: write 0, 1 or 2", f.verbose)
			}
			if f.names != "plain" && f.names != "any" {
				return usage("--names %s: write plain (letters, digits, dot, hyphen, underscore) or any", f.names)
			}
			return p.drop(cmd.Context(), cmd, &f)
		},
	}
	c.Flags().StringVar(&f.dir, "dir", f.dir, "`folder` that takes the files")
	c.Flags().Uint16Var(&f.port, "port", f.port, "UDP port; 0 picks one")
	c.Flags().StringVar(&f.bind, "bind", "", "`address` to bind to (default all interfaces)")
	c.Flags().StringVar(&f.remote, "remoteip", "", "take files from this `address` only")
	c.Flags().BoolVar(&f.timestamp, "timestamp", false, "append the time to file names")
	c.Flags().BoolVar(&f.ipstamp, "ipstamp", false, "put the client's address in front of file names")
	c.Flags().IntVar(&f.verbose, "verbose", f.verbose, "0 nothing, 1 each upload, 2 each piece of evidence")
	c.Flags().StringVar(&f.names, "names", f.names, "names that are taken: plain, or any")
	c.Flags().BoolVar(&f.overwrite, "overwrite", false, "replace an old file of the same name")
	c.Flags().StringVar(&f.config, "config", "", "configuration `file`, for page, log, records and limits")
	c.Flags().StringVar(&f.tftp, "tftp", "", "`address` to listen on, in place of --bind and --port")
	f.add(c)
	return c
}

func (p *program) drop(ctx context.Context, cmd *cobra.Command, f *dropFlags) error {
	cfg, err := p.dropConfig(cmd, f)
	if err == nil {
		err = checkRoot(cfg)
	}
	if err != nil {
		return err
	}
	box := &box{flags: f, out: p.stdout, now: time.Now, taken: map[string]bool{}}
	h, err := p.open(ctx, cfg, func() (config.Config, error) { return p.dropConfig(cmd, f) }, box.open)
	if err != nil {
		return err
	}
	if f.verbose > 0 {
		fmt.Fprintf(p.stdout, "Server started at %s on %s\n", time.Now().Format(time.TimeOnly), h.sources[0].addr())
		if link := h.web.Link(); link != "" {
			fmt.Fprintln(p.stdout, "Page "+link)
		}
	}
	if err := h.begin(f.ready); err != nil {
		return err
	}
	return h.run(ctx)
}

// dropConfig composes the configuration: what a file says of page, log, books and limits, and over it the flags, whose defaults are wotftp's.
func (p *program) dropConfig(cmd *cobra.Command, f *dropFlags) (config.Config, error) {
	cfg, err := p.configure(cmd, &f.serveFlags, nil)
	if err != nil {
		return cfg, err
	}
	if !cfg.Given("web.listen") {
		cfg.Web.Listen = ""
	}
	if !cfg.Given("log.level") {
		cfg.Log.Level = "warn"
	}
	t := &cfg.Serve.TFTP
	if t.Root, err = absolute(f.dir); err != nil {
		return cfg, err
	}
	t.Read, t.Write, t.Allow = false, "keep", config.Allow{"any"}
	if f.overwrite {
		t.Write = "overwrite"
	}
	switch {
	case cmd.Flags().Changed("tftp") && (cmd.Flags().Changed("port") || cmd.Flags().Changed("bind")):
		return cfg, usage("--tftp names address and port: leave --port and --bind away")
	case cmd.Flags().Changed("tftp"):
		if t.Listen == "" {
			return cfg, usage("--tftp is empty: a drop box without a port takes nothing")
		}
	case f.bind == "":
		t.Listen = config.Addr(":" + strconv.Itoa(int(f.port)))
	default:
		t.Listen = config.Addr(net.JoinHostPort(f.bind, strconv.Itoa(int(f.port))))
	}
	if f.remote != "" {
		if _, err := netip.ParseAddr(f.remote); err != nil {
			return cfg, usage("--remoteip %s is no address", f.remote)
		}
		t.Allow = config.Allow{f.remote}
	}
	return cfg, nil
}

// box is the drop box: it names files, and tells what comes in.
type box struct {
	*served
	flags *dropFlags
	out   io.Writer
	now   func() time.Time

	mu    sync.Mutex
	taken map[string]bool // names that running uploads will get
}

// open binds the port. There is no other port in its place: whoever names none means 69.
func (b *box) open(ctx context.Context, h *house) ([]source, error) {
	if err := forgetReady(b.flags.ready); err != nil {
		return nil, err
	}
	c := h.cfg.Serve.TFTP
	owner, err := ownerOf("", c.Root)
	if err != nil {
		return nil, err
	}
	t, err := tree.Open(c.Root, tree.Config{UID: owner.uid, GID: owner.gid, Kept: c.Kept, Step: h.p.step})
	if err != nil {
		return nil, err
	}
	sweep(ctx, t, h)
	allow, err := acl.Parse(c.Allow, "--remoteip")
	if err != nil {
		return nil, err
	}
	b.served = newServed(t, &settings{allow: allow, silent: b.flags.remote != "", write: c.Write, maxSize: int64(c.MaxSize), minFree: c.MinFree.Of})
	s, err := listenTFTP(tftpConfig(h.cfg), b, b.served, h)
	if err != nil {
		_ = t.Close()
		if errors.Is(err, os.ErrPermission) {
			return nil, fmt.Errorf("%s may not be bound without privileges: use --port 6969, or setcap cap_net_bind_service+ep %s", c.Listen, ownPath())
		}
		if who := portHolder(int(b.flags.port)); who != "" {
			return nil, fmt.Errorf("port %d is held by %s: stop it, or name another with --port", b.flags.port, who)
		}
		return nil, err
	}
	one := tftpSource(s, b.served, "drop", nil)
	one.Source = &told{Source: s, box: b}
	return []source{one}, nil
}

// Create implements tftp.Files: it gives the upload its name.
func (b *box) Create(name tallyman.Name, announced int64, client netip.Addr) (tftp.Upload, error) {
	if b.flags.names == "plain" && !plain(name.Raw()) {
		return nil, &tftp.Refusal{Reason: tallyman.BadRequest, Text: "the name has other characters than letters, digits, dot, hyphen and underscore: --names any takes it"}
	}
	at := b.now()
	for range 10000 {
		final, err := tallyman.ParseName(b.stamp(name.Path(), client, at))
		if err != nil {
			return nil, &tftp.Refusal{Reason: tallyman.BadRequest, Text: err.Error()}
		}
		if b.flags.timestamp && !b.claim(final.Path()) {
			at = at.Add(time.Millisecond)
			continue
		}
		u, err := b.served.Create(final, announced, client)
		if err != nil {
			b.release(final.Path())
			return nil, err
		}
		return &boxUpload{Upload: u, box: b, name: final.Path()}, nil
	}
	return nil, &tftp.Refusal{Reason: tallyman.Exists, Text: "ten thousand files of that name came within ten seconds"}
}

// stamp makes the name of the file, to the letter as wotftp does: 10.1.1.5-file.txt-2020-04-20-11-05-37-345.
func (b *box) stamp(path string, client netip.Addr, at time.Time) string {
	dir, base := filepath.Split(path)
	if b.flags.timestamp {
		base += at.Local().Format("-2006-01-02-15-04-05-") + fmt.Sprintf("%03d", at.Nanosecond()/int(time.Millisecond))
	}
	if b.flags.ipstamp {
		base = strings.ReplaceAll(client.Unmap().WithZone("").String(), ":", "-") + "-" + base
	}
	return dir + base
}

// plain is the character rule of wotftp: letters, digits, dot, hyphen, underscore.
func plain(name string) bool {
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(".-_", r) || r == unicode.ReplacementChar {
			return false
		}
	}
	return true
}

// claim takes a stamped name, unless a file or a running upload has it.
func (b *box) claim(path string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.taken[path] {
		return false
	}
	if _, err := tree.Identify(filepath.Join(b.tree.Path(), path)); err == nil {
		return false
	}
	b.taken[path] = true
	return true
}

func (b *box) release(path string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.taken, path)
}

// boxUpload gives its name free when it ends.
type boxUpload struct {
	tftp.Upload
	box  *box
	name string
}

func (u *boxUpload) Commit() error {
	defer u.box.release(u.name)
	return u.Upload.Commit()
}

func (u *boxUpload) Abort() {
	u.Upload.Abort()
	u.box.release(u.name)
}

// told is the server with somebody who reads along.
type told struct {
	tallyman.Source
	box *box
}

// idleAfter is the silence after which wotftp says that it is idle.
const idleAfter = 10 * time.Second

// Run serves, and prints what is recorded.
func (t *told) Run(ctx context.Context, to tallyman.Recorder) error {
	if t.box.flags.verbose == 0 {
		return t.Source.Run(ctx, to)
	}
	teller := &teller{Recorder: to, box: t.box}
	teller.idle = time.AfterFunc(idleAfter, teller.sayIdle)
	defer teller.end()
	return t.Source.Run(ctx, teller)
}

// teller prints evidence on its way.
type teller struct {
	tallyman.Recorder
	box   *box
	mu    sync.Mutex
	idle  *time.Timer
	ended bool
}

func (t *teller) Record(batch ...tallyman.Evidence) {
	t.tell(batch)
	t.Recorder.Record(batch...)
}

func (t *teller) Commit(ctx context.Context, batch ...tallyman.Evidence) error {
	err := t.Recorder.Commit(ctx, batch...)
	if err == nil {
		t.tell(batch)
	}
	return err
}

func (t *teller) tell(batch []tallyman.Evidence) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.idle.Reset(idleAfter)
	for i := range batch {
		e := &batch[i]
		ends := e.Kind == tallyman.KindClosed || e.Kind == tallyman.KindRefusal
		if ends || t.box.flags.verbose > 1 {
			fmt.Fprintf(t.box.out, "%s %s “%s” %s\n", e.Time.Local().Format(time.TimeOnly), e.Peer, tallyman.Escape(e.Name), e.Says())
		}
	}
}

func (t *teller) sayIdle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	fmt.Fprintln(t.box.out, "Idle at "+time.Now().Format(time.TimeOnly))
	t.idle.Reset(idleAfter)
}

func (t *teller) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	t.idle.Stop()
}
