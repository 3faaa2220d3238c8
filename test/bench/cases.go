package main

import (
	"fmt"
	"slices"
)

// test is one case: who is measured how, what is shown, which bars it has.
type test struct {
	name, title string
	labels      []string // in the order of the table
	metrics     []string
	bars        []bar
	run         func(r *rig, name string) (map[string][]sample, error)
}

// bar is a goal: the figure of a contestant over that of another one, or alone.
type bar struct {
	metric   string
	of, over string // over "" = the figure itself
	least    bool   // at least the limit; else at most
	limit    float64
	unit     string
}

// The metrics.
const (
	speed    = "MB/s"
	cost     = "CPU s/GB"
	again    = "repeats" // packets that were missing or came twice, and timeouts
	lost     = "lost requests"
	failed   = "failed"
	syncs    = "syncs of the spool per transfer"
	spoolled = "transfers/s, spool"
	ledgered = "transfers/s, ledger"
	each     = "CPU us each"
	p50, p99 = "p50 ms", "p99 ms"
	slowest  = "max ms"
	memory   = "KiB per reader"
	peak     = "peak backlog"
	drained  = "drain s"
	highest  = "highest RSS MiB"
	missing  = "records missing"
)

// known is our server with a file that it has digested before and nobody changed since.
const known = ours + ", file read before"

func cases() []test {
	hundreds := []bar{
		{spoolled, ours, dnsmasq, true, 1.8, "x"},
		{spoolled, ours, atftpd, true, 1.8, "x"},
		{p99, ours, "", false, 100, "ms"},
		{lost, ours, "", false, 0, ""},
		{failed, ours, "", false, 0, ""},
	}
	return append([]test{
		lockstep("lockstep-512", 512), lockstep("lockstep-1428", 1428),
		{
			name: "window-1428", title: "Read, blocks of 1428, window 64, one client", labels: []string{ours, known, atftpd, hpa + " lockstep"},
			metrics: []string{speed, cost, again},
			bars: []bar{
				{speed, ours, atftpd, true, 2, "x"},
				{cost, ours, atftpd, false, 0.5, "x"},
				{cost, known, atftpd, false, 0.5, "x"},
				{speed, ours, hpa + " lockstep", true, 9, "x"},
			},
			run: func(r *rig, name string) (map[string][]sample, error) {
				return r.reads(name, side{label: ours, server: ours, block: 1428, window: 64}, side{label: atftpd, server: atftpd, block: 1428, window: 64},
					side{label: known, server: ours, block: 1428, window: 64, unchanged: true}, side{label: hpa + " lockstep", server: hpa, block: 1428})
			},
		},
		{
			name: "window-8192", title: "Read, blocks of 8192, window 64, one client with a socket buffer of 4 MiB and with the default of 208 KiB",
			labels:  []string{ours + " 4 MiB", ours + " default", atftpd + " 4 MiB", atftpd + " default"},
			metrics: []string{speed, cost, again},
			bars:    []bar{{speed, ours + " default", atftpd + " default", true, 2, "x"}},
			run: func(r *rig, name string) (map[string][]sample, error) {
				return r.reads(name,
					side{ours + " 4 MiB", ours, 8192, 64, 4 << 20, false}, side{atftpd + " 4 MiB", atftpd, 8192, 64, 4 << 20, false},
					side{ours + " default", ours, 8192, 64, 0, false}, side{atftpd + " default", atftpd, 8192, 64, 0, false})
			},
		},
		write("write-1428", "Write, blocks of 1428, window 64, one client", 1428, bar{speed, ours, atftpd, true, 1, "x"}),
		write("write-8192", "Write, blocks of 8192, window 64, one client", 8192, bar{speed, ours, atftpd, true, 1, "x"}),
		crowd("small-128", 128, 0, bar{ledgered, ours, dnsmasq, true, 0.5, "x"}, bar{spoolled, ours, dnsmasq, true, 0.8, "x"}),
		crowd("small-512", 512, 0, hundreds...),
		crowd("burst-512", 512, 20, hundreds...),
		{
			name: "memory", title: "Memory of the server and of the kernel for it, 500 readers that hold back their first ACK",
			labels: []string{ours, dnsmasq, atftpd, hpa}, metrics: []string{memory, failed},
			bars: []bar{{memory, ours, "", false, 16, "KiB"}}, run: (*rig).memory,
		},
		{
			name: "loss-5", title: "Read, 16 clients at once, 100 kB each in blocks of 512, 5 % of all packets lost",
			labels: []string{ours, hpa}, metrics: []string{p50, slowest, failed},
			bars: []bar{{p50, ours, hpa, false, 0.1, "x"}, {failed, ours, "", false, 0, ""}}, run: (*rig).lossy,
		},
		{
			name: "ledger-frozen", title: "500 clients at once, 256 kB each in blocks of 1428, a live page open, the disk of the ledger frozen meanwhile",
			labels: []string{free, frozen}, metrics: []string{p50, p99, peak, drained, highest, missing, failed},
			bars: []bar{{p50, frozen, free, false, 1.1, "x"}, {missing, frozen, "", false, 0, ""}, {failed, frozen, "", false, 0, ""}},
			run:  (*rig).frozen,
		},
		{
			name: "wire-starts", title: "Where sessions start, told at 80,000 packets/s, of which 16,000 pass the filter; rings of 12 MiB", labels: []string{ring, tcpdump, tshark},
			metrics: []string{share, total, pace, dropped, rss, starts, late},
			bars: []bar{
				{share, ring, tcpdump, false, 3, "x"},
				{share, ring, tshark, false, 0.1, "x"},
				{dropped, ring, "", false, 0, ""},
				{starts, ring, "", false, 0, ""},
				{rss, ring, "", false, 30, "MiB"},
				{late, ring, "", false, 250, "ms"},
			},
			run: (*rig).starts,
		},
		{
			name: "ftp-watched", title: "Four FTP transfers at once, two each way, of 1 GiB each, on a vsftpd that is watched, and on one that is not", labels: []string{watched, unwatched},
			metrics: []string{speed, total, cost, unjudged, gaps, rss},
			bars:    []bar{{unjudged, watched, "", false, 0, ""}, {gaps, watched, "", false, 0, ""}, {speed, watched, unwatched, true, 0.8, "x"}},
			run:     (*rig).watchedFTP,
		},
		{
			name: "replay-offline", title: "A capture of one transfer: what became of it, with the hash of its content; the peer writes the content to memory and hashes nothing",
			labels: offlineLabels(), metrics: []string{took, total, through, unseen}, bars: offlineBars(), run: (*rig).offline,
		},
		{
			name: "log-lines", title: "Lines of other servers' logs made into evidence, on one processor, by format", labels: formats(), metrics: []string{lines, total, untold},
			bars: linesBars(), run: (*rig).logLines,
		},
		{
			name: "log-million", title: "Logs of six servers through tallyman replay, ever longer ones", labels: []string{tenth, half, whole}, metrics: []string{rss, took, total, lines},
			bars: []bar{{rss, half, tenth, false, 1.2, "x"}, {rss, whole, half, false, 1.1, "x"}}, run: (*rig).logMillion,
		},
	}, accountCases()...)
}

func lockstep(name string, block int) test {
	return test{
		name: name, title: fmt.Sprintf("Read, blocks of %d, lockstep, one client", block), labels: []string{ours, hpa, atftpd, dnsmasq},
		metrics: []string{speed, cost, again}, bars: []bar{{speed, ours, hpa, true, 1.2, "x"}},
		run: func(r *rig, name string) (map[string][]sample, error) {
			return r.reads(name, side{label: ours, server: ours, block: block}, side{label: hpa, server: hpa, block: block},
				side{label: atftpd, server: atftpd, block: block}, side{label: dnsmasq, server: dnsmasq, block: block})
		},
	}
}

func write(name, title string, block int, bars ...bar) test {
	return test{
		name: name, title: title, labels: []string{ours, atftpd}, metrics: []string{speed, cost, again, syncs, failed}, bars: bars,
		run: func(r *rig, name string) (map[string][]sample, error) { return r.writes(name, block) },
	}
}

// crowd is n clients that read so many files each and begin again at once; 0 is no end.
func crowd(name string, n, files int, bars ...bar) test {
	title := fmt.Sprintf("Read, files of 1 KiB, %d clients at once", n)
	if files > 0 {
		title += fmt.Sprintf(", all of them anew after %d files each", files)
	}
	return test{
		name: name, title: title, labels: []string{ours, dnsmasq, atftpd},
		metrics: []string{spoolled, ledgered, each, p50, p99, lost, failed}, bars: bars,
		run: func(r *rig, name string) (map[string][]sample, error) { return r.small(name, n, files) },
	}
}

// result is a case with its figures.
type result struct {
	Name, Title string
	Labels      []string
	Metrics     []string
	Samples     map[string][]sample
	Bars        []verdict
}

// verdict is a bar and what was measured.
type verdict struct {
	Goal           string
	Got, Low, High float64
	Met            bool
}

func (t test) judge(got map[string][]sample) []verdict {
	var out []verdict
	for _, b := range t.bars {
		values := column(got[b.of], b.metric)
		goal := b.of + ": " + b.metric
		if b.over != "" {
			goal += " over " + b.over
			for i, v := range column(got[b.over], b.metric) {
				values[i] /= v
			}
		}
		word := "at most"
		if b.least {
			word = "at least"
		}
		v := verdict{Goal: fmt.Sprintf("%s, %s %g %s", goal, word, b.limit, b.unit)}
		v.Low, v.Got, v.High = spread(values)
		switch {
		case b.limit == 0: // none means none in any run
			v.Met = v.High == 0
		case b.least:
			v.Met = v.Got >= b.limit
		default:
			v.Met = v.Got <= b.limit
		}
		out = append(out, v)
	}
	return out
}

func column(of []sample, metric string) []float64 {
	values := make([]float64, len(of))
	for i, s := range of {
		values[i] = s[metric]
	}
	return values
}

// spread is the least, the median and the greatest of values.
func spread(values []float64) (low, median, high float64) {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return v[0], (v[(n-1)/2] + v[n/2]) / 2, v[n-1]
}
