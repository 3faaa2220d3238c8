//go:build real

package real

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/files"
	"tallyman/source/wire"
)

// sshKind is one way in which Debian's sshd serves SFTP.
type sshKind struct {
	name string
	conf string // lines of its configuration
	jail bool   // its users see their home as the root
	full bool   // its users have a disk of one MiB
}

// sshHost is a running sshd with the folder that it serves.
type sshHost struct {
	*stage
	sshKind
	at   string // its address
	port int
	home string // as the machine sees it
	key  string
}

// sshStage starts an sshd of each kind, and the witnesses.
func sshStage(t *testing.T, kinds []sshKind) (*stage, []*sshHost) {
	t.Helper()
	s := newStage(t, 0)
	s.patience = 2 * soon
	s.live = func(c *wire.LiveConfig) { c.Analyzer.Flows = true }
	var hosts []*sshHost
	var roots []files.Root
	for i, k := range kinds {
		size := ""
		if k.full {
			size = "1m"
		}
		h := &sshHost{stage: s, sshKind: k, at: s.address(100 + i).Addr().String(), port: freeTCP(t), home: s.folder(t, "ssh-"+k.name, size)}
		if k.jail {
			mkdir(t, h.home, "dev") // made by root, as all of a jail has to be
			must(os.WriteFile(filepath.Join(h.home, "dev/log"), nil, 0o600))
			must(os.Chmod(h.home, 0o755))
			mkdir(t, h.home, "in")
			must(os.Chmod(h.home+"/in", 0o777))
		}
		roots = append(roots, files.Root{Path: h.home, Proto: "sftp", Programs: []string{"sshd", "sshd-session", "sftp-server"}})
		hosts = append(hosts, h)
	}
	s.island = newIsland(t)
	for _, name := range []string{"host", "key"} {
		command(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(s.dir, name))
	}
	pub, err := os.ReadFile(filepath.Join(s.dir, "key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	keys := s.write("authorized_keys", string(pub))
	must(os.Chmod(keys, 0o644))
	program, libraries := peer(t, "openssh-server")
	for _, h := range hosts {
		h.key = filepath.Join(s.dir, "key")
		conf := fmt.Sprintf("Port %d\nListenAddress %s\nHostKey %s/host\nUsePAM no\nStrictModes no\nAuthorizedKeysFile %s\nMaxStartups 1000\nPidFile none\n", h.port, h.at, s.dir, keys)
		if h.jail {
			inner := "/dev/jail-" + h.name // the way to a jail may be written by root alone
			command(t, "nsenter", "--mount", "--target", fmt.Sprint(s.pid), "sh", "-ec",
				`mkdir "$1"; mount --bind "$2" "$1"; mount --bind /run/systemd/journal/dev-log "$1/dev/log"`, "sh", inner, h.home)
			conf += "ChrootDirectory " + inner + "\n"
		}
		conf += strings.ReplaceAll(h.conf, "PEERS", filepath.Join(filepath.Dir(program), "..")) + "\n"
		s.launch(program, libraries, "-D", "-f", s.write("sshd_"+h.name, conf))
	}
	for _, h := range hosts {
		s.until(h.name+" listens", func() bool {
			c, err := dialTCP(h.at, h.port)
			if err == nil {
				_ = c.Close()
			}
			return err == nil
		})
	}
	s.witness(roots, nil, time.Minute, func() { _, _ = hosts[0].sftp("-rm " + tryName).CombinedOutput() })
	return s, hosts
}

// path is a file as the server's user names it.
func (h *sshHost) path(name string) string {
	if h.jail {
		return "/in/" + name
	}
	return filepath.Join(h.home, name)
}

// real is a file as the machine names it.
func (h *sshHost) real(name string) string {
	if h.jail {
		return filepath.Join(h.home, "in", name)
	}
	return filepath.Join(h.home, name)
}

func (h *sshHost) options() []string {
	return []string{"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "BatchMode=yes", "-i", h.key, "-P", fmt.Sprint(h.port)}
}

// sftp is a client that is given commands. Options may stand before the first one.
func (h *sshHost) sftp(batch string, more ...string) *exec.Cmd {
	cmd := exec.Command("sftp", append(append(append(h.options(), more...), "-b", "-"), "lu@"+h.at)...)
	cmd.Stdin = strings.NewReader(batch + "\n")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// scp copies by SFTP. One of the two names begins with a colon: it is the server's.
func (h *sshHost) scp(from, to string, more ...string) *exec.Cmd {
	name := func(s string) string {
		if strings.HasPrefix(s, ":") {
			return "lu@" + h.at + s
		}
		return s
	}
	cmd := exec.Command("scp", append(append(append(h.options(), "-s"), more...), name(from), name(to))...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// curl speaks SFTP by libssh2.
func (h *sshHost) curl(name string, more ...string) *exec.Cmd {
	cmd := exec.Command("curl", append([]string{"-sS", "-k", "--key", h.key, "--pubkey", h.key + ".pub", fmt.Sprintf("sftp://lu@%s:%d%s", h.at, h.port, h.path(name))}, more...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// sshPlay is the client of one row on one server.
type sshPlay struct {
	*sshHost
	name string // what the file is called, here and there
	near string // the client's own file
}

func (p *sshPlay) fail(format string, arg ...any) {
	p.t.Errorf(p.name+": "+format, arg...)
}

// done runs a client to its end.
func (p *sshPlay) done(cmd *exec.Cmd) {
	if out, err := cmd.CombinedOutput(); err != nil {
		p.fail("%s: %v: %s", cmd.Path, err, out)
	}
}

// fails runs a client that has to fail.
func (p *sshPlay) fails(cmd *exec.Cmd) {
	if out, err := cmd.CombinedOutput(); err == nil {
		p.fail("%s did not fail: %s", cmd.Path, out)
	}
}

// broken starts a client, and breaks it off once so much has come where it goes.
func (p *sshPlay) broken(cmd *exec.Cmd, grows string, end func(pid int)) {
	var said safeBuffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		p.fail("%v", err)
		return
	}
	late := time.Now().Add(p.patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for size := int64(0); size < 300_000; <-tick.C {
		if st, err := os.Stat(grows); err == nil {
			size = st.Size()
		}
		if time.Now().After(late) {
			p.fail("%s does not come: %s", grows, said.String())
			break
		}
	}
	end(cmd.Process.Pid)
	_ = cmd.Wait()
}

// killed ends all that the client is.
func killed(pid int) { must(syscall.Kill(-pid, syscall.SIGKILL)) }

// halfKilled ends sftp, and leaves it to its ssh to find that out.
func halfKilled(pid int) { must(syscall.Kill(pid, syscall.SIGKILL)) }

// stopped is Ctrl-C.
func stopped(pid int) { must(syscall.Kill(-pid, syscall.SIGINT)) }

// cut lets no packet of the server's port through, and ends the client, whose last words are not heard.
func (p *sshPlay) cut(pid int) {
	p.t.Cleanup(p.sever())
	killed(pid)
}

// sever puts the rules up, and returns what takes them away.
func (p *sshPlay) sever() func() {
	table := fmt.Sprintf("tm_cut_%d", p.port)
	rules := fmt.Sprintf("table inet %s {\n chain in {\n  type filter hook input priority 0;\n  tcp dport %d drop\n  tcp sport %d drop\n }\n}\n", table, p.port, p.port)
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		p.fail("cut: %v: %s", err, out)
		return func() {}
	}
	return func() { command(p.t, "nft", "delete", "table", "inet", table) }
}

// speaksOf reports whether a record is about the file of the row.
func (p *sshPlay) speaksOf(name, path string) bool {
	return filepath.Base(name) == p.name || filepath.Base(path) == p.name
}

// told counts what one witness said of the end of the row's file.
func (p *sshPlay) told(witness string, heard []tallyman.Evidence) (n int) {
	for i := range heard {
		e := &heard[i]
		if e.Witness == witness && (e.Kind == tallyman.KindClosed && e.Op.MovesContent() || e.Kind == tallyman.KindRefusal) && p.speaksOf(e.Name, e.Path) {
			n++
		}
	}
	return n
}

func dialTCP(host string, port int) (net.Conn, error) {
	return net.Dial("tcp4", net.JoinHostPort(host, fmt.Sprint(port)))
}
