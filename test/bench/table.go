package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// String lists the figures of a run.
func (s sample) String() string {
	var parts []string
	for metric, v := range s {
		if v != 0 {
			parts = append(parts, fmt.Sprintf("%s %s", metric, number(v)))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// number writes v with three digits that matter.
func number(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "-"
	case v >= 100 || v == float64(int64(v)):
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// machine says where and with what was measured.
func (r *rig) machine() string {
	var name unix.Utsname
	_ = unix.Uname(&name) // an empty name says as much
	cpu := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		cores := 0
		for line := range strings.Lines(string(text)) {
			if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == "model name" {
				cores++
				cpu = strings.TrimSpace(value)
			}
		}
		cpu = fmt.Sprintf("%d x %s", cores, cpu)
	}
	first, _ := exec.CommandContext(r.ctx, r.binary, "version").Output()
	version, _, _ := strings.Cut(string(first), "\n")
	var text strings.Builder
	fmt.Fprintf(&text, "%s, Linux %s, %s, load %s; %s", time.Now().Format(time.DateOnly), unix.ByteSliceToString(name.Release[:]), cpu, average(), version)
	if r.pin != "" {
		text.WriteString(", server and clients pinned " + r.pin)
	}
	for _, p := range []string{hpa, atftpd, dnsmasq, vsftpd, pureftpd, proftpd, openssh, tcpdump, tshark} {
		text.WriteString(", " + p + " " + r.peers[p].version)
	}
	return text.String()
}

func average() string {
	text, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

func printAll(out io.Writer, machine string, results []result) {
	fmt.Fprintf(out, "%s; %s\n", machine, "median (least to greatest)")
	for _, r := range results {
		print(out, r)
	}
}

func print(out io.Writer, r result) {
	fmt.Fprintf(out, "\n### %s: %s, %d runs each\n\n| | %s |\n|---%s|\n", r.Name, r.Title, len(r.Samples[r.Labels[0]]),
		strings.Join(r.Metrics, " | "), strings.Repeat("|---", len(r.Metrics)))
	for _, label := range r.Labels {
		fmt.Fprintf(out, "| %s |", label)
		for _, metric := range r.Metrics {
			low, median, high := spread(column(r.Samples[label], metric))
			if low == high {
				fmt.Fprintf(out, " %s |", number(median))
			} else {
				fmt.Fprintf(out, " %s (%s to %s) |", number(median), number(low), number(high))
			}
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintln(out, "\n| goal | measured | |\n|---|---|---|")
	for _, b := range r.Bars {
		met := "met"
		if !b.Met {
			met = "**missed**"
		}
		fmt.Fprintf(out, "| %s | %s (%s to %s) | %s |\n", b.Goal, number(b.Got), number(b.Low), number(b.High), met)
	}
}
