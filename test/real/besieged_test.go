//go:build real

package real

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// mostWatching bounds the memory of watch in a flood. 16,384 transfers and 4,096 sessions at work, 131,072 flows, and the records that run or wait for late
// evidence hold up to 90 MB; where there is plenty of memory the collector lets that grow fourfold (see easeCollector). Ring and ledger come on top.
const mostWatching = 600 << 20

// A server of somebody else is flooded with requests of forged addresses, and with connections that nobody goes on with. What real clients do meanwhile is
// judged all the same, and what did not fit is a gap.
func TestFloodOfAWatchedServerHidesNoRealTransfer(t *testing.T) {
	p := newPair(t, "siege")
	i := newIsland(t)
	i.netns, i.address = p.servers, p.server.String()
	w := &watching{island: i, root: filepath.Join(i.dir, "home"), state: filepath.Join(t.TempDir(), "state")}
	content := noise(1, 20_000)
	if err := os.WriteFile(filepath.Join(w.root, "boot.bin"), content, 0o644); err != nil {
		t.Fatal(err)
	}
	command(t, "ip", "-n", p.servers, "route", "add", "default", "via", p.client.String())
	i.run("dnsmasq", "-k", "--port=0", "--enable-tftp", "--quiet-tftp", "--tftp-root="+w.root, "--listen-address="+i.address, "--bind-interfaces", "--user=root", "-C", "/dev/null", "--pid-file="+i.dir+"/dm.pid")
	i.vsftpd(21, i.file("vsftpd.log"), i.file("xferlog"), false)
	request := netip.AddrPortFrom(p.server, 69)
	i.until("dnsmasq answers", func() (ok bool) {
		inside(t, p.clients, func() {
			d := newDevice(t, request, p.client.String())
			d.tries = 1
			_, err := d.get("boot.bin")
			ok = err == nil
		})
		return ok
	})
	store := func(name string) {
		out, code := client(t, i.dir, nil, "ip", "netns", "exec", p.clients, "curl", "-sS", "--max-time", "20", "-T", filepath.Join(w.root, "boot.bin"), "ftp://lu:pw@"+i.address+"/"+name)
		if code != 0 {
			t.Errorf("curl ends with %d: %s", code, out)
		}
	}
	i.until("vsftpd answers", func() bool {
		_, code := client(t, i.dir, nil, "ip", "netns", "exec", p.clients, "curl", "-sS", "--max-time", "5", "ftp://lu:pw@"+i.address+"/")
		return code == 0
	})
	w.start()
	most := gauge(t, w.cmd.Process.Pid) // nsenter has become the program
	ended := make(chan struct{})
	requests, connects := p.forger(request), p.forger(netip.AddrPortFrom(p.server, 21))
	go func() {
		defer close(ended)
		var all sync.WaitGroup
		all.Go(func() { requests.flood(50_000, 0, "missing.bin"); requests.flood(50_000, 50_000, "boot.bin") })
		all.Go(func() { connects.half(100_000, 200_000) })
		all.Wait()
	}()
	served, stored := 0, 0
	for again := true; again; {
		select {
		case <-ended:
			again = false // once more, behind it
		default:
		}
		var d *device
		inside(t, p.clients, func() { d = newDevice(t, request, p.client.String()) })
		b, err := d.get("boot.bin")
		d.close()
		if err == nil && bytes.Equal(b, content) {
			served++
		}
		store(fmt.Sprintf("up-%d", stored))
		stored++
	}
	// count is how many were judged complete, and whether some were judged otherwise than unproven, or still run.
	count := func(query string) (complete, wrong, active int) {
		for line := range strings.Lines(command(t, os.Getenv(binaryEnv), "ls", query, "-n", "0", "--json", "--state", w.state)) {
			var r struct{ Verdict string }
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			switch r.Verdict {
			case "complete":
				complete++
			case "active":
				active++
			case "unproven":
			default:
				wrong++
				t.Log(line)
			}
		}
		return complete, wrong, active
	}
	gets, puts, wrong := 0, 0, 0
	full := false // the ring, on a machine that does other things too: then what was not seen is unproven
	i.until("all real transfers are judged", func() bool {
		g, wrongGets, running := count("file:boot.bin proto:tftp client:" + p.client.String())
		u, wrongPuts, more := count("file:up-* proto:ftp client:" + p.client.String())
		gets, puts, wrong = g, u, wrongGets+wrongPuts
		full = strings.Contains(w.gaps(), "the ring was full")
		return gets >= served && puts >= stored || full && running+more == 0 || wrong > 0
	})
	peak := most()
	t.Logf("%d of %d downloads and %d of %d uploads were judged complete in the flood, the ring was full: %v; memory up to %d MiB", gets, served, puts, stored, full, peak>>20)
	if wrong > 0 || gets > served || puts > stored || !full && (gets != served || puts != stored) || served < 2 || stored < 2 {
		t.Errorf("%d of %d downloads and %d of %d uploads are complete, %d are wrong", gets, served, puts, stored, wrong)
	}
	if peak == 0 || peak > mostWatching {
		t.Errorf("watch took %d MiB", peak>>20)
	}
	gaps := w.gaps()
	for _, part := range []string{"TFTP requests were dropped", "FTP connections were dropped"} {
		if !strings.Contains(gaps, part) {
			t.Errorf("no gap says that %s: %s", part, gaps)
		}
	}
	w.stop()
}
