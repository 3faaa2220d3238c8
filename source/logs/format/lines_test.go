package format_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/logs/format"
	"tallyman/source/logs/format/entry"
)

// shown is evidence in one line: what is unknown is left out.
func shown(e *tallyman.Evidence) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", e.Kind, e.Proto)
	add := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, " %s=%s", key, value)
		}
	}
	add("op", e.Op.String())
	if e.Peer.IsValid() {
		add("peer", e.Peer.String())
	}
	if e.Self.IsValid() {
		add("self", e.Self.String())
	}
	add("user", e.User)
	add("session", e.Session)
	if e.Proc.PID != 0 {
		add("pid", fmt.Sprint(e.Proc.PID))
	}
	quoted := func(key, value string) {
		if value != "" {
			add(key, fmt.Sprintf("%q", value))
		}
	}
	quoted("name", e.Name)
	quoted("path", e.Path)
	quoted("from", e.From)
	if e.Moved >= 0 {
		add("moved", fmt.Sprint(e.Moved))
	}
	add("reason", string(e.Reason))
	if !e.Began.IsZero() {
		add("began", e.Time.Sub(e.Began).String())
	}
	d := strings.Replace(e.Details, `"boundary":"text",`, "", 1)
	i := strings.Index(d, `"format":`)
	rest := d[i+len(`"format":`):]
	if _, after, ok := strings.Cut(rest, ","); ok {
		d = d[:i] + after
	} else {
		d = strings.TrimSuffix(d[:i], ",") + "}"
	}
	if d != "{}" {
		add("details", d)
	}
	return b.String()
}

// script feeds lines to one reader. A line that begins with "= " is the evidence of the line before it, "~ WHY" says that it was noted and "! WHY"
// that it was refused.
func script(t *testing.T, name, text string) {
	t.Helper()
	r := format.NewReader(entry.Options{Host: "vm"})
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	var got, want []string
	check := func(raw string) {
		t.Helper()
		if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
			t.Errorf("%s\n got %s\nwant %s", raw, g, w)
		}
		got, want = nil, nil
	}
	last := ""
	for line := range strings.SplitSeq(text, "\n") {
		switch {
		case line == "":
		case strings.HasPrefix(line, "= "), strings.HasPrefix(line, "~ "), strings.HasPrefix(line, "! "):
			want = append(want, line)
		default:
			check(last)
			last = line
			raw := strings.NewReplacer(`\e`, "\x1b", `\xff`, "\xff").Replace(line)
			all, result := r.Line(name, raw, now, nil)
			for i := range all {
				got = append(got, "= "+shown(&all[i]))
				if all[i].Witness != "log" || all[i].Host != "vm" || all[i].Time.IsZero() || all[i].Time.Location() != time.UTC {
					t.Errorf("%s: %+v", line, all[i])
				}
			}
			switch result.Outcome {
			case entry.Noted:
				got = append(got, "~ "+result.Why)
			case entry.Refused:
				got = append(got, "! "+result.Why)
			case entry.Told:
			}
		}
	}
	check(last)
}
