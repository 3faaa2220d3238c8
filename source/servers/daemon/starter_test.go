package daemon_test

import (
	"path"
	"strings"
	"testing"

	"tallyman/source/servers/daemon"
)

func TestServicesAreFoundByTheirPort(t *testing.T) {
	d := disk{
		"/etc/inetd.conf": "own stream tcp nowait root /usr/sbin/vsftpd vsftpd\nnobody stream tcp nowait root /usr/sbin/vsftpd vsftpd\n*:70 dgram udp6 wait root /usr/sbin/in.tftpd\n",
		"/etc/inetd.d/a":  "tftp dgram udp wait root /usr/bin/other other\n",
		"/etc/services":   "own 2100/udp\nown 2121/tcp # ours\n",
	}
	got := daemon.Starts("inetd", []string{"inetd"}, d.look())
	same(t, "inetd", got, []daemon.Start{{Port: 2121, Args: []string{"/usr/sbin/vsftpd"}}, {Port: 70, UDP: true, Args: []string{"/usr/sbin/in.tftpd"}}})
	got = daemon.Starts("inetd", []string{"inetd", "-i", "/other.conf"}, d.look())
	same(t, "inetd with a file of its own", len(got), 0)
}

func FuzzStartsAreReadWithoutGuessing(f *testing.F) {
	for _, p := range []string{"inetd", "xinetd", "systemd", "systemd-socket-activate", "tcpsvd"} {
		f.Add(p, "-l 21 -a vsftpd", "tftp dgram udp wait root /usr/sbin/tcpd in.tftpd -s /srv\nservice ftp\n{\nserver = /usr/sbin/vsftpd\nport=21\n}\n[Socket]\nListenStream=22\nAccept=yes\n[Service]\nExecStart=-/usr/sbin/sshd -i\n")
	}
	f.Fuzz(func(t *testing.T, program, line, config string) {
		d := disk{"/etc/services": "tftp 69/udp\nftp 21/tcp\n"}
		for _, name := range []string{"/etc/inetd.conf", "/etc/xinetd.conf", "/etc/systemd/system/a.socket", "/etc/systemd/system/a@.service", "/etc/systemd/system/a.service"} {
			d[name] = config
		}
		all := daemon.Starts(program, append([]string{program}, strings.Fields(line)...), d.look())
		if len(all) > 64 {
			t.Errorf("%d starts", len(all))
		}
		for _, s := range all {
			if s.Port == 0 || len(s.Args) == 0 || !daemon.Known(daemon.Program(s.Args)) {
				t.Errorf("%+v", s)
			}
			for _, a := range s.Args {
				if said := line + "\n" + config; !strings.Contains(said, strings.TrimSpace(a)) || !strings.Contains(said, path.Base(a)) && a != "" {
					t.Errorf("nobody said %q", a)
				}
			}
		}
	})
}
