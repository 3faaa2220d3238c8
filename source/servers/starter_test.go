package servers_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"tallyman/source/servers"
)

// waiting is a process that waits on ports of TCP and UDP.
func (m *machine) waiting(pid, parent int, exe, line string, tcp, udp []int) {
	m.t.Helper()
	m.process(pid, parent, 500, exe, line, 0)
	dir := filepath.Join(m.proc, fmt.Sprint(pid))
	for table, ports := range map[string][]int{"tcp": tcp, "udp": udp} {
		text := "sl local\n"
		state := map[string]string{"tcp": "0A", "udp": "07"}[table]
		for _, port := range ports {
			m.link(fmt.Sprintf("socket:[%d]", pid*100000+port), fmt.Sprintf("%s/fd/%d", dir, port))
			text += fmt.Sprintf(" 1: 0100007F:%04X 00000000:0000 %s 0:0 0:0 0 0 0 %d 2\n", port, state, pid*100000+port)
		}
		m.write(dir+"/net/"+table, text)
	}
}

// serving is a process that was started for one connection to a port.
func (m *machine) serving(pid, parent int, exe, line string, port int) {
	m.t.Helper()
	dir := filepath.Join(m.proc, fmt.Sprint(pid))
	m.process(pid, parent, 900, exe, line, 0)
	m.end0(dir)
	m.link(fmt.Sprintf("socket:[%d]", pid), dir+"/fd/0")
	m.link(fmt.Sprintf("socket:[%d]", pid*10), dir+"/fd/5") // where it waits for data
	m.write(dir+"/net/tcp", fmt.Sprintf("sl local\n 1: 0100007F:%04X 0100007F:9999 01 0:0 0:0 0 0 0 %d 2\n 2: 0100007F:C000 00000000:0000 0A 0:0 0:0 0 0 0 %d 2\n", port, pid, pid*10))
}

// starts scans, and wants servers as "name pid port by unit".
func (m *machine) starts(s *servers.Scanner, want ...string) []servers.Server {
	m.t.Helper()
	found, err := s.Scan()
	if err != nil {
		m.t.Fatal(err)
	}
	var got []string
	for i := range found {
		v := &found[i]
		got = append(got, fmt.Sprintf("%s %d %v %s %s", v.Name, v.PID, v.Listens, v.By, strings.ReplaceAll(strings.Join(v.Folders, ","), m.root, "ROOT")))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		m.t.Errorf("found\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	return found
}

func TestServersOfInetdAreFoundWhileItWaitsForThem(t *testing.T) {
	m := newMachine(t)
	m.write(m.root+"/etc/services", "ssh 22/tcp\nftp\t21/tcp\nown 2100/udp\nown 2121/tcp alias # ours\n")
	m.write(m.root+"/etc/inetd.conf", "# comment\ntime stream tcp nowait root internal\n"+
		"tftp dgram udp wait nobody /usr/sbin/tcpd /usr/sbin/in.tftpd -vv -s /srv/tftp\n"+
		"127.0.0.1:alias stream tcp4 nowait root /usr/sbin/vsftpd vsftpd /etc/v.conf\n#ssh stream tcp nowait root /usr/sbin/sshd sshd -i\nssh stream tcp nowait root /usr/sbin/sshd sshd -i\n")
	m.write(m.root+"/etc/v.conf", "listen=NO\nanon_root=/srv/ftp\n")
	m.write(m.root+"/etc/ssh/sshd_config", "Subsystem sftp internal-sftp\nChrootDirectory /srv/jail\n")
	m.waiting(10, 1, "/usr/sbin/inetd", "/usr/sbin/inetd", []int{2121}, []int{69})
	s := servers.New(m.proc)
	found := m.starts(s, "tftpd-hpa 10 [127.0.0.1:69] inetd ROOT/srv/tftp", "vsftpd 10 [127.0.0.1:2121] inetd ROOT/srv/ftp")
	if len(found) == 2 && (found[1].Port != 2121 || found[1].Program != "/usr/sbin/vsftpd" || !found[0].Tells.Refusals || found[0].Unit != "unit-10.service" || found[0].Same(&found[1])) {
		t.Errorf("%+v", found)
	}
	// The child for one connection is none of its own, though it waits for data.
	m.serving(20, 10, "/usr/sbin/vsftpd", "vsftpd /etc/v.conf", 2121)
	m.starts(s, "tftpd-hpa 10 [127.0.0.1:69] inetd ROOT/srv/tftp", "vsftpd 10 [127.0.0.1:2121] inetd ROOT/srv/ftp")
	// It was told to wait for one more.
	m.end(10)
	m.waiting(10, 1, "/usr/sbin/inetd", "/usr/sbin/inetd", []int{22, 2121}, nil)
	m.starts(s, "openssh 10 [127.0.0.1:22] inetd ROOT/srv/jail", "vsftpd 10 [127.0.0.1:2121] inetd ROOT/srv/ftp")
}

func TestServersOfXinetdAreFoundUnlessTheyAreDisabled(t *testing.T) {
	m := newMachine(t)
	m.write(m.root+"/etc/xinetd.conf", "defaults\n{\n\tdisabled = off-by-id\n}\nincludedir /etc/xinetd.d\n")
	m.write(m.root+"/etc/xinetd.d/tftp", "service tftp\n{\n socket_type = dgram\n protocol = udp\n wait = yes\n server\t= /usr/sbin/in.tftpd\n server_args = -s /srv/tftp\n disable = no\n}\n")
	m.write(m.root+"/etc/xinetd.d/ftp", "service ftp {\n type = UNLISTED\n port = 2121\n socket_type = stream\n flags = REUSE NAMEINARGS\n server = /usr/sbin/pure-ftpd-wrapper\n server_args = pure-ftpd\n}\n"+
		"service sftp-off\n{\n id = off-by-id\n port = 22\n server = /usr/sbin/sshd\n server_args = -i\n}\nservice other\n{\n port = 23\n disable = yes\n server = /usr/sbin/sshd\n}\n")
	m.write(m.root+"/etc/xinetd.d/ftp.bak", "service tftp\n{\n port = 70\n socket_type = dgram\n server = /usr/sbin/in.tftpd\n server_args = -s /srv/bak\n}\n")
	m.write(m.root+"/etc/pure-ftpd/conf/NoAnonymous", "no\n")
	m.write(m.root+"/etc/passwd", "ftp:x:100:100::/srv/ftp:/bin/false\n")
	m.write(m.root+"/etc/ssh/sshd_config", "Subsystem sftp internal-sftp\n")
	m.waiting(10, 1, "/usr/sbin/xinetd", "/usr/sbin/xinetd -stayalive -dontfork", []int{22, 23, 2121}, []int{69, 70})
	m.starts(servers.New(m.proc), "tftpd-hpa 10 [127.0.0.1:69] xinetd ROOT/srv/tftp", "pure-ftpd 10 [127.0.0.1:2121] xinetd ROOT/srv/ftp")
}

func TestServersOfSocketUnitsAreFound(t *testing.T) {
	m := newMachine(t)
	m.write(m.root+"/usr/lib/systemd/system/sshd.socket", "[Unit]\nDescription=x\n[Socket]\nListenStream=22\nAccept=yes\n")
	m.write(m.root+"/usr/lib/systemd/system/sshd@.service", "[Service]\nExecStart=-/usr/sbin/sshd -i $SSHD_OPTS\nStandardInput=socket\n")
	m.write(m.root+"/etc/systemd/system/sshd.socket.d/port.conf", "[Socket]\nListenStream=\nListenStream=0.0.0.0:2222\n")
	m.write(m.root+"/usr/lib/systemd/system/tftp.socket", "[Socket]\nListenDatagram=69\nListenStream=/run/x.sock\n")
	m.write(m.root+"/usr/lib/systemd/system/tftp.service", "[Service]\nExecStart=/usr/sbin/in.tftpd \\\n  -s /srv/tftp\nStandardInput=socket\n")
	m.write(m.root+"/usr/lib/systemd/system/off.socket", "[Socket]\nListenDatagram=6969\nService=tftp.service\n")
	m.write(m.root+"/usr/lib/systemd/system/ssh.socket", "[Socket]\nListenStream=22\nAccept=no\n")
	m.write(m.root+"/usr/lib/systemd/system/ssh.service", "[Service]\nExecStart=/usr/sbin/sshd -D\n")
	m.write(m.root+"/etc/ssh/sshd_config", "Subsystem sftp internal-sftp\nChrootDirectory /srv/jail\n")
	m.waiting(1, 0, "/usr/lib/systemd/systemd", "/sbin/init", []int{22, 2222}, []int{69})
	s := servers.New(m.proc)
	found := m.starts(s, "openssh 1 [127.0.0.1:22] systemd ROOT/srv/jail", "tftpd-hpa 1 [127.0.0.1:69] systemd ROOT/srv/tftp", "openssh 1 [127.0.0.1:2222] systemd ROOT/srv/jail")
	if len(found) == 3 && (found[1].Unit != "tftp.socket" || found[2].Unit != "sshd.socket") {
		t.Errorf("%+v", found)
	}
	// Once it runs, the sshd of ssh.service waits itself.
	m.waiting(30, 1, "/usr/sbin/sshd", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", []int{22}, nil)
	m.starts(s, "tftpd-hpa 1 [127.0.0.1:69] systemd ROOT/srv/tftp", "openssh 1 [127.0.0.1:2222] systemd ROOT/srv/jail", "openssh 30 [127.0.0.1:22]  ROOT/srv/jail")
}

// A server that closed its standard input waits on a socket of that number.
func TestAServerThatWaitsOnDescriptorZeroIsFound(t *testing.T) {
	m := newMachine(t)
	m.write(m.root+"/etc/vsftpd.conf", "listen=YES\nanon_root=/srv/ftp\n")
	m.waiting(10, 1, "/usr/sbin/vsftpd", "vsftpd", []int{21}, nil)
	m.end0(filepath.Join(m.proc, "10"))
	m.link(fmt.Sprintf("socket:[%d]", 10*100000+21), filepath.Join(m.proc, "10/fd/0"))
	m.starts(servers.New(m.proc), "vsftpd 10 [127.0.0.1:21]  ROOT/srv/ftp")
}

// A process becomes another program, whose name the kernel cuts.
func TestAProcessThatBecomesAStarterIsFound(t *testing.T) {
	m := newMachine(t)
	m.write(m.root+"/etc/vsftpd.conf", "anon_root=/srv/ftp\n")
	m.waiting(10, 1, "/usr/bin/nsenter", "nsenter", []int{2121}, nil)
	s := servers.New(m.proc)
	m.starts(s)
	m.end(10)
	m.waiting(10, 1, "/usr/bin/systemd-socket-activate", "systemd-socket-activate -l 2121 -a vsftpd", []int{2121}, nil)
	m.starts(s, "vsftpd 10 [127.0.0.1:2121] systemd-socket-activate ROOT/srv/ftp")
}

// What starts it need not be known, as long as it waits on the port on which the child is asked.
func TestAServerIsKnownByAChildThatWasStartedForOneConnection(t *testing.T) {
	m := newMachine(t)
	m.write(m.root+"/etc/vsftpd.conf", "listen=NO\nanon_root=/srv/ftp\n")
	m.waiting(10, 1, "/opt/own-inetd", "/opt/own-inetd", []int{2121, 80}, nil)
	s := servers.New(m.proc)
	m.starts(s)
	m.serving(20, 10, "/usr/sbin/vsftpd", "vsftpd", 2121)
	m.serving(21, 10, "/usr/sbin/vsftpd", "vsftpd", 2121)
	m.starts(s, "vsftpd 10 [127.0.0.1:2121] own-inetd ROOT/srv/ftp")
	m.end(20)
	m.end(21)
	m.starts(s, "vsftpd 10 [127.0.0.1:2121] own-inetd ROOT/srv/ftp")
	m.end(10)
	m.starts(s)
}

func TestProgramsThatAreFollowedByAServerAreRead(t *testing.T) {
	f := func(line string, want string) {
		t.Helper()
		m := newMachine(t)
		m.write(m.root+"/etc/vsftpd.conf", "anon_root=/srv/ftp\n")
		exe, _, _ := strings.Cut(line, " ")
		m.waiting(10, 1, exe, line, []int{2121}, []int{6969})
		m.starts(servers.New(m.proc), want)
	}
	f("/usr/bin/systemd-socket-activate -l 127.0.0.1:2121 --inetd -a -E PATH vsftpd", "vsftpd 10 [127.0.0.1:2121] systemd-socket-activate ROOT/srv/ftp")
	f("/usr/bin/systemd-socket-activate --listen=6969 -d --inetd in.tftpd -s /srv/tftp", "tftpd-hpa 10 [127.0.0.1:6969] systemd-socket-activate ROOT/srv/tftp")
	f("/usr/bin/tcpsvd -vE 0 2121 vsftpd", "vsftpd 10 [127.0.0.1:2121] tcpsvd ROOT/srv/ftp")
	f("/usr/bin/tcpserver -c 9 0 2121 /usr/sbin/vsftpd", "vsftpd 10 [127.0.0.1:2121] tcpserver ROOT/srv/ftp")
	f("/usr/bin/udpsvd -v 0 6969 in.tftpd /srv/tftp", "tftpd-hpa 10 [127.0.0.1:6969] udpsvd ROOT/srv/tftp")
}
