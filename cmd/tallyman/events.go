package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tallyman"
	"tallyman/cmd/tallyman/terminal"
	"tallyman/query"
)

func (p *program) eventsCommand() *cobra.Command {
	var s span
	limit, live := 50, false
	c := &cobra.Command{
		Use: "events [QUERY]", Short: "events and gaps, newest first",
		Long:    "Lists what stands beside the transfers: orders, mounts, logins, and gaps in which a witness could not see. With -f, each as it happens, until Ctrl-C.",
		Example: "  tallyman events\n  tallyman events kind:gap --from now-7d\n  tallyman events -f kind:mount,unmount to_class:removable",
		RunE: func(cmd *cobra.Command, args []string) error {
			if live {
				return p.followEvents(cmd.Context(), args)
			}
			a, err := p.reachOrRead(cmd.Context())
			if err != nil {
				return err
			}
			defer a.close()
			v := s.values(args)
			v.Set("limit", strconv.Itoa(limit))
			list, err := a.events(cmd.Context(), v)
			if err != nil {
				return err
			}
			return p.events(list[:min(len(list), limit)])
		},
	}
	s.flags(c)
	c.Flags().BoolVarP(&live, "follow", "f", false, "each as it happens, and none of before")
	c.Flags().IntVarP(&limit, "limit", "n", limit, "how many at the most")
	return c
}

// followEvents prints what fits as it happens. The stream chooses transfers alone, so that the choice is made here.
func (p *program) followEvents(ctx context.Context, args []string) error {
	where, err := query.Parse(strings.Join(args, " "), time.Now())
	if err != nil {
		return usage("%v", err)
	}
	a, err := p.reach(ctx)
	if err != nil {
		return err
	}
	defer a.close()
	body, err := a.Open(ctx, "GET", "stream", url.Values{})
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // it is only read
	err = follow(body, func(event string, data []byte) error {
		if event != "event" && event != "gap" && event != "finding" {
			return nil
		}
		list := []json.RawMessage{data}
		if len(data) > 0 && data[0] == '[' {
			if err := json.Unmarshal(data, &list); err != nil {
				return err
			}
		}
		return p.followedEvents(where, list)
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (p *program) followedEvents(where tallyman.Expr, list []json.RawMessage) error {
	for _, line := range list {
		r, err := tallyman.UnmarshalRecord(line)
		if err != nil {
			return err
		}
		if !query.MatchRecord(where, r) {
			continue
		}
		if p.json {
			if _, err := fmt.Fprintf(p.stdout, "%s\n", line); err != nil {
				return err
			}
			continue
		}
		row := eventRow(r)
		fmt.Fprintf(p.stdout, "%s  %-8s  %s\n", row[0], row[1], row[4])
	}
	return nil
}

// events asks for events, gaps and findings, which the API lists apart, and puts them into one order, newest first.
func (a *asked) events(ctx context.Context, v url.Values) ([]json.RawMessage, error) {
	type row struct {
		at   string
		line json.RawMessage
	}
	var rows []row
	for _, kind := range []string{"events", "gaps", "findings"} {
		var answer map[string]json.RawMessage
		if err := a.Get(ctx, kind, v, &answer); err != nil {
			return nil, err
		}
		var list []json.RawMessage
		if err := json.Unmarshal(answer[kind], &list); err != nil {
			return nil, fmt.Errorf("read the answer to %s: %w", kind, err)
		}
		for _, line := range list {
			var when struct {
				At string `json:"at"`
			}
			if err := json.Unmarshal(line, &when); err != nil {
				return nil, fmt.Errorf("read the answer to %s: %w", kind, err)
			}
			rows = append(rows, row{when.At, line})
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int { return strings.Compare(b.at, a.at) })
	out := make([]json.RawMessage, len(rows))
	for i := range rows {
		out[i] = rows[i].line
	}
	return out, nil
}

func (p *program) events(list []json.RawMessage) error {
	var rows [][]string
	for _, line := range list {
		if p.json {
			if _, err := fmt.Fprintf(p.stdout, "%s\n", line); err != nil {
				return err
			}
			continue
		}
		r, err := tallyman.UnmarshalRecord(line)
		if err != nil {
			return err
		}
		rows = append(rows, eventRow(r))
	}
	if p.json {
		return nil
	}
	if len(rows) == 0 {
		fmt.Fprintln(p.stderr, "No event fits.")
		return nil
	}
	head := []string{"AT", "KIND", "HOST", "WITNESS", "WHAT"}
	if one := rows[0][2]; !slices.ContainsFunc(rows, func(r []string) bool { return r[2] != one && r[2] != "" }) {
		head = slices.Delete(head, 2, 3) // all are of one machine
		for i := range rows {
			rows[i] = slices.Delete(rows[i], 2, 3)
		}
	}
	terminal.On(p.stdout).Fold(head, rows)
	return nil
}

// eventRow is one row of the table: time, kind, host, witness or rule, what.
func eventRow(r tallyman.Record) []string {
	switch e := r.(type) {
	case *tallyman.Event:
		return []string{terminal.Local(e.At), e.Kind, tallyman.Escape(e.Host), e.Witness, e.Says()}
	case *tallyman.Gap:
		return []string{terminal.Local(e.To), "gap", tallyman.Escape(e.Host), e.Witness, e.Says()}
	case *tallyman.Finding:
		return []string{terminal.Local(e.At), "finding", "", e.Rule, e.Severity.String() + ": " + tallyman.Escape(e.Why)}
	default:
		return make([]string, 5)
	}
}
