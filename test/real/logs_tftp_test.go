//go:build real

package real

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/logs"
)

// ask sends one TFTP packet from a port of its own and returns the first answer, if one comes.
func ask(t testing.TB, to string, packet []byte) (c *net.UDPConn, answer []byte, from *net.UDPAddr) {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	at, err := net.ResolveUDPAddr("udp4", to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.WriteToUDP(packet, at); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(soon))
	buf := make([]byte, 2048)
	n, from, err := c.ReadFromUDP(buf)
	if err != nil {
		t.Fatalf("no answer to %q: %v", packet, err)
	}
	return c, buf[:n], from
}

func rrq(name string, options ...string) []byte {
	return []byte("\x00\x01" + name + "\x00octet\x00" + strings.Join(append(options, ""), "\x00"))
}

// freePort is a UDP port that was free a moment ago.
func freePort(t testing.TB) int {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// up waits until a UDP socket has the address (/proc/net/udp, udp6; binding it to see would take it from the server).
func up(t testing.TB, at string) {
	t.Helper()
	to, err := netip.ParseAddrPort(at)
	if err != nil {
		t.Fatal(err)
	}
	want, table := "", "/proc/net/udp"
	if to.Addr().Is6() {
		table = "/proc/net/udp6"
	}
	for ip := range slices.Chunk(to.Addr().AsSlice(), 4) { // words of this machine
		want += fmt.Sprintf("%08X", binary.NativeEndian.Uint32(ip))
	}
	want = fmt.Sprintf(" %s:%04X ", want, to.Port())
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(soon); time.Now().Before(deadline); <-tick.C {
		if text, err := os.ReadFile(table); err != nil || strings.Contains(string(text), want) {
			return
		}
	}
	t.Fatalf("nobody listens on %s", at)
}

func named(name string, kind tallyman.Kind) func(e *tallyman.Evidence) bool {
	return func(e *tallyman.Evidence) bool { return e.Kind == kind && e.Name == name }
}

// hpaIsland runs tftpd-hpa, which logs to a journal, and a witness that follows it.
func hpaIsland(t testing.TB) (w *witness, at string) {
	t.Helper()
	i := newIsland(t)
	root := mkdir(t, i.dir, "tftp")
	if err := os.WriteFile(filepath.Join(root, "f"), noise(1, 3000), 0o644); err != nil {
		t.Fatal(err)
	}
	rules := filepath.Join(i.dir, "map")
	if err := os.WriteFile(rules, []byte("r ^al$ f\na ^bad\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	at = fmt.Sprintf("127.0.0.1:%d", freePort(t))
	w = newWitness(t, logs.Config{Journal: true, JournalDir: i.journal})
	w.start()
	i.run("tftpd-hpa", "-L", "-vvvv", "-a", at, "-c", "--secure", "-m", rules, "-T", "200000", root)
	up(t, at)
	// The witness begins with what comes after its start: ask until the first line is seen.
	i.until("the first line is seen", func() bool {
		c, err := net.Dial("udp4", at)
		if err != nil {
			return false
		}
		defer c.Close()
		_, _ = c.Write(rrq("first"))
		for _, e := range w.all() {
			if e.Name == "first" {
				return true
			}
		}
		return false
	})
	return w, at
}

func TestLogOfTftpdHpaBecomesEvidence(t *testing.T) {
	t.Parallel()
	w, at := hpaIsland(t)

	c, _, _ := ask(t, at, rrq("f"))
	e := w.find("the request", named("f", tallyman.KindRequest))
	if e.Op != tallyman.OpGet || e.Peer.String() != "127.0.0.1:0" || e.Proc.PID == 0 || e.Session != "" || e.Witness != "log" || e.Proto != "tftp" || e.Began != e.Time ||
		!strings.Contains(e.Raw, "in.tftpd[") || e.Details != `{"format":"tftpd-hpa"}` || time.Since(e.Time) > soon {
		t.Errorf("the request: %+v", e)
	}
	_ = c.Close() // the client dies, and the kernel says so
	gone := w.find("the end", func(e *tallyman.Evidence) bool { return e.Kind == tallyman.KindClosed && e.Name == "f" })
	if gone.Reason != tallyman.ClientGone || gone.Proc != e.Proc || gone.Began != e.Began {
		t.Errorf("the end: %+v", gone)
	}

	ask(t, at, rrq("al"))
	if e := w.find("the remapped one", named("al", tallyman.KindRequest)); e.Path != "f" || strings.Contains(e.Details, "remap") {
		t.Errorf("remapped: %+v", e)
	}
	ask(t, at, rrq("bad"))
	if e := w.find("what the map denies", named("bad", tallyman.KindRefusal)); e.Reason != tallyman.RemapDenied {
		t.Errorf("denied: %+v", e)
	}
	c, oack, tid := ask(t, at, rrq("f", "tsize", "0"))
	if oack[1] != 6 {
		t.Fatalf("no OACK: %q", oack)
	}
	_, _ = c.WriteToUDP([]byte("\x00\x05\x00\x08no\x00"), tid)
	w.find("the size probe", func(e *tallyman.Evidence) bool {
		return e.Reason == tallyman.SizeProbe && e.Name == "f" && e.Proc.PID != 0
	})
	w.end()
}

func TestForgedNameInALogStaysAName(t *testing.T) {
	t.Parallel()
	w, at := hpaIsland(t)
	names := []string{
		"a\nRRQ from 1.2.3.4 filename forged", "e\x1b[31m\xff", "f remapped to x  ", "  lead ", "x\ttab", "n\r", "x\n",
		"a\nNov 20 00:00:00 vm in.tftpd[1]: RRQ from 1.2.3.4 filename forged", "sending NAK (1, File not found) to 1.2.3.4",
	}
	for _, name := range names {
		ask(t, at, rrq(name))
		r := w.find(fmt.Sprintf("the request for %q", name), named(name, tallyman.KindRequest))
		e := w.find(fmt.Sprintf("the refusal of %q", name), named(name, tallyman.KindRefusal))
		if e.Reason != tallyman.NotFound || e.Proc != r.Proc || e.Peer.String() != "127.0.0.1:0" || r.Path != "" {
			t.Errorf("%q: %+v, then %+v", name, r, e)
		}
	}
	w.end()
	for _, e := range w.all() {
		if strings.Contains(e.Peer.String(), "1.2.3.4") || e.Name == "forged" {
			t.Errorf("a forged line became %+v", e)
		}
	}
	if l := w.src.Refused(); len(l) > 0 {
		t.Errorf("refused: %+v", l)
	}
	exported(t, w.cfg.JournalDir, names)
}

// exported replays the journal as journalctl exports it: the names are those that were asked for.
func exported(t *testing.T, journal string, names []string) {
	t.Helper()
	for _, form := range []string{"json", "json-seq", "export"} {
		text := command(t, "journalctl", "-D", journal, "-o", form, "--all", "-q")
		path := filepath.Join(t.TempDir(), form)
		must(os.WriteFile(path, []byte(text), 0o600))
		if form == "export" {
			command(t, "gzip", path)
			path += ".gz"
		}
		got := map[string]int{}
		for l := range strings.Lines(command(t, os.Getenv(binaryEnv), "replay", "--json", path)) {
			var r record
			if json.Unmarshal([]byte(l), &r) == nil && r.Op == "get" {
				name := r.File
				if r.FileRaw != nil {
					name = string(r.FileRaw)
				}
				if got[name]++; strings.Contains(r.Client.IP, "1.2.3.4") || name == "forged" {
					t.Errorf("%s: a forged line became %s", form, l)
				}
				if name != "first" && (r.Verdict != "refused" || r.Reason != "not-found") {
					t.Errorf("%s: %s", form, l)
				}
			}
		}
		for _, name := range names {
			if got[name] != 1 {
				t.Errorf("%s: %q is in %d records", form, name, got[name])
			}
		}
	}
}

func TestRestartOfALogLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	w, at := hpaIsland(t)
	const rounds, each = 4, 25
	for round := range rounds {
		for n := range each {
			if n == each/2 {
				w.end()
			}
			ask(t, at, rrq(fmt.Sprintf("r%d-%d", round, n)))
		}
		w.start()
	}
	w.find("the last one", named(fmt.Sprintf("r%d-%d", rounds-1, each-1), tallyman.KindRefusal))
	w.end()
	count, asked := map[string]int{}, map[tallyman.Proc]string{}
	for _, e := range w.all() {
		if e.Kind == tallyman.KindRequest {
			asked[e.Proc] = e.Name
		}
		if e.Name == "" {
			e.Name = asked[e.Proc] // the restart came between two lines of a child: its pid says what the second is about
		}
		count[fmt.Sprint(e.Kind, " ", e.Name)]++
		if e.Kind == tallyman.KindGap {
			t.Errorf("a gap: %+v", e)
		}
	}
	for round := range rounds {
		for n := range each {
			for _, kind := range []tallyman.Kind{tallyman.KindRequest, tallyman.KindRefusal} {
				if name := fmt.Sprintf("%s r%d-%d", kind, round, n); count[name] != 1 {
					t.Errorf("%s came %d times", name, count[name])
				}
			}
		}
	}
}
