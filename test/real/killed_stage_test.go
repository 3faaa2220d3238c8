//go:build real

package real

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tallyman/source/files"
	"tallyman/source/logs"
	"tallyman/source/wire"
)

// ftpServer is one of the servers, and where its files are.
type ftpServer struct {
	name string
	port uint16
	root string
}

// segment is a network namespace with clients, at the other end of a cable. Each server has its own: what is behind TLS cannot be told apart by its
// server's port alone.
type segment struct {
	ns, cable string
	server    netip.Addr // our end
}

// newSegment makes the n-th network of clients, 10.77.n.0/24; the servers are at its first address.
func newSegment(t testing.TB, n byte) *segment {
	t.Helper()
	g := &segment{ns: fmt.Sprintf("tm%df%d", os.Getpid(), n), cable: fmt.Sprintf("tm%df%d", os.Getpid(), n), server: netip.AddrFrom4([4]byte{10, 77, n, 1})}
	command(t, "ip", "netns", "add", g.ns)
	t.Cleanup(func() { command(t, "ip", "netns", "del", g.ns) })
	command(t, "ip", "link", "add", g.cable, "type", "veth", "peer", "name", "cable", "netns", g.ns)
	t.Cleanup(func() { command(t, "ip", "link", "del", g.cable) })
	command(t, "ip", "addr", "add", g.server.String()+"/24", "dev", g.cable)
	command(t, "ip", "-n", g.ns, "addr", "add", netip.AddrFrom4([4]byte{10, 77, n, 2}).String()+"/24", "dev", "cable")
	for _, ns := range [][]string{{}, {"-n", g.ns}} {
		dev := "cable"
		if len(ns) == 0 {
			dev = g.cable
		}
		command(t, "ip", append(ns, "link", "set", dev, "up")...)
	}
	return g
}

// cut takes the cable away; deafen has the machine hear and say nothing more, while its cable stays.
func (g *segment) cut(t testing.TB) { command(t, "ip", "-n", g.ns, "link", "set", "cable", "down") }

func (g *segment) deafen(t testing.TB) {
	rules := filepath.Join(t.TempDir(), "rules")
	must(os.WriteFile(rules, []byte("table inet gone {\n chain in { type filter hook input priority 0; drop; }\n chain out { type filter hook output priority 0; drop; }\n}\n"), 0o600))
	command(t, "ip", "netns", "exec", g.ns, "nft", "-f", rules)
}

// start starts a client. It is killed, if it still lives, when the program of the tests ends.
func (g *segment) start(e *errand, dir, program string, arg ...string) *ftpProcess {
	c := &ftpProcess{cmd: exec.Command("ip", append([]string{"netns", "exec", g.ns, program}, arg...)...), ended: make(chan struct{})}
	c.cmd.Dir = dir
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if e != nil {
		text, err := json.Marshal(e)
		must(err)
		c.cmd.Env = append(os.Environ(), ftpEnv+"="+string(text))
	}
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.err
	must(c.cmd.Start())
	go func() {
		_ = c.cmd.Wait()
		close(c.ended)
	}()
	return c
}

// ftpProcess is a client that runs. ip netns exec becomes it, so its pid is that of the client.
type ftpProcess struct {
	cmd      *exec.Cmd
	out, err safeBuffer
	ended    chan struct{}
}

func (c *ftpProcess) kill() {
	_ = c.cmd.Process.Kill()
	<-c.ended
}

const ftpGivesUp = 5 // seconds after which a server lets go of a silent client; pure-ftpd counts in minutes

// ftpStage starts the three servers of FTP, each on a port of its own, and the witnesses.
type ftpStage struct {
	*stage
	servers  []ftpServer
	segments []*segment // of each server those of clients that stay, of those that fall silent, and of those whose cable is cut
}

// at is the network of the clients of a server that end in a way.
func (f *ftpStage) at(server, way int) *segment { return f.segments[server*ways+way] }

// The ways in which a network of clients ends.
const (
	stays = iota
	deaf
	cut
	deafUp // each of those behind TLS alone: to which of two sessions data belongs is not to be seen
	deafDown
	ways
)

func newFTPStage(t *testing.T) *ftpStage {
	t.Helper()
	f := &ftpStage{stage: newStage(t, 0)}
	for n := range byte(3 * ways) {
		f.segments = append(f.segments, newSegment(t, 40+n))
	}
	base := uint16(31000 + os.Getpid()%500*3)
	f.ours = func(a netip.Addr) bool { return a.As4()[1] == 77 && a.As4()[2] >= 40 }
	vs, pro := f.folder(t, "vsftpd", ""), f.folder(t, "proftpd", "")
	f.island = newIsland(t)
	f.servers = []ftpServer{{"vsftpd", base, vs}, {"proftpd", base + 1, pro}, {"pure-ftpd", base + 2, filepath.Join(f.dir, "home")}}
	pem := certify(t, f.dir)
	own, ext := f.file("vsftpd.log"), f.file("ext.log")
	f.vsftpd(pem, own)
	f.proftpd(pem, ext)
	f.pureFTPd(pem)
	var roots []files.Root
	f.tries = nil
	for _, v := range f.servers {
		must(os.Chown(v.root, 4242, 4242))
		roots = append(roots, files.Root{Path: v.root, Proto: "ftp", Programs: []string{v.name}})
		f.tries = append(f.tries, tryName+"-"+v.name)
		f.dial(int(v.port)).Close()
	}
	f.live = func(c *wire.LiveConfig) {
		c.Interfaces, c.Analyzer.FTPPorts = nil, []uint16{base, base + 1, base + 2}
		for _, g := range f.segments {
			c.Interfaces = append(c.Interfaces, g.cable)
		}
	}
	f.witness(roots, []logs.File{{Path: own, Format: "vsftpd", FromStart: true}, {Path: ext, Format: "proftpd-extended", FromStart: true}}, hpaStall, func() {
		for i, v := range f.servers {
			e := errand{Server: fmt.Sprintf("127.0.0.1:%d", v.port), Verb: "STOR", Name: f.tries[i], Size: 10}
			if err := e.run(); err != nil {
				t.Fatalf("%s: %v", v.name, err)
			}
		}
	})
	return f
}

// certify makes a key and a certificate of its own, in one file.
func certify(t testing.TB, dir string) string {
	t.Helper()
	pem := filepath.Join(dir, "ftp.pem")
	command(t, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=ftp", "-keyout", pem+".key", "-out", pem+".crt")
	key, err := os.ReadFile(pem + ".key")
	must(err)
	crt, err := os.ReadFile(pem + ".crt")
	must(err)
	must(os.WriteFile(pem, append(key, crt...), 0o600))
	return pem
}

func (f *ftpStage) vsftpd(pem, own string) {
	v := &f.servers[0]
	conf := f.write("vsftpd.conf", strings.Join([]string{
		"listen=YES", fmt.Sprintf("listen_port=%d", v.port), "local_enable=YES", "write_enable=YES", "anonymous_enable=NO", "xferlog_enable=YES", "log_ftp_protocol=YES",
		"vsftpd_log_file=" + own, "secure_chroot_dir=/run/vsftpd/empty", "pam_service_name=login", "seccomp_sandbox=NO", "use_localtime=YES", "local_root=" + v.root,
		"chroot_local_user=YES", "allow_writeable_chroot=YES", fmt.Sprintf("data_connection_timeout=%d", ftpGivesUp), "ssl_enable=YES", "rsa_cert_file=" + pem,
		"rsa_private_key_file=" + pem, "force_local_data_ssl=NO", "force_local_logins_ssl=NO", "require_ssl_reuse=NO",
	}, "\n")+"\n")
	f.run("vsftpd", conf)
}

// tally is the LogFormat of source/logs/README.md.
const tally = `LogFormat tally "%t %h %u \"%r\" %s %b %T f=%f why=%{transfer-failure} st=%{transfer-status} type=%{transfer-type} ms=%{transfer-millisecs}"`

func (f *ftpStage) proftpd(pem, ext string) {
	v := &f.servers[1]
	program, _ := peer(f.t, "proftpd-core")
	modules := filepath.Join(filepath.Dir(filepath.Dir(program)), "lib/proftpd")
	conf := f.write("proftpd.conf", strings.Join([]string{
		"ModulePath " + modules, "LoadModule mod_tls.c", "ServerName t", "ServerType standalone", fmt.Sprintf("Port %d", v.port), "User root", "Group root", "UseIPv6 off",
		"UseReverseDNS off", "AuthPAM off", "PidFile " + f.dir + "/pid", "ScoreboardFile " + f.dir + "/score", "DelayEngine off", "RequireValidShell off", "DefaultRoot " + v.root,
		fmt.Sprintf("TimeoutStalled %d", ftpGivesUp), tally, "ExtendedLog " + ext + " ALL tally", "TransferLog none",
		"TLSEngine on", "TLSRequired off", "TLSECCertificateFile " + pem, "TLSECCertificateKeyFile " + pem, "TLSOptions NoSessionReuseRequired",
		"<Directory />", "AllowOverwrite on", "AllowStoreRestart on", "AllowRetrieveRestart on", "</Directory>",
	}, "\n")+"\n")
	f.run("proftpd-core", "-n", "-c", conf)
}

func (f *ftpStage) pureFTPd(pem string) {
	v := &f.servers[2]
	f.run("pure-ftpd", "-S", fmt.Sprintf("0.0.0.0,%d", v.port), "-l", "unix", "-H", "-E", "-d", "-A", "-I", "1", "-Y", "1", "-2", pem, "-g", filepath.Join(f.dir, "pure.pid"))
}
