package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"tallyman"
)

// answer is what the API says about one transfer.
type answer struct {
	Transfer *tallyman.Transfer `json:"transfer"`
	Sentence string             `json:"sentence"`
	Missing  []string           `json:"missing"`
}

func (p *program) showCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show ID|FILE|IP", Short: "all that is known of one transfer", Args: cobra.ExactArgs(1),
		Long:    "Shows one record with all its fields and the evidence. A file name or an address means its newest transfer.",
		Example: "  tallyman show fw.bin\n  tallyman show 019a7f5e-3c00-7abc-8def-0123456789ab --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.one(cmd.Context(), args[0], p.show)
		},
	}
}

func (p *program) whyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "why ID|FILE|IP", Short: "why a transfer has its verdict", Args: cobra.ExactArgs(1),
		Long: `Says the verdict as one sentence, then what each witness saw, as a timeline with one lane per witness, and which
evidence was missing. A file name or an address means its newest transfer.`,
		Example: "  tallyman why fw.bin\n  tallyman why 10.0.0.7",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.one(cmd.Context(), args[0], p.why)
		},
	}
}

// one finds the transfer that is meant and prints it.
func (p *program) one(ctx context.Context, what string, print func(io.Writer, *answer)) error {
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
	if err := a.get(ctx, "transfers/"+id.String(), nil, &raw); err != nil {
		return err
	}
	if p.json {
		_, err := fmt.Fprintf(p.stdout, "%s\n", raw)
		return err
	}
	var found answer
	if err := json.Unmarshal(raw, &found); err != nil {
		return fmt.Errorf("read the record: %w", err)
	}
	print(p.stdout, &found)
	return nil
}

// find returns the id that was given, or that of the newest transfer of a file or an address.
func (a *api) find(ctx context.Context, what string) (tallyman.UUID, error) {
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
		if err := a.get(ctx, "transfers", url.Values{"q": {q}, "limit": {"1"}}, &pg); err != nil {
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

// show prints the fields of the record, then the evidence.
func (p *program) show(w io.Writer, a *answer) {
	t := a.Transfer
	fmt.Fprintln(w, a.Sentence)
	fmt.Fprintln(w)
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%-10s %s\n", name, value)
		}
	}
	field("verdict", p.painted(t.Judgement.Verdict, 0)+"  "+string(t.Judgement.Reason))
	field("id", fmt.Sprintf("%s, revision %d", t.ID, t.Rev))
	field("host", t.Host)
	field("transfer", t.Proto+" "+t.Op.String())
	if t.Client.IsValid() {
		field("client", t.Client.String())
	}
	if t.Server.IsValid() {
		field("server", t.Server.String())
	}
	field("file", t.File())
	field("path", tallyman.Escape(t.Path))
	field("start", local(t.Start))
	field("took", took(t))
	if t.Expected >= 0 {
		field("announced", tallyman.Count(t.Expected)+" bytes")
	}
	if t.Bytes >= 0 {
		field("moved", tallyman.Count(t.Bytes)+" bytes")
	}
	field("content", t.Content.String())
	field("digest", string(t.Digest))
	field("witnesses", strings.Join(t.Judgement.For, ", "))
	field("against", strings.Join(t.Judgement.Against, ", "))
	p.details(w, t.Details)
	p.timeline(w, a)
}

// details prints the protocol facts, one per line.
func (p *program) details(w io.Writer, details string) {
	var facts map[string]json.RawMessage
	if json.Unmarshal([]byte(details), &facts) != nil {
		return
	}
	names := make([]string, 0, len(facts))
	for n := range facts {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		fmt.Fprintf(w, "  %-16s %s\n", tallyman.Escape(n), tallyman.Escape(string(facts[n])))
	}
}

// why prints the sentence, the timeline, and what is missing.
func (p *program) why(w io.Writer, a *answer) {
	fmt.Fprintln(w, a.Sentence)
	fmt.Fprintf(w, "%s  %s  record %s\n", p.painted(a.Transfer.Judgement.Verdict, 0), a.Transfer.Judgement.Reason, a.Transfer.ID)
	p.timeline(w, a)
}

// timeline prints one lane per witness, and what evidence is missing.
func (p *program) timeline(w io.Writer, a *answer) {
	t := a.Transfer
	var lanes []string
	for i := range t.Evidence {
		if n := t.Evidence[i].Witness; !slices.Contains(lanes, n) {
			lanes = append(lanes, n)
		}
	}
	fmt.Fprintln(w)
	if len(lanes) > 0 {
		fmt.Fprintf(w, "%-15s", "AT")
		for _, lane := range lanes {
			fmt.Fprintf(w, "  %-*s", laneWidth(len(lanes)), strings.ToUpper(lane))
		}
		fmt.Fprintln(w)
	}
	var before time.Time
	for i := range t.Evidence {
		e := &t.Evidence[i]
		fmt.Fprintf(w, "%-15s", sinceBefore(before, e.Time))
		before = e.Time
		at := slices.Index(lanes, e.Witness)
		fmt.Fprint(w, strings.Repeat(" ", at*(laneWidth(len(lanes))+2)))
		fmt.Fprintln(w, "  "+e.Says())
		if e.Raw != "" {
			fmt.Fprintln(w, strings.Repeat(" ", 15+at*(laneWidth(len(lanes))+2))+"    | "+tallyman.Escape(e.Raw))
		}
	}
	for _, m := range a.Missing {
		fmt.Fprintln(w, "missing: "+m)
	}
	for _, against := range t.Judgement.Against {
		fmt.Fprintln(w, "against: "+against)
	}
}

// laneWidth shares the line among the witnesses.
func laneWidth(lanes int) int { return max(24, 100/max(lanes, 1)) }

// sinceBefore writes the first time in full and the others as the distance from the one before.
func sinceBefore(before, t time.Time) string {
	if before.IsZero() {
		return t.Local().Format("15:04:05.000000")
	}
	d := t.Sub(before)
	if d < time.Minute {
		return fmt.Sprintf("%+14.3f s", d.Seconds())[1:]
	}
	return "+" + d.Round(time.Second).String()
}
