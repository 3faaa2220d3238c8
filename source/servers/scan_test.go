package servers_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tallyman/source/servers"
)

// machine is a /proc of our making.
type machine struct {
	t    *testing.T
	proc string
	root string
}

func newMachine(t *testing.T) *machine {
	m := &machine{t, filepath.Join(t.TempDir(), "proc"), t.TempDir()}
	m.write(filepath.Join(m.proc, "uptime"), "1000.00 1.00\n")
	return m
}

func (m *machine) write(name, text string) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) link(to, name string) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Symlink(to, name); err != nil {
		m.t.Fatal(err)
	}
}

// process starts one, with a socket on a port; 0 = without.
func (m *machine) process(pid, parent, start int, exe, line string, port int) {
	m.t.Helper()
	dir := filepath.Join(m.proc, fmt.Sprint(pid))
	m.write(dir+"/stat", fmt.Sprintf("%d (%.15s) S %d 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 %d 0\n", pid, filepath.Base(exe), parent, start))
	m.write(dir+"/cmdline", strings.ReplaceAll(line, " ", "\x00")+"\x00")
	m.write(dir+"/cgroup", fmt.Sprintf("0::/system.slice/unit-%d.service\n", pid))
	m.link(exe, dir+"/exe")
	m.link(m.root, dir+"/root")
	m.link("/dev/null", dir+"/fd/0")
	table := "sl local\n"
	if port > 0 {
		m.link(fmt.Sprintf("socket:[%d]", pid), dir+"/fd/3")
		table += fmt.Sprintf(" 1: 0100007F:%04X 00000000:0000 07 0:0 0:0 0 0 0 %d 2\n", port, pid)
	}
	m.write(dir+"/net/udp", table)
}

func (m *machine) end(pid int) {
	m.t.Helper()
	if err := os.RemoveAll(filepath.Join(m.proc, fmt.Sprint(pid))); err != nil {
		m.t.Fatal(err)
	}
}

// finds scans, and wants servers as "name pid port folders unit".
func (m *machine) finds(s *servers.Scanner, want ...string) []servers.Server {
	m.t.Helper()
	found, err := s.Scan()
	if err != nil {
		m.t.Fatal(err)
	}
	var got []string
	for i := range found {
		v := &found[i]
		got = append(got, fmt.Sprintf("%s %d %v %s %s", v.Name, v.PID, v.Listens, strings.ReplaceAll(strings.Join(v.Folders, ","), m.root, "ROOT"), v.Unit))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		m.t.Errorf("found %q, not %q", got, want)
	}
	return found
}

const tftpd = "tftpd-hpa 10 [127.0.0.1:6969] ROOT/srv/tftp unit-10.service"

func TestServersAreFoundWithTheirSocketsAndFolders(t *testing.T) {
	m := newMachine(t)
	m.process(10, 1, 500, "/usr/sbin/in.tftpd", "in.tftpd -l -a :6969 -s /srv/tftp", 6969)
	m.process(11, 1, 600, "/usr/bin/bash", "bash in.tftpd", 69)
	m.process(12, 1, 400, "/usr/sbin/dnsmasq (deleted)", "dnsmasq -k --conf-file=/etc/d.conf", 69)
	m.write(m.root+"/etc/d.conf", "enable-tftp\ntftp-root=/boot\n")
	m.process(13, 1, 450, "/usr/sbin/dnsmasq", "dnsmasq -C /dev/null", 69)
	found := m.finds(servers.New(m.proc), "dnsmasq 12 [127.0.0.1:69] ROOT/boot unit-12.service", tftpd)
	if len(found) == 2 && (found[1].Program != "/usr/sbin/in.tftpd" || !found[1].Syslog || found[1].Since.IsZero() || !found[1].Apart.Files) {
		t.Errorf("%+v", found[1])
	}
}

func TestAChildOfAServerIsNoneAlsoWhenItsParentHasEnded(t *testing.T) {
	m := newMachine(t)
	m.process(10, 1, 500, "/usr/sbin/in.tftpd", "in.tftpd -l -a :6969 -s /srv/tftp", 6969)
	m.process(20, 10, 700, "/usr/sbin/in.tftpd", "in.tftpd -l -a :6969 -s /srv/tftp", 6969)
	s := servers.New(m.proc)
	m.finds(s, tftpd)
	m.end(10)
	m.end(20)
	m.process(20, 1, 700, "/usr/sbin/in.tftpd", "in.tftpd -l -a :6969 -s /srv/tftp", 6969)
	m.finds(s)
	// One that we never saw with its parent waits for nobody.
	m.process(21, 1, 701, "/usr/sbin/in.tftpd", "in.tftpd -l -a :6969 -s /srv/tftp", 0)
	m.finds(s)
	// The pid comes again: that is another process.
	m.end(20)
	m.process(20, 1, 900, "/usr/sbin/in.tftpd", "in.tftpd -l -a :6969 -s /srv/tftp", 6969)
	m.finds(s, strings.ReplaceAll(tftpd, "10", "20"))
}

func TestAServerThatListensLaterIsFoundThen(t *testing.T) {
	m := newMachine(t)
	m.process(10, 1, 500, "/usr/sbin/in.tftpd", "in.tftpd -l -a :6969 -s /srv/tftp", 0)
	s := servers.New(m.proc)
	m.finds(s)
	m.end(10)
	m.process(10, 1, 500, "/usr/sbin/in.tftpd", "in.tftpd -l -a :6969 -s /srv/tftp", 6969)
	m.finds(s, tftpd)
}

func TestAChangedConfigurationIsReadWhenToldTo(t *testing.T) {
	m := newMachine(t)
	m.process(12, 1, 400, "/usr/sbin/dnsmasq", "dnsmasq -k -C /d.conf", 69)
	m.write(m.root+"/d.conf", "enable-tftp\ntftp-root=/a\n")
	s := servers.New(m.proc)
	m.finds(s, "dnsmasq 12 [127.0.0.1:69] ROOT/a unit-12.service")
	m.write(m.root+"/d.conf", "enable-tftp\ntftp-root=/b\n")
	m.finds(s, "dnsmasq 12 [127.0.0.1:69] ROOT/a unit-12.service")
	s.Forget()
	m.finds(s, "dnsmasq 12 [127.0.0.1:69] ROOT/b unit-12.service")
}

// A link in the files of a server leads nowhere but into its own root, and what is no file is not waited for.
func TestConfigurationIsReadInTheRootOfTheServer(t *testing.T) {
	m := newMachine(t)
	outside := filepath.Join(t.TempDir(), "secret")
	m.write(outside, "enable-tftp\ntftp-root=/outside\n")
	m.write(m.root+"/etc/real.conf", "enable-tftp\ntftp-root=/inside\n")
	m.link(outside, m.root+"/etc/a.conf")
	m.link("/etc/real.conf", m.root+"/etc/b.conf")
	m.process(12, 1, 400, "/usr/sbin/dnsmasq", "dnsmasq -k -C /etc/b.conf --conf-file=/etc/a.conf --conf-file=/etc", 69)
	found := m.finds(servers.New(m.proc), "dnsmasq 12 [127.0.0.1:69] ROOT/inside unit-12.service")
	if len(found) == 1 && len(found[0].Doubts) != 2 {
		t.Errorf("doubts %q", found[0].Doubts)
	}
}

// end0 takes the standard input of a process away.
func (m *machine) end0(dir string) {
	m.t.Helper()
	if err := os.Remove(dir + "/fd/0"); err != nil {
		m.t.Fatal(err)
	}
}
