//go:build real

package real

import (
	"bufio"
	"fmt"
	"net/netip"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"tallyman/source/servers"
)

// started is a program that runs as long as the test, by a command that begins it.
func started(t *testing.T, environment []string, name string, arg ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(name, arg...)
	cmd.Env = append(os.Environ(), environment...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var said safeBuffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if t.Failed() && said.String() != "" {
			t.Logf("%s said: %s", name, said.String())
		}
	})
	return cmd
}

// found scans until a server is there, on one of the ports.
func (i *island) found(s *servers.Scanner, name string, port int, fits func(v *servers.Server) bool) (out servers.Server) {
	i.t.Helper()
	i.until(fmt.Sprintf("%s on %d is found", name, port), func() bool {
		all, err := s.Scan()
		if err != nil {
			i.t.Fatal(err)
		}
		for k := range all {
			if v := &all[k]; v.Name == name && int(v.Port) == port && fits(v) {
				out = *v
				return true
			}
		}
		return false
	})
	return out
}

func TestServersThatInetdStartsAreFound(t *testing.T) {
	t.Parallel()
	i := newIsland(t)
	root := mkdir(t, i.dir, "srv")
	tftpd, libraries := peer(t, "tftpd-hpa")
	vsftpd, more := peer(t, "vsftpd")
	sshd, again := peer(t, "openssh-server")
	all := []string{"LD_LIBRARY_PATH=" + strings.Join([]string{libraries, more, again}, ":")}
	tftp, ftp, sftp, ssh := freePort(t), freeTCP(t), freeTCP(t), freeTCP(t)
	conf := i.write("vsftpd.conf", "listen=NO\nanonymous_enable=YES\nftp_username=lu\nanon_root="+root+"\nsecure_chroot_dir=/run/vsftpd/empty\nseccomp_sandbox=NO\n")
	command(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(i.dir, "host"))
	jail := mkdir(t, i.dir, "jail")
	sshConf := i.write("sshd_config", fmt.Sprintf("HostKey %s/host\nUsePAM no\nSubsystem sftp internal-sftp -l INFO\nChrootDirectory %s\n", i.dir, jail))
	inside := func(environment []string, program string, arg ...string) {
		started(t, environment, "nsenter", append([]string{"--mount", "--target", fmt.Sprint(i.pid), program}, arg...)...)
	}

	inetd, its := peer(t, "openbsd-inetd")
	inside([]string{all[0] + ":" + its}, inetd, "-i", "-E", i.write("inetd.conf", fmt.Sprintf("%d dgram udp wait root %s in.tftpd -vv -t 20 -s %s\n127.0.0.1:%d stream tcp nowait root %s vsftpd %s\n", tftp, tftpd, root, ftp, vsftpd, conf)))
	xinetd, its := peer(t, "xinetd")
	inside([]string{all[0] + ":" + its}, xinetd, "-dontfork", "-f", i.write("xinetd.conf", fmt.Sprintf("service own-sftp\n{\n type = UNLISTED\n port = %d\n bind = 127.0.0.1\n socket_type = stream\n protocol = tcp\n wait = no\n user = root\n"+
		" server = %s\n server_args = -i -f %s\n env = %s\n}\n", sftp, sshd, sshConf, all[0])))
	inside(all, "/usr/bin/systemd-socket-activate", "-l", fmt.Sprintf("127.0.0.1:%d", ssh), "--inetd", "-a", "-E", "LD_LIBRARY_PATH", sshd, "-i", "-f", sshConf)

	s := servers.New("/proc")
	by := func(name string) func(*servers.Server) bool {
		return func(v *servers.Server) bool { return v.By == name }
	}
	v := i.found(s, "tftpd-hpa", tftp, by("inetd"))
	if !slices.Equal(v.Folders, []string{root}) || !v.Tells.Refusals || !slices.Contains(v.Listens, netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(tftp))) {
		t.Errorf("%+v", v)
	}
	if v = i.found(s, "vsftpd", ftp, by("inetd")); !slices.Equal(v.Folders, []string{root}) || v.Proto != "ftp" {
		t.Errorf("%+v", v)
	}
	for name, port := range map[string]int{"xinetd": sftp, "systemd-socket-activate": ssh} {
		if v = i.found(s, "openssh", port, by(name)); !slices.Contains(v.Folders, jail) || !v.Tells.Ends || !strings.Contains(strings.Join(v.Advice, " "), jail+"/dev/log") {
			t.Errorf("by %s: %+v", name, v)
		}
	}

	// A child that serves is none of its own, though that of TFTP waits on its port, and that of FTP for data.
	f := &ftpClient{t: t, c: i.dial(ftp)}
	defer f.c.Close()
	f.r = textproto.NewReader(bufio.NewReader(f.c))
	f.reply(220)
	f.command(331, "USER anonymous")
	f.command(230, "PASS x")
	f.command(227, "PASV")
	ask(t, fmt.Sprintf("127.0.0.1:%d", tftp), rrq("nope"))
	for _, port := range []int{ftp, tftp} {
		i.until(fmt.Sprintf("a child of inetd serves %d", port), func() bool { return childOn(t, port) })
		list, err := s.Scan()
		if err != nil {
			t.Fatal(err)
		}
		for k := range list {
			if v := &list[k]; v.By == "" && strings.Contains(strings.Join(v.Args, " "), i.dir) {
				t.Errorf("a child is a server: %+v", v)
			}
		}
	}

	// What doctor says of it.
	out, err := exec.Command(os.Getenv(binaryEnv), "doctor", "--json", "--state", t.TempDir()).Output()
	if err != nil {
		t.Fatalf("doctor: %v: %s", err, out)
	}
	says := doctorSays(string(out))
	for _, want := range []string{"started by inetd for each connection: ", "started by xinetd for each connection: ", "who is locked into " + jail + " is unseen"} {
		if !strings.Contains(says, want) {
			t.Errorf("doctor does not say %q, but\n%s", want, says)
		}
	}
}

// childOn reports whether a process has a socket of a port as its standard input.
func childOn(t *testing.T, port int) bool {
	t.Helper()
	inodes := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/udp"} {
		b, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 9 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				inodes["socket:["+f[9]+"]"] = true
			}
		}
	}
	inputs, _ := filepath.Glob("/proc/[0-9]*/fd/0")
	return slices.ContainsFunc(inputs, func(name string) bool {
		to, _ := os.Readlink(name) // it may have ended
		return inodes[to]
	})
}

func TestWatchProvesWhatInetdStarts(t *testing.T) {
	t.Parallel()
	i := newIsland(t)
	w := &watching{island: i, root: mkdir(t, i.dir, "srv"), state: filepath.Join(t.TempDir(), "state")}
	for _, name := range []string{"by-tftp", "by-ftp"} {
		must(os.WriteFile(filepath.Join(w.root, name), noise(1, 3000), 0o600))
		must(os.Chmod(filepath.Join(w.root, name), 0o644))
	}
	tftpd, libraries := peer(t, "tftpd-hpa")
	vsftpd, more := peer(t, "vsftpd")
	inetd, its := peer(t, "openbsd-inetd")
	tftp, ftp := freePort(t), freeTCP(t)
	conf := i.write("vsftpd.conf", "listen=NO\nanonymous_enable=YES\nftp_username=lu\nanon_root="+w.root+"\nsecure_chroot_dir=/run/vsftpd/empty\nseccomp_sandbox=NO\n"+
		"xferlog_enable=YES\nlog_ftp_protocol=YES\nvsftpd_log_file="+i.file("vsftpd.log")+"\n")
	started(t, []string{"LD_LIBRARY_PATH=" + strings.Join([]string{libraries, more, its}, ":")}, "nsenter", "--mount", "--target", fmt.Sprint(i.pid), inetd, "-i", "-E",
		i.write("inetd.conf", fmt.Sprintf("%d dgram udp wait root %s in.tftpd -vv -t 20 -s %s\n%d stream tcp nowait root %s vsftpd %s\n", tftp, tftpd, w.root, ftp, vsftpd, conf)))
	_ = i.dial(ftp).Close()
	w.start()
	for _, part := range []string{
		"Watching 2 servers", "tftpd-hpa  pid", "vsftpd  pid", "started by inetd for each connection  on 0.0.0.0:" + fmt.Sprint(tftp), "serves " + w.root,
		"=> complete, failed, aborted and refused are proven, and uploads that were stored short are found", "claims: requests, refusals, ends",
	} {
		if said := w.said.String(); !strings.Contains(said, part) {
			t.Errorf("the first words do not say %q:\n%s", part, said)
		}
	}
	for name, url := range map[string]string{"by-tftp": fmt.Sprintf("tftp://127.0.0.1:%d/by-tftp", tftp), "by-ftp": fmt.Sprintf("ftp://127.0.0.1:%d/by-ftp", ftp)} {
		if out, code := client(t, t.TempDir(), nil, "curl", "-sS", "-o", "got", url); code != 0 {
			t.Fatal(out)
		}
		i.until(name+" is complete by packets and file", func() bool {
			all := w.ls(name)
			return len(all) == 1 && all[0].Verdict == "complete" && all[0].Bytes == 3000 && slices.Contains(all[0].Witnesses, "files") && slices.Contains(all[0].Witnesses, "wire")
		})
	}
	w.stop()
}
