package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tallyman/test/bench/load"
)

// The contestants of the case of captures; each has one of every protocol.
const (
	replayed = "tallyman replay"
	exported = "tshark --export-objects"
)

// The metrics of captures.
const (
	took    = "s each"
	through = "capture MB/s"
	unseen  = "bytes left out"
)

// capture is a file with the packets of one transfer.
type capture struct {
	name  string
	kind  string // as tshark calls its objects
	block int    // of TFTP
	file  int64  // bytes of what was transferred
	path  string
	size  int64 // bytes of the capture
	sha   string
}

// captures are those of the case: the blocks of RFC 1350, the largest that fit into a packet of Ethernet, and FTP.
func captures() []*capture {
	return []*capture{
		{name: "TFTP in blocks of 512", kind: "tftp", block: 512, file: 96 << 20},
		{name: "TFTP in blocks of 1428", kind: "tftp", block: 1428, file: 128 << 20},
		{name: "FTP", kind: "ftp-data", file: 128 << 20},
	}
}

func offlineLabels() (labels []string) {
	for _, c := range captures() {
		labels = append(labels, replayed+", "+c.name, exported+", "+c.name)
	}
	return labels
}

func offlineBars() (bars []bar) {
	for _, c := range captures() {
		bars = append(bars,
			bar{took, replayed + ", " + c.name, exported + ", " + c.name, false, 0.1, "x"},
			bar{unseen, replayed + ", " + c.name, "", false, 0, ""})
	}
	return bars
}

// offline compares how long it takes to find out what became of one large transfer, with the hash of its content.
func (r *rig) offline(name string) (got map[string][]sample, err error) {
	ns, remove, err := r.loopback(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	// On the loopback packets would be of 64 KiB; these are as those of a network.
	for _, args := range [][]string{{"mtu", "1500"}, {"gso_max_segs", "1"}} {
		if out, err := exec.CommandContext(r.ctx, "ip", append([]string{"-n", ns, "link", "set", "lo"}, args...)...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("set %v of the loopback: %w: %s", args, err, out)
		}
	}
	var of []contestant
	for _, c := range captures() {
		if r.short {
			c.file /= 8
		}
		if err := r.record(c, ns); err != nil {
			return nil, fmt.Errorf("capture %s: %w", c.name, err)
		}
		defer func() { err = errors.Join(err, os.Remove(c.path)) }()
		of = append(of,
			contestant{replayed + ", " + c.name, func() (sample, error) { return r.often(c, r.replayed) }},
			contestant{exported + ", " + c.name, func() (sample, error) { return r.often(c, r.exported) }})
	}
	return r.alternate(name, of...)
}

// record captures the transfer.
func (r *rig) record(c *capture, ns string) (err error) {
	root, err := r.ftpRoot(c.file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	c.path = filepath.Join(r.root, strings.ReplaceAll(c.name, " ", "-")+".pcap")
	content, err := os.ReadFile(filepath.Join(root, "down1"))
	if err != nil {
		return err
	}
	c.sha = fmt.Sprintf("%x", sha256.Sum256(content))
	peer := r.peers[tcpdump]
	p, err := r.launch(inNet(ns, peer.program, "-Z", "root", "-i", "lo", "-B", "524288", "-s", "0", "-w", c.path), peer.libraries)
	if err != nil {
		return err
	}
	defer p.kill()
	if err := p.complaint.await(r.ctx, "listening on", p.ended); err != nil {
		return fmt.Errorf("%w: %s", err, p.complaint.String())
	}
	if c.block > 0 {
		err = r.tftpOnce(ns, root, c)
	} else {
		err = r.ftpOnce(ns, root, c)
	}
	if err != nil {
		return err
	}
	<-time.After(1500 * time.Millisecond) // tcpdump takes what is captured once a second
	if err := p.stop(); err != nil {
		return err
	}
	if said := p.complaint.String(); !strings.Contains(said, "0 packets dropped by kernel") {
		return fmt.Errorf("tcpdump: %s", said)
	}
	info, err := os.Stat(c.path)
	if err == nil {
		c.size = info.Size()
	}
	return err
}

// tftpOnce has tftpd-hpa send the file once.
func (r *rig) tftpOnce(ns, root string, c *capture) error {
	s := netip.MustParseAddrPort("127.0.0.1:69")
	peer := r.peers[hpa]
	// tftpd-hpa resolves no address where there is none but loopback (AI_ADDRCONFIG, man 3 getaddrinfo).
	p, err := r.launch(inNet(ns, peer.program, "-L", "-4", "-s", "-u", "root", root), peer.libraries)
	if err != nil {
		return err
	}
	defer p.kill()
	if err := r.until("tftpd-hpa listens", p, func() (bool, error) {
		out, err := exec.CommandContext(r.ctx, "ip", "netns", "exec", ns, "cat", "/proc/net/udp").Output()
		return strings.Contains(string(out), ":0045 00000000:0000"), err
	}); err != nil {
		return err
	}
	result, err := r.load(load.Spec{
		Kind: load.Read, Server: s, Names: []string{"down1"}, Size: c.file, Block: c.block, Transfers: 1, Limit: time.Minute, Timeout: time.Second,
	}, ns, nil)
	if err == nil && result.Transfers != 1 {
		err = errors.New("the transfer was not whole: " + result.Error)
	}
	return err
}

// ftpOnce has vsftpd send the file once.
func (r *rig) ftpOnce(ns, root string, c *capture) error {
	state, err := os.MkdirTemp(r.state, "")
	if err != nil {
		return err
	}
	p, err := r.vsftpd(ns, root, state)
	if err != nil {
		return err
	}
	defer p.kill()
	return r.child(inNet(ns, r.self, ftpClients), ftpSpec{Server: "127.0.0.1:" + ftpPort, User: "anonymous", Password: "bench@", Size: c.file, Gets: []string{"down1"}}, new(ftpResult))
}

// often repeats what takes too little CPU to be quoted. once returns what it used, and how many bytes of the content it did not see.
func (r *rig) often(c *capture, once func(*capture) (time.Duration, int64, error)) (sample, error) {
	var cpu, elapsed time.Duration
	var absent int64
	n := 0
	for n == 0 || cpu < enough && !r.short {
		began := time.Now()
		used, missed, err := once(c)
		if err != nil {
			return nil, err
		}
		elapsed += time.Since(began)
		cpu += used
		absent = max(absent, missed)
		n++
	}
	each := elapsed.Seconds() / float64(n)
	return sample{took: each, total: cpu.Seconds() / float64(n), through: float64(c.size) / 1e6 / each, unseen: float64(absent)}, nil
}

// replayed has tallyman read a capture, and wants the hash of the file.
func (r *rig) replayed(c *capture) (time.Duration, int64, error) {
	e, err := r.toEnd([]string{r.binary, "replay", "--json", c.path}, "")
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(e.out) {
		var t struct{ Verdict, SHA256, Content string }
		if err := json.Unmarshal([]byte(line), &t); err != nil {
			return 0, 0, err
		}
		if t.Verdict == "complete" && t.Content == "full" && t.SHA256 == c.sha {
			return e.cpu, 0, nil
		}
	}
	return 0, 0, fmt.Errorf("no complete transfer with the hash of the file: %s", e.out)
}

// exported has tshark take out the objects of a capture. What was sent again or came in another order it may leave out, without a mark: that is
// a figure.
func (r *rig) exported(c *capture) (time.Duration, int64, error) {
	dir, err := os.MkdirTemp(r.root, "objects")
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // the folder above goes too
	peer := r.peers[tshark]
	e, err := r.toEnd([]string{peer.program, "-q", "-n", "-r", c.path, "--export-objects", c.kind + "," + dir}, peer.libraries)
	if err != nil {
		return 0, 0, err
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return 0, 0, err
	}
	var most int64
	for _, entry := range list {
		if info, err := entry.Info(); err == nil {
			most = max(most, info.Size())
		}
	}
	if most < c.file/2 {
		return 0, 0, fmt.Errorf("tshark exports %d bytes of %d", most, c.file)
	}
	return e.cpu, c.file - most, nil
}

// exitFound is the exit code of a replay in which a rule found something.
const exitFound = 3

// end is how a program has ended.
type end struct {
	out  string
	cpu  time.Duration
	peak int64 // bytes of memory, as seen every 20 ms (what the kernel says at the end counts the process that started it)
}

// toEnd runs a program to its end.
func (r *rig) toEnd(args []string, libraries string) (e end, err error) {
	p, err := r.launch(args, libraries)
	if err != nil {
		return e, err
	}
	defer p.kill()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(5 * time.Minute)
	for over := false; !over; {
		select {
		case <-p.ended:
			over = true
		case <-late:
			return e, fmt.Errorf("%s: it does not end", strings.Join(args, " "))
		case <-tick.C:
			if held, err := p.resident(); err == nil { // it may just have ended
				e.peak = max(e.peak, held)
			}
		}
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 && code != exitFound {
		return e, fmt.Errorf("%s: %s: %s", strings.Join(args, " "), p.cmd.ProcessState, p.complaint.String())
	}
	e.out = p.out.String()
	e.cpu, err = p.used()
	return e, err
}

// loopback makes a namespace with a loopback alone.
func (r *rig) loopback(name string) (ns string, remove func() error, err error) {
	ns = "tallyman-" + name + "-" + strconv.Itoa(os.Getpid())
	remove = func() error { return exec.Command("ip", "netns", "del", ns).Run() }
	for _, args := range [][]string{{"netns", "add", ns}, {"-n", ns, "link", "set", "lo", "up"}} {
		if out, err := exec.CommandContext(r.ctx, "ip", args...).CombinedOutput(); err != nil {
			return "", nil, errors.Join(fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out), remove())
		}
	}
	return ns, remove, nil
}
