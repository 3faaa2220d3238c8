package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tallyman"
	"tallyman/source/wire"
	"tallyman/test/bench/mix"
)

// The arguments that make this program another process: the witness of packets alone, and the sender of packets.
const (
	witness = "witness"
	sender  = "sender"
)

// The contestants of the case of session starts.
const (
	ring    = "tallyman, ring of watch"
	tcpdump = "tcpdump"
	tshark  = "tshark"
)

// The metrics of the witnesses.
const (
	share   = "CPU ms of 80,000 packets"
	total   = "CPU s"
	pace    = "packets/s"
	dropped = "packets dropped"
	rss     = "RSS MiB"
	starts  = "starts missed"
	late    = "late ms"
)

// startsFilter is F1 of tcpdump: what a log of session starts needs.
const startsFilter = "tcp[tcpflags] & tcp-syn != 0 or (udp and not port 53)"

// seen is what the witness tells when it ends.
type seen struct {
	TCP, Answered, UDP int
	Lost               int64
	Late               time.Duration // the longest time from a packet to its evidence
}

// Record counts.
func (s *seen) Record(batch ...tallyman.Evidence) {
	now := time.Now()
	for i := range batch {
		e := &batch[i]
		switch {
		case e.Kind == tallyman.KindGap:
			s.Lost += max(e.Moved, 1)
		case e.Kind != tallyman.KindFlow:
			continue
		case e.Proto == "tcp":
			s.TCP++
		case e.Proto == "tcp-answered":
			s.Answered++
		default:
			s.UDP++
		}
		s.Late = max(s.Late, now.Sub(e.Time))
	}
}

// Commit is for those who keep evidence.
func (s *seen) Commit(context.Context, ...tallyman.Evidence) error {
	return errors.New("the wire commits nothing")
}

// runWitness is the witness of packets as tallyman watch sends it out where no FTP server runs, with session starts told, and nothing behind it. It ends
// with its input.
func runWitness(ctx context.Context, devices []string, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cfg := wire.LiveDefaults()
	cfg.Interfaces, cfg.Data = devices, false
	cfg.Ready = func() { fmt.Fprintln(out, "ready") }
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	var s seen
	if err := wire.NewLive(cfg).Run(ctx, &s); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(s)
}

// runSender sends as the line that it reads says.
func runSender(in io.Reader, out io.Writer) error {
	var s mix.Spec
	if err := json.NewDecoder(in).Decode(&s); err != nil {
		return err
	}
	sent, err := mix.Run(s)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(sent)
}

// watcher is a program that looks at packets.
type watcher struct {
	label, peer string
	args        []string
	ready       string // the text by which it says that it sees
	onError     bool   // it says so on stderr
	seconds     int    // of a run
	drops       *regexp.Regexp
}

const device, far = "bench0", "bench1"

// rate is the packets a second of the case.
const rate = 80_000

// starts compares what it costs to tell where sessions start, on a mirror port.
func (r *rig) starts(name string) (got map[string][]sample, err error) {
	ns, remove, err := r.cable(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	fields := []string{"-T", "fields", "-e", "frame.time_epoch", "-e", "ip.src", "-e", "ip.dst", "-e", "tcp.srcport", "-e", "tcp.dstport", "-e", "udp.srcport", "-e", "udp.dstport"}
	var of []contestant
	for _, w := range []watcher{
		{label: ring, args: []string{r.self, witness, far}, ready: "ready", seconds: 20},
		{
			label: tcpdump, peer: tcpdump, args: []string{"-Z", "root", "-i", far, "-B", "12288", "-w", "/dev/null", startsFilter}, ready: "listening on", onError: true, seconds: 40,
			drops: regexp.MustCompile(`(\d+) packets? dropped by kernel`),
		},
		{
			label: tshark, peer: tshark, args: append([]string{"-i", far, "-B", "12", "-f", startsFilter, "-n"}, fields...), ready: "Capture started", onError: true, seconds: 3,
			drops: regexp.MustCompile(`(\d+) packets? dropped`),
		},
	} {
		of = append(of, contestant{w.label, func() (sample, error) { return r.watch(ns, &w) }})
	}
	return r.alternate(name, of...)
}

// cable makes a namespace with a cable whose ends both are in it.
func (r *rig) cable(name string) (ns string, remove func() error, err error) {
	ns = "tallyman-" + name + "-" + strconv.Itoa(os.Getpid())
	remove = func() error { return exec.Command("ip", "netns", "del", ns).Run() }
	for _, args := range [][]string{
		{"netns", "add", ns},
		{"-n", ns, "link", "add", device, "type", "veth", "peer", "name", far},
		{"-n", ns, "link", "set", device, "up"},
		{"-n", ns, "link", "set", far, "up"},
	} {
		if out, err := exec.CommandContext(r.ctx, "ip", args...).CombinedOutput(); err != nil {
			return "", nil, errors.Join(fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out), remove())
		}
	}
	return ns, remove, nil
}

// watch has one program look on while packets are sent.
func (r *rig) watch(ns string, w *watcher) (sample, error) {
	args := w.args
	if w.peer != "" {
		args = append([]string{r.peers[w.peer].program}, args...)
	}
	p, err := r.launch(inNet(ns, args...), r.peers[w.peer].libraries)
	if err != nil {
		return nil, err
	}
	defer p.kill()
	from := &p.out
	if w.onError {
		from = &p.complaint
	}
	if err := from.await(r.ctx, w.ready, p.ended); err != nil {
		return nil, fmt.Errorf("%w: %s", err, p.complaint.String())
	}
	before, err := p.used()
	if err != nil {
		return nil, err
	}
	spec := mix.Spec{Interface: device, Rate: rate, Rounds: int(r.seconds(w.seconds).Seconds()) * rate / mix.Round}
	sent, err := r.send(ns, spec)
	if err != nil {
		return nil, err
	}
	// What waits in a block of the ring is told in the second after.
	select {
	case <-time.After(time.Second):
	case <-p.ended:
		return nil, fmt.Errorf("it ended by itself: %s", p.complaint.String())
	}
	after, err := p.used()
	if err != nil {
		return nil, err
	}
	held, err := p.resident()
	if err != nil {
		return nil, err
	}
	if err := p.stop(); err != nil {
		return nil, err
	}
	s := sample{share: float64((after - before).Microseconds()) / 1000 * rate / float64(sent.Packets), total: (after - before).Seconds(), rss: float64(held) / (1 << 20)}
	s[pace] = float64(sent.Packets) / sent.Elapsed.Seconds()
	if w.drops != nil {
		m := w.drops.FindStringSubmatch(p.complaint.String())
		if m == nil {
			return s, nil // tshark says nothing when nothing is dropped
		}
		n, err := strconv.Atoi(m[1])
		s[dropped] = float64(n)
		return s, err
	}
	return s, s.ofWitness(p.out.String(), spec.Rounds)
}

// ofWitness adds what our witness tells of itself.
func (s sample) ofWitness(out string, rounds int) error {
	var told seen
	lines := bufio.NewScanner(strings.NewReader(out))
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "{") {
			if err := json.Unmarshal(lines.Bytes(), &told); err != nil {
				return err
			}
		}
	}
	want := rounds * mix.Sessions
	s[dropped], s[late] = float64(told.Lost), float64(told.Late.Milliseconds())
	s[starts] = float64(abs(want-told.TCP) + abs(want-told.Answered) + abs(mix.Flows-told.UDP))
	return nil
}

func abs(n int) int { return max(n, -n) }

// send sends packets from a process of its own.
func (r *rig) send(ns string, spec mix.Spec) (sent mix.Sent, err error) {
	err = r.child(inNet(ns, r.self, sender), spec, &sent)
	return sent, err
}

// child runs a program that reads a line of JSON and answers with one.
func (r *rig) child(args []string, spec, answer any) error {
	line, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(r.ctx, args[0], args[1:]...)
	cmd.Stdin = bytes.NewReader(line)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, complaint.String())
	}
	return json.Unmarshal(out, answer)
}
