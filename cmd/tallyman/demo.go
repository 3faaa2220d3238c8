package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tallyman"
	"tallyman/cmd/tallyman/demo"
	"tallyman/cmd/tallyman/terminal"
	"tallyman/config"
	"tallyman/source/tftp"
)

func (p *program) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use: "demo", Short: "a dozen real transfers, good and bad, and what is proven about them", Args: cobra.NoArgs,
		Long: `Starts a server on a free port of this machine, plays about twelve transfers over real sockets, good and bad ones, and ends with a
table of their verdicts. It needs no privileges, and leaves nothing behind.`,
		Example: "  tallyman demo",
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.demo(cmd.Context()) },
	}
}

// demo plays all acts and prints the table.
func (p *program) demo(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "tallyman-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	root := filepath.Join(dir, "root")
	if err := demo.SetScene(root); err != nil {
		return err
	}
	cfg := config.Defaults()
	cfg.Log.Level, cfg.Web.Listen = "error", ""
	cfg.Serve.TFTP.Listen, cfg.Serve.TFTP.Root, cfg.Serve.TFTP.MinFree = "127.0.0.1:0", root, config.Free{}
	cfg.Serve.TFTP.GiveUp, cfg.Drain = config.Duration(demo.GiveUp), config.Duration(2*time.Second)
	quiet := *p
	quiet.state, quiet.stdout = filepath.Join(dir, "state"), io.Discard
	h, err := quiet.open(ctx, cfg, func() (config.Config, error) { return cfg, nil }, func(ctx context.Context, h *house) ([]source, error) {
		return openTFTPWith(ctx, h, func(v *served) tftp.Files { return &narrow{served: v, folder: demo.Tiny + "/", room: demo.Room} })
	})
	if err != nil {
		return err
	}
	ran, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- h.run(ran) }()
	defer func() { stop(); err = errors.Join(err, <-ended) }()

	s := &demo.Stage{Server: h.sources[0].addrs()[0]}
	fmt.Fprintf(p.stdout, "A TFTP server runs on %s. Real clients now talk to it:\n\n", s.Server)
	for i, a := range demo.Acts() {
		fmt.Fprintf(p.stdout, "%2d  %s\n", i+1, a.Title)
		if err := a.Play(ctx, s); err != nil {
			return fmt.Errorf("act %d: %w", i+1, err)
		}
	}
	return p.curtain(ctx, h.state)
}

// curtain waits until every act has its record, then prints the table. It fails when a verdict is not the one that the act must have.
func (p *program) curtain(ctx context.Context, state string) error {
	a := askSocket(socketPath(state))
	defer a.close()
	var want []demo.Record
	for _, act := range demo.Acts() {
		want = append(want, act.Want...)
	}
	all, err := awaitRecords(ctx, a, len(want))
	if err != nil {
		return err
	}
	s, rows, wrong := terminal.On(p.stdout), make([][]string, 0, len(all)), 0
	left := map[demo.Record]int{}
	for _, w := range want {
		left[w]++
	}
	for _, t := range slices.Backward(all) {
		if key := (demo.Record{File: t.Name, Verdict: t.Judgement.Verdict, Reason: t.Judgement.Reason}); left[key] > 0 {
			left[key]--
		} else {
			wrong++
		}
		reason := string(t.Judgement.Reason)
		if strings.Contains(t.Details, `"search":`) {
			reason += ", boot search"
		}
		rows = append(rows, []string{s.Verdict(t.Judgement.Verdict, 0), t.Op.String(), t.File(), terminal.Amount(t.Bytes), reason, t.Judgement.Reason.Because()})
	}
	fmt.Fprintln(p.stdout)
	s.Table([]string{"VERDICT", "OP", "FILE", "BYTES", "REASON", "BECAUSE"}, rows, 3)
	for w, n := range left {
		if n > 0 {
			wrong++
			fmt.Fprintf(p.stderr, "missing: %s %s of “%s”\n", w.Verdict, w.Reason, tallyman.Escape(w.File))
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d verdicts are not what was played: please report this", wrong, len(want))
	}
	fmt.Fprintf(p.stdout, "\nAll %d verdicts are proven by what the clients and the server did. Nothing is left behind.\nNext: tallyman serve ./share\n", len(all))
	return nil
}

// awaitRecords follows the live stream until so many transfers have ended, then lists them.
func awaitRecords(ctx context.Context, a *asked, n int) ([]*tallyman.Transfer, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var pg page
		if err := a.Get(ctx, "transfers", url.Values{"limit": {"1000"}}, &pg); err != nil {
			return nil, err
		}
		ended := 0
		for _, t := range pg.Transfers {
			if t.Judgement.Verdict != tallyman.Active {
				ended++
			}
		}
		if ended >= n {
			return pg.Transfers, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d transfers are on record after 15 s", ended, n)
		}
	}
}

// narrow is a served tree with a folder that takes only so many bytes, like a disk that is full.
type narrow struct {
	*served
	folder string
	room   int64
}

// Create implements tftp.Files.
func (n *narrow) Create(name tallyman.Name, announced int64, from netip.Addr) (tftp.Upload, error) {
	u, err := n.served.Create(name, announced, from)
	if err != nil || !strings.HasPrefix(name.Path(), n.folder) {
		return u, err
	}
	return &narrowUpload{u, n.room}, nil
}

type narrowUpload struct {
	tftp.Upload
	room int64
}

func (u *narrowUpload) Write(p []byte) (int, error) {
	if u.room -= int64(len(p)); u.room < 0 {
		return 0, &tftp.Refusal{Reason: tallyman.DiskFull, Text: "the folder has room for 64 KiB, and the demo fills it"}
	}
	return u.Upload.Write(p)
}
