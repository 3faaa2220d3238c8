package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"tallyman"
	"tallyman/cmd/tallyman/terminal"
)

const queryHelp = `The query is made of words: verdict:failed client:10.20.0.0/16 file:*.cfg size:>1MiB took:<2s -op:get
A bare word matches file, client or reason. Words are joined by AND; OR, minus and ( ) do what they say.`

// withoutLists is the query of who has none: clients list folders far more often than they fetch files. With a query, what it says counts.
const withoutLists = "-op:list"

// span holds the flags that bound a question in time.
type span struct{ from, to string }

func (s *span) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.from, "from", "", "start of the time: 2026-01-31, 2026-01-31T12:00:00Z, now-24h")
	c.Flags().StringVar(&s.to, "to", "", "end of the time, not included")
}

func (s *span) values(args []string) url.Values {
	v := url.Values{}
	for name, text := range map[string]string{"q": strings.Join(args, " "), "from": s.from, "to": s.to} {
		if text != "" {
			v.Set(name, text)
		}
	}
	return v
}

func (p *program) lsCommand() *cobra.Command {
	var s span
	limit := 50
	c := &cobra.Command{
		Use: "ls [QUERY]", Short: "what was transferred, newest first", Long: "Lists transfers, newest first. Without a query, listings of folders are left out: tallyman ls op:list.\n\n" + queryHelp,
		Example: "  tallyman ls\n  tallyman ls verdict:failed --from now-24h\n  tallyman ls 'client:10.20.0.0/16 file:*.cfg -op:get' --limit 500 --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 0 {
				return usage("--limit %d: write how many, 0 for all", limit)
			}
			a, err := p.reachOrRead(cmd.Context())
			if err != nil {
				return err
			}
			defer a.close()
			if len(args) == 0 {
				args = []string{withoutLists}
			}
			return p.list(cmd.Context(), a, s.values(args), limit)
		},
	}
	s.flags(c)
	c.Flags().IntVarP(&limit, "limit", "n", limit, "how many at the most; 0 = all")
	return c
}

// list prints pages until there are enough.
func (p *program) list(ctx context.Context, a *asked, v url.Values, limit int) error {
	var all []*tallyman.Transfer
	for most := limit; ; most = limit - len(all) {
		size := 1000
		if limit > 0 {
			size = min(size, most)
		}
		v.Set("limit", strconv.Itoa(size))
		var pg page
		if err := a.Get(ctx, "transfers", v, &pg); err != nil {
			return err
		}
		if p.json {
			for _, t := range pg.Transfers {
				if err := p.jsonLine(t); err != nil {
					return err
				}
			}
		}
		all = append(all, pg.Transfers...)
		if pg.Next == "" || limit > 0 && len(all) >= limit {
			break
		}
		v.Set("after", pg.Next)
	}
	if p.json {
		return nil
	}
	if len(all) == 0 {
		fmt.Fprintln(p.stderr, "No transfer fits. Without a query, tallyman ls shows all; tallyman serve says how to make one.")
		return nil
	}
	p.transfers(all)
	return nil
}

// transfers prints a table.
func (p *program) transfers(all []*tallyman.Transfer) {
	s, rows := terminal.On(p.stdout), make([][]string, len(all))
	for i, t := range all {
		rows[i] = []string{
			terminal.Local(t.Start), s.Judged(t.Judgement, 0), terminal.Reason(t), t.Op.String(),
			terminal.Client(t), terminal.Amount(t.Bytes), terminal.Took(t), named(t),
		}
	}
	s.Table([]string{"START", "VERDICT", "REASON", "OP", "CLIENT", "BYTES", "TOOK", "FILE"}, rows, 5, 6)
}

func (p *program) jsonLine(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = p.stdout.Write(append(b, '\n'))
	return err
}

func (p *program) tailCommand() *cobra.Command {
	last := 10
	c := &cobra.Command{
		Use: "tail [QUERY]", Short: "transfers as they happen", Long: "Shows the newest transfers, then each as it happens, until Ctrl-C. Without a query, listings of folders are left out.\n\n" + queryHelp,
		Example: "  tallyman tail\n  tallyman tail -n 0 verdict:failed --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := p.reach(cmd.Context())
			if err != nil {
				return err
			}
			defer a.close()
			if len(args) == 0 {
				args = []string{withoutLists}
			}
			v := (&span{}).values(args)
			if last > 0 {
				v.Set("last", strconv.Itoa(last))
			}
			body, err := a.Open(cmd.Context(), "GET", "stream", v)
			if err != nil {
				return err
			}
			defer func() { _ = body.Close() }() // it is only read
			err = follow(body, func(event string, data []byte) error {
				if event != "transfer" {
					return nil
				}
				return p.followed(data)
			})
			if cmd.Context().Err() != nil {
				return nil
			}
			return err
		},
	}
	c.Flags().IntVarP(&last, "last", "n", last, "begin with so many of the newest")
	return c
}

// follow hands over what comes in a stream of server-sent events (WHATWG HTML, section 9.2).
func follow(body io.Reader, each func(event string, data []byte) error) error {
	in := bufio.NewScanner(body)
	in.Buffer(nil, 8<<20)
	event := ""
	for in.Scan() {
		field, value, _ := strings.Cut(in.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			event = value
		case "data":
			if err := each(event, []byte(value)); err != nil {
				return err
			}
		}
	}
	if err := in.Err(); err != nil {
		return &coded{exitUnreachable, fmt.Errorf("the stream broke: %w", err)}
	}
	return &coded{exitUnreachable, errors.New("the server closed the stream")}
}

// followed prints one event's transfers: one object, or a list of them.
func (p *program) followed(data []byte) error {
	list := []json.RawMessage{data}
	if len(data) > 0 && data[0] == '[' {
		if err := json.Unmarshal(data, &list); err != nil {
			return err
		}
	}
	for _, one := range list {
		t := new(tallyman.Transfer)
		if err := json.Unmarshal(one, t); err != nil {
			return err
		}
		if p.json {
			if err := p.jsonLine(t); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(p.stdout, "%s  %s  %-3s  %-15s  %12s  %10s  %s\n",
			terminal.Local(t.Start), terminal.On(p.stdout).Judged(t.Judgement, 12), t.Op, terminal.Client(t), terminal.Amount(t.Bytes), terminal.Took(t), named(t))
	}
	return nil
}

// named is the name of the file, and where it has another one now, that too.
func named(t *tallyman.Transfer) string {
	if t.NewPath == "" {
		return t.File()
	}
	return t.File() + " -> " + tallyman.Escape(t.NewPath)
}
