package daemon_test

import (
	"io/fs"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tallyman/source/servers/daemon"
)

// disk is what a server sees.
type disk map[string]string

func (d disk) look() daemon.Look {
	return daemon.Look{
		File: func(name string) ([]byte, error) {
			text, ok := d[name]
			if !ok {
				return nil, fs.ErrNotExist
			}
			return []byte(text), nil
		},
		Glob: func(pattern string) (out []string) {
			for name := range d {
				if ok, _ := path.Match(pattern, name); ok {
					out = append(out, name)
				}
			}
			slices.Sort(out)
			return out
		},
	}
}

const passwd = `root:x:0:0:root:/root:/bin/bash
ftp:x:106:114:ftp daemon,,,:/srv/ftp:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
ann:x:1000:1000::/home/ann:/bin/bash
bob:x:1001:1001::/home/bob:/bin/bash
`

// read reads a server, and wants one.
func read(t *testing.T, d disk, line string) *daemon.Setup {
	t.Helper()
	args := strings.Fields(line)
	s := daemon.Read(path.Base(args[0]), args, d.look())
	if s == nil {
		t.Fatalf("%s: no server", line)
	}
	return s
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %+v, not %+v", what, got, want)
	}
}

func TestTftpdHpaIsReadFromItsCommandLine(t *testing.T) {
	f := func(line string, root []string, port uint16, tells daemon.Tells, advised string) {
		t.Helper()
		s := read(t, nil, line)
		same(t, "roots", s.Roots, root)
		same(t, "port", s.Port, port)
		same(t, "tells", s.Tells, tells)
		if (advised == "") != (len(s.Advice) == 0) || advised != "" && !strings.Contains(s.Advice[0], advised) {
			t.Errorf("%s: advised %q", line, s.Advice)
		}
	}
	one := []string{"/srv/tftp"}
	f("/usr/sbin/in.tftpd --listen --user tftp --address :69 --secure /srv/tftp", one, 69, daemon.Tells{}, "TFTP_OPTIONS")
	f("/usr/sbin/in.tftpd -lvvs /srv/tftp -a 10.0.0.1:6969", one, 6969, daemon.Tells{Requests: true, Refusals: true}, "")
	f("/usr/sbin/in.tftpd -v -s -c -u tftp /srv/tftp/ /elsewhere", one, 69, daemon.Tells{Requests: true}, "refusals are unseen")
	f("in.tftpd -L --verb 4 -m /etc/map -R 4000:5000 -t 900 -B1468 -r blksize /a /b/../c", []string{"/a", "/c"}, 69, daemon.Tells{}, "-vv")
	f("in.tftpd -L --verbosity 4 -a [::]:tftp -s /a", []string{"/a"}, 69, daemon.Tells{Requests: true, Refusals: true}, "")
	f("in.tftpd -l -vv -a fe80::1 relative", nil, 69, daemon.Tells{Requests: true, Refusals: true}, "")
	if s := read(t, nil, "in.tftpd -l -vv"); len(s.Doubts) != 1 || s.Roots != nil {
		t.Errorf("without a folder: %+v", s)
	}
}

func TestAtftpdIsReadFromItsCommandLine(t *testing.T) {
	s := read(t, nil, "/usr/sbin/atftpd --daemon --tftpd-timeout 300 --retry-timeout 5 --maxthread 100 --verbose=5 --port 1069 --logfile /var/log/a.log /srv/tftp")
	same(t, "roots", s.Roots, []string{"/srv/tftp"})
	same(t, "logs", s.Logs, []daemon.Log{{Path: "/var/log/a.log", Format: "atftpd"}})
	same(t, "port", s.Port, uint16(1069))
	same(t, "tells", s.Tells, daemon.Tells{Requests: true, Refusals: true})
	if len(s.Advice) != 1 || !strings.Contains(s.Advice[0], "--verbose=7") {
		t.Errorf("advice %q", s.Advice)
	}
	if s := read(t, nil, "atftpd --daemon --verbose=7 /srv/tftp"); len(s.Advice) != 0 || s.Logs[0].Path != "" || !s.Tells.Ends {
		t.Errorf("%+v", s)
	}
	if s := read(t, nil, "atftpd --daemon --logfile /dev/null /srv/tftp"); len(s.Advice) != 1 || len(s.Logs) != 0 || s.Tells.Requests {
		t.Errorf("without a log: %+v", s)
	}
}

func TestDnsmasqServesFilesOnlyWhereTFTPIsOn(t *testing.T) {
	d := disk{
		"/etc/dnsmasq.conf":         "# enable-tftp\nport=0\nconf-dir=/etc/dnsmasq.d/,*.conf\n",
		"/etc/dnsmasq.d/boot.conf":  "enable-tftp\ntftp-root=/srv/boot,eth0 # netboot\n",
		"/etc/dnsmasq.d/other.skip": "tftp-root=/wrong\nquiet-tftp\n",
	}
	s := read(t, d, "/usr/sbin/dnsmasq -x /run/dnsmasq.pid -u dnsmasq --local-service")
	same(t, "roots", s.Roots, []string{"/srv/boot"})
	same(t, "tells", s.Tells, daemon.Tells{Refusals: true, Ends: true})
	if daemon.Read("dnsmasq", []string{"dnsmasq", "-C", "/dev/null"}, d.look()) != nil {
		t.Error("a dnsmasq without TFTP is a file server")
	}
	s = read(t, d, "dnsmasq -k --port=0 --enable-tftp --tftp-root=/x --conf-file=/dev/null --quiet-tftp --log-facility=/var/log/d.log")
	same(t, "logs", s.Logs, []daemon.Log{{Path: "/var/log/d.log", Format: "syslog"}})
	if len(s.Advice) != 1 || s.Tells.Ends {
		t.Errorf("quiet: %+v", s)
	}
	d["/etc/dnsmasq.conf"] = "conf-file=/etc/dnsmasq.conf\nenable-tftp\n"
	if s = read(t, d, "dnsmasq"); len(s.Doubts) != 1 {
		t.Errorf("a file that includes itself: %+v", s)
	}
}

func TestVsftpdIsReadFromItsFile(t *testing.T) {
	d := disk{"/etc/passwd": passwd, "/etc/vsftpd.conf": "listen=YES\nanonymous_enable=NO\nlocal_enable=YES\nxferlog_enable=YES\nssl_enable=YES\n"}
	s := read(t, d, "/usr/sbin/vsftpd /etc/vsftpd.conf")
	same(t, "roots", s.Roots, []string{"/home/ann", "/home/bob"})
	same(t, "logs", s.Logs, []daemon.Log{{Path: "/var/log/vsftpd.log", Format: "vsftpd"}})
	same(t, "tls", s.TLS, true)
	same(t, "tells", s.Tells, daemon.Tells{Ends: true})
	d["/etc/vsftpd.conf"] = "listen_port=2121\nxferlog_enable=YES\nxferlog_std_format=YES\nxferlog_file=/l\nlocal_enable=YES\nlocal_root=/srv/u/$USER/in\nuser_sub_token=$USER\n"
	s = read(t, d, "vsftpd")
	same(t, "roots", s.Roots, []string{"/srv/ftp", "/srv/u"})
	same(t, "logs", s.Logs, []daemon.Log{{Path: "/l", Format: "xferlog"}})
	same(t, "port", s.Port, uint16(2121))
	s = read(t, d, "vsftpd /nowhere -oxferlog_enable=NO")
	if len(s.Doubts) != 1 || len(s.Logs) != 0 || len(s.Advice) != 1 {
		t.Errorf("without its file: %+v", s)
	}
}

func TestProftpdIsReadFromItsUsualPlace(t *testing.T) {
	d := disk{
		"/etc/passwd": passwd,
		"/etc/proftpd/proftpd.conf": "Include /etc/proftpd/conf.d/*.conf\nPort 2121\nDefaultRoot ~\nTransferLog /var/log/proftpd/xferlog\nSystemLog /var/log/proftpd/proftpd.log\n" +
			"<IfModule mod_tls.c>\n  TLSEngine on\n</IfModule>\n<Anonymous ~ftp>\n</Anonymous>\n",
		"/etc/proftpd/conf.d/tally.conf": "ExtendedLog /var/log/proftpd/tally.log ALL tally\n",
	}
	s := read(t, d, "proftpd")
	same(t, "roots", s.Roots, []string{"/home/ann", "/home/bob", "/srv/ftp"})
	same(t, "logs", s.Logs, []daemon.Log{{Path: "/var/log/proftpd/tally.log", Format: "proftpd-extended"}, {Path: "/var/log/proftpd/proftpd.log", Format: "proftpd"}})
	if s.Port != 2121 || !s.TLS || len(s.Advice) != 0 {
		t.Errorf("%+v", s)
	}
	s = read(t, disk{"/p.conf": "DefaultRoot /srv/p/%u\nTransferLog NONE\nSystemLog none\n"}, "proftpd --config /p.conf -n")
	same(t, "roots", s.Roots, []string{"/srv/p"})
	if len(s.Logs) != 0 || len(s.Advice) != 1 {
		t.Errorf("%+v", s)
	}
}

func TestPureFtpdIsReadFromWhereItsOptionsAre(t *testing.T) {
	d := disk{
		"/etc/passwd": passwd, "/etc/pure-ftpd/conf/AltLog": "clf:/var/log/pure-ftpd/transfer.log\n", "/etc/pure-ftpd/conf/NoAnonymous": "yes\n",
		"/etc/pure-ftpd/conf/TLS": "1\n", "/etc/pure-ftpd/pureftpd.passwd": "vic:$6$x:1000:1000::/srv/vic/./:::::::::::::\n",
	}
	s := read(t, d, "pure-ftpd (SERVER)")
	same(t, "roots", s.Roots, []string{"/home/ann", "/home/bob", "/srv/vic"})
	same(t, "logs", s.Logs, []daemon.Log{{Format: "pure-ftpd"}, {Path: "/var/log/pure-ftpd/transfer.log", Format: "pure-ftpd-clf", Again: true}})
	same(t, "tls", s.TLS, true)
	s = read(t, disk{"/etc/passwd": passwd}, "pure-ftpd -S 127.0.0.1,2121 -O w3c:/w.log -E -B")
	same(t, "roots", s.Roots, []string{"/home/ann", "/home/bob"}) // -E: no anonymous
	same(t, "roots", read(t, disk{"/etc/passwd": passwd}, "pure-ftpd -e -I 5 -J HIGH -H").Roots, []string{"/srv/ftp"})
	if s.Port != 2121 || s.Logs[1].Format != "pure-ftpd-w3c" {
		t.Errorf("%+v", s)
	}
	if s = read(t, nil, "pure-ftpd (SERVER)"); len(s.Doubts) != 1 {
		t.Errorf("nothing to read: %+v", s)
	}
}

func TestSshdServesFilesOnlyWithSFTP(t *testing.T) {
	d := disk{
		"/etc/passwd":                    passwd,
		"/etc/ssh/sshd_config":           "Include sshd_config.d/*.conf\nPort 22\nSubsystem sftp /usr/lib/openssh/sftp-server\nMatch Group sftp\n\tChrootDirectory /srv/sftp/%u\n",
		"/etc/ssh/sshd_config.d/10.conf": "Port 2222\n",
	}
	s := read(t, d, "sshd /usr/sbin/sshd -D [listener] 0 of 10-100 startups")
	same(t, "roots", s.Roots, []string{"/srv/sftp", "/home/ann", "/home/bob", "/root"})
	same(t, "port", s.Port, uint16(2222))
	if len(s.Advice) != 1 || s.Tells.Ends {
		t.Errorf("its log says nothing: %+v", s)
	}
	d["/x"] = "Subsystem sftp internal-sftp -f AUTH -l INFO\n"
	if s = read(t, d, "sshd -f /x -p 2200"); s.Port != 2200 || !s.Tells.Ends || len(s.Advice) != 0 {
		t.Errorf("%+v", s)
	}
	d["/y"] = "PermitRootLogin no\n"
	d["/z"] = "Subsystem sftp internal-sftp -l INFO\nChrootDirectory /srv/jail\n"
	if s = read(t, d, "sshd -f /z"); len(s.Advice) != 1 || !strings.Contains(s.Advice[0], "no /srv/jail/dev/log") {
		t.Errorf("advice %q", s.Advice)
	}
	d["/srv/jail/dev/log"] = ""
	if s = read(t, d, "sshd -f /z"); len(s.Advice) != 0 {
		t.Errorf("advice %q", s.Advice)
	}
	if daemon.Read("sshd", []string{"sshd", "-f", "/y"}, d.look()) != nil {
		t.Error("an sshd without SFTP is a file server")
	}
}

func TestManyHomesBecomeTheFolderAboveThem(t *testing.T) {
	text := passwd
	for _, n := range []string{"c", "d", "e"} {
		text += n + ":x:1100:1100::/home/" + n + ":/bin/sh\n"
	}
	s := read(t, disk{"/etc/passwd": text, "/etc/vsftpd.conf": "anonymous_enable=NO\nlocal_enable=YES\n"}, "vsftpd")
	same(t, "roots", s.Roots, []string{"/home"})
}

// Whatever stands on the command line and in the files, roots are clean, absolute and bounded, and what is said holds no guess.
func FuzzServersAreReadWithoutGuessing(f *testing.F) {
	for _, p := range []string{"in.tftpd", "atftpd", "dnsmasq", "vsftpd", "proftpd", "pure-ftpd", "sshd"} {
		f.Add(p, "-vv -s /srv/tftp --enable-tftp -a [::]:69", "tftp-root=/srv/../x\nanon_root=relative\nDefaultRoot ~ftp\nSubsystem sftp internal-sftp -l INFO", passwd)
	}
	f.Add("dnsmasq", "--conf-dir=/etc,*.conf --enable", "conf-file=/etc/dnsmasq.conf\nconf-dir=/etc", "a:b:c")
	f.Fuzz(func(t *testing.T, program, line, config, users string) {
		d := disk{"/etc/passwd": users}
		for _, name := range []string{"/etc/dnsmasq.conf", "/etc/vsftpd.conf", "/etc/proftpd/proftpd.conf", "/etc/ssh/sshd_config", "/etc/pure-ftpd.conf"} {
			d[name] = config
		}
		s := daemon.Read(program, append([]string{program}, strings.Fields(line)...), d.look())
		if s == nil {
			return
		}
		if !daemon.Known(program) || !slices.Contains(s.Programs, program) || s.Port == 0 || len(s.Roots) > 64 || len(s.Doubts) > 8 {
			t.Errorf("%+v", s)
		}
		for _, r := range s.Roots {
			if !path.IsAbs(r) || path.Clean(r) != r {
				t.Errorf("root %q", r)
			}
			said := line + "\n" + config + "\n" + users
			for part := range strings.SplitSeq(strings.Trim(r, "/"), "/") {
				if !strings.Contains(said, part) {
					t.Errorf("root %q: nobody said %q", r, part)
				}
			}
		}
		if len(s.Logs) == 0 && s.Tells != (daemon.Tells{}) {
			t.Errorf("without a log it tells %+v", s.Tells)
		}
	})
}
