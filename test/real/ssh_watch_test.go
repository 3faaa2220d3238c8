//go:build real

package real

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a killed client leaves is told by what the log does not say: that needs a clock, and the product's own.
func TestWatchProvesThatClientsOfSFTPWereKilled(t *testing.T) {
	t.Parallel()
	i := newIsland(t)
	w := &watching{island: i, root: filepath.Join(i.dir, "home"), state: filepath.Join(t.TempDir(), "state")}
	h := &sshHost{stage: &stage{island: i, patience: 2 * soon}, at: "127.0.0.1", port: freeTCP(t), home: w.root, key: filepath.Join(i.dir, "key")}
	for _, name := range []string{"host", "key"} {
		command(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(i.dir, name))
	}
	pub, err := os.ReadFile(h.key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	keys := i.write("authorized_keys", string(pub))
	must(os.Chmod(keys, 0o644))
	i.run("openssh-server", "-D", "-f", i.write("sshd_config", fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s/host\nUsePAM no\nStrictModes no\nMaxStartups 1000\nPidFile none\n"+
		"AuthorizedKeysFile %s\nSubsystem sftp internal-sftp -l INFO\n", h.port, i.dir, keys)))
	_ = i.dial(h.port).Close()
	w.start()
	for _, part := range []string{"openssh  pid", "=> complete, failed and aborted are proven by log and file together", "SFTP is encrypted: packets say nothing of its files"} {
		if said := w.said.String(); !strings.Contains(said, part) {
			t.Errorf("the first words do not say %q:\n%s", part, said)
		}
	}
	play := func(name string) *sshPlay {
		return &sshPlay{sshHost: h, name: name, near: filepath.Join(i.dir, "near-"+name)}
	}
	// journalctl may not follow yet: write until a file is complete, which takes its lines.
	for n, whole := 0, false; !whole; n++ {
		p := play(fmt.Sprintf("whole-%d", n))
		must(os.WriteFile(p.near, noise(1, 3000), 0o600))
		p.done(p.sftp("put " + p.near + " " + p.path(p.name)))
		i.until("a record of "+p.name, func() bool {
			all := w.ls("*" + p.name)
			whole = len(all) == 1 && all[0].Verdict == "complete" && all[0].Reason == "closed"
			return whole || len(all) == 1 && all[0].Verdict == "unproven"
		})
	}
	for n := range 4 {
		p := play(fmt.Sprintf("up-%d", n))
		must(os.WriteFile(p.near, nil, 0o600))
		must(os.Truncate(p.near, huge))
		p.broken(p.sftp("put "+p.near+" "+p.path(p.name)), p.real(p.name), killed)
		p = play(fmt.Sprintf("down-%d", n))
		must(os.WriteFile(p.real(p.name), nil, 0o600))
		must(os.Truncate(p.real(p.name), huge))
		must(os.Chmod(p.real(p.name), 0o644))
		p.broken(p.sftp("get "+p.path(p.name)+" "+p.near), p.near, killed)
	}
	for n := range 4 {
		for _, name := range []string{"up", "down"} {
			i.until(fmt.Sprintf("%s-%d is failed", name, n), func() bool {
				all := w.ls(fmt.Sprintf("*%s-%d", name, n))
				return len(all) == 1 && all[0].Verdict == "failed" && all[0].Reason == "client-gone"
			})
		}
	}
	w.stop()
}
