package main

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"tallyman"
	"tallyman/cmd/tallyman/terminal"
)

// statsBy is what transfers can be counted by.
const statsBy = "hour, file, client, proto, verdict or host"

func (p *program) statsCommand() *cobra.Command {
	var s span
	by, limit := "hour", 50
	c := &cobra.Command{
		Use: "stats", Short: "counts by hour, file, client, proto, verdict or host", Args: cobra.NoArgs,
		Long:    "Counts transfers from roll-ups, so that it costs the same for a thousand records as for ten million. Hours and days are UTC.\nWithout --from it counts the last 24 hours.",
		Example: "  tallyman stats\n  tallyman stats --by file --from now-30d\n  tallyman stats --by client --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := p.reachOrRead(cmd.Context())
			if err != nil {
				return err
			}
			defer a.close()
			v := s.values(nil)
			v.Set("by", by)
			v.Set("limit", strconv.Itoa(limit))
			return p.stats(cmd, a, v, by)
		},
	}
	s.flags(c)
	c.Flags().StringVar(&by, "by", by, statsBy)
	c.Flags().IntVarP(&limit, "limit", "n", limit, "how many rows at the most")
	return c
}

func (p *program) stats(cmd *cobra.Command, a *asked, v url.Values, by string) error {
	var answer struct {
		Rows []tallyman.Stat `json:"stats"`
	}
	if err := a.Get(cmd.Context(), "stats", v, &answer); err != nil {
		return err
	}
	if p.json {
		for _, row := range answer.Rows {
			if err := p.jsonLine(row); err != nil {
				return err
			}
		}
		return nil
	}
	head := []string{strings.ToUpper(by), "TRANSFERS", "UP", "DOWN", "BYTES"}
	verdicts := by != "file" && by != "client" && by != "verdict"
	if verdicts {
		for _, verdict := range tallyman.Verdicts() {
			head = append(head, strings.ToUpper(verdict.String()))
		}
	}
	right := make([]int, 0, len(head))
	for i := 1; i < len(head); i++ {
		right = append(right, i)
	}
	var rows [][]string
	for _, row := range answer.Rows {
		cells := []string{
			tallyman.Escape(row.Key), tallyman.Count(row.Transfers), tallyman.Count(row.Uploads), tallyman.Count(row.Downloads), tallyman.Count(row.Bytes),
		}
		if verdicts {
			for _, verdict := range tallyman.Verdicts() {
				cells = append(cells, tallyman.Count(row.Verdicts[verdict]))
			}
		}
		rows = append(rows, cells)
	}
	if len(rows) == 0 {
		fmt.Fprintln(p.stderr, "Nothing was counted in that time.")
		return nil
	}
	terminal.On(p.stdout).Table(head, rows, right...)
	return nil
}
