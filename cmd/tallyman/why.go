package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"tallyman"
	"tallyman/cmd/tallyman/terminal"
)

func (p *program) showCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show ID|FILE|IP", Short: "all that is known of one transfer", Args: cobra.ExactArgs(1),
		Long:    "Shows one record with all its fields and the evidence. A file name or an address means its newest transfer.",
		Example: "  tallyman show fw.bin\n  tallyman show 019a7f5e-3c00-7abc-8def-0123456789ab --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.one(cmd.Context(), args[0], terminal.Screen.Show)
		},
	}
}

func (p *program) whyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "why ID|FILE|IP", Short: "why a transfer has its verdict", Args: cobra.ExactArgs(1),
		Long: `Says the verdict as one sentence, then what each witness says alone, with its evidence summed up and what it lacks, then all evidence as a timeline
with one lane per witness, and which evidence was missing. A file name or an address means its newest transfer.`,
		Example: "  tallyman why fw.bin\n  tallyman why 10.0.0.7",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.one(cmd.Context(), args[0], terminal.Screen.Why)
		},
	}
}

// one finds the transfer that is meant and prints it.
func (p *program) one(ctx context.Context, what string, print func(terminal.Screen, *terminal.Told)) error {
	a, err := p.reachOrRead(ctx)
	if err != nil {
		return err
	}
	defer a.close()
	id, err := a.find(ctx, what)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := a.Get(ctx, "transfers/"+id.String(), nil, &raw); err != nil {
		return err
	}
	if p.json {
		_, err := fmt.Fprintf(p.stdout, "%s\n", raw)
		return err
	}
	var found terminal.Told
	if err := json.Unmarshal(raw, &found); err != nil {
		return fmt.Errorf("read the record: %w", err)
	}
	print(terminal.On(p.stdout), &found)
	return nil
}

// find returns the id that was given, or that of the newest transfer of a file or an address.
func (a *asked) find(ctx context.Context, what string) (tallyman.UUID, error) {
	if id, err := tallyman.ParseUUID(what); err == nil {
		return id, nil
	}
	var queries []string
	if _, err := netip.ParseAddr(what); err == nil {
		queries = []string{"client:" + what}
	} else {
		queries = []string{"file:" + quoted(what)}
		if raw := unescape(what); raw != what {
			queries = append(queries, "file:"+quoted(raw))
		}
		queries = append(queries, quoted(what))
	}
	for _, q := range queries {
		var pg page
		if err := a.Get(ctx, "transfers", url.Values{"q": {q}, "limit": {"1"}}, &pg); err != nil {
			return tallyman.UUID{}, err
		}
		if len(pg.Transfers) > 0 {
			return pg.Transfers[0].ID, nil
		}
	}
	return tallyman.UUID{}, fmt.Errorf("no transfer of “%s” is recorded: tallyman ls shows what is", tallyman.Escape(what))
}

// quoted writes text as one word of the query language.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// unescape gives the name of which tallyman.Escape makes the text: people copy names from what ls shows. Other text is returned as it is.
func unescape(shown string) string {
	var raw []byte
	for rest := shown; rest != ""; {
		if rest[0] != '\\' {
			raw, rest = append(raw, rest[0]), rest[1:]
			continue
		}
		r, multibyte, tail, err := strconv.UnquoteChar(rest, 0)
		switch {
		case err != nil:
			raw, rest = append(raw, rest[0]), rest[1:]
		case multibyte:
			raw, rest = utf8.AppendRune(raw, r), tail
		default:
			raw, rest = append(raw, byte(r)), tail
		}
	}
	if tallyman.Escape(string(raw)) != shown {
		return shown
	}
	return string(raw)
}
