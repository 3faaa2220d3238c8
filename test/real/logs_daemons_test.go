//go:build real

package real

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tallyman"
	"tallyman/source/logs"
)

func TestLogsOfAtftpdAndDnsmasqBecomeEvidence(t *testing.T) {
	t.Parallel()
	i := newIsland(t)
	root := mkdir(t, i.dir, "tftp")
	if err := os.WriteFile(filepath.Join(root, "f"), noise(1, 3000), 0o644); err != nil {
		t.Fatal(err)
	}
	own := i.file("atftpd.log")
	w := newWitness(t, logs.Config{Journal: true, JournalDir: i.journal, Files: []logs.File{{Path: own, Format: "atftpd", FromStart: true}}})
	w.start()
	port := freePort(t)
	i.run("atftpd", "--daemon", "--no-fork", "--port", fmt.Sprint(port), "--verbose=7", "--logfile", own, "--user", "root.root", "--bind-address", "127.0.0.1", root)
	i.run("dnsmasq", "-k", "--port=0", "--enable-tftp", "--tftp-root="+root, "--listen-address=127.0.0.2", "--bind-interfaces", "--user=root", "-C", "/dev/null", "--pid-file="+i.dir+"/dm.pid")
	at := fmt.Sprintf("127.0.0.1:%d", port)
	up(t, at)
	up(t, "127.0.0.2:69")

	name := "a to 1.2.3.4:5"
	ask(t, at, rrq(name))
	e := w.find("the request to atftpd", named(name, tallyman.KindRequest))
	if e.Peer.Port() == 0 || !strings.Contains(e.Session, ".") || e.Proc.PID != 0 {
		t.Errorf("the request to atftpd: %+v", e)
	}
	if r := w.find("its refusal", named(name, tallyman.KindRefusal)); r.Session != e.Session || r.Began != e.Began || r.Reason != tallyman.NotFound {
		t.Errorf("its refusal: %+v", r)
	}
	c, _, _ := ask(t, at, rrq("f"))
	_ = c.Close()
	w.find("the client that died", func(e *tallyman.Evidence) bool {
		return e.Name == "f" && e.Kind == tallyman.KindClosed && e.Reason == tallyman.ClientGone
	})

	// dnsmasq may have started before the journal was followed: ask until it is seen.
	i.until("a refusal of dnsmasq", func() bool {
		ask(t, "127.0.0.2:69", rrq("nope"))
		for _, e := range w.all() {
			if strings.HasSuffix(e.Path, "/nope") && e.Reason == tallyman.NotFound && e.Peer.Addr().String() == "127.0.0.1" && e.Proc.PID == 0 {
				return true
			}
		}
		return false
	})
	c, oack, tid := ask(t, "127.0.0.2:69", rrq("f", "tsize", "0"))
	if oack[1] != 6 {
		t.Fatalf("no OACK: %q", oack)
	}
	_, _ = c.WriteToUDP([]byte("\x00\x05\x00\x08no\x00"), tid)
	w.find("the size probe, which dnsmasq calls sent", func(e *tallyman.Evidence) bool { return e.Reason == tallyman.SizeProbe })
	w.end()
}
