//go:build real

package real

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tallyman/source/servers"
	"tallyman/source/servers/daemon"
)

// own gives the island an /etc of its own.
func (i *island) own(files map[string]string) {
	i.t.Helper()
	etc := filepath.Join(i.dir, "etc")
	command(i.t, "cp", "-a", "/etc", etc)
	for _, f := range []string{"passwd", "shadow", "group"} {
		command(i.t, "cp", "-a", filepath.Join(i.dir, f), filepath.Join(etc, f))
	}
	for name, text := range files {
		path := filepath.Join(etc, name)
		must(os.MkdirAll(filepath.Dir(path), 0o755))
		must(os.WriteFile(path, []byte(text), 0o644))
	}
	command(i.t, "nsenter", "--mount", "--target", fmt.Sprint(i.pid), "mount", "--bind", etc, "/etc")
}

// foundOn is the server that listens on a port, once it does.
func (i *island) foundOn(port int) (found servers.Server) {
	i.t.Helper()
	i.until(fmt.Sprintf("the server on %d is found", port), func() bool {
		all, err := servers.New("/proc").Scan()
		must(err)
		for _, s := range all {
			if s.Port == uint16(port) && len(s.Listens) > 0 {
				found = s
				return true
			}
		}
		return false
	})
	return found
}

// Servers overwrite their command lines, fork, and read files that read files: what is found out of that is told by the real ones.
func TestServersOfFTPAreFoundAsTheyRun(t *testing.T) {
	t.Parallel()
	i := newIsland(t)
	var ports []int
	for range 6 {
		ports = append(ports, freeTCP(t))
	}
	program, _ := peer(t, "proftpd-core")
	modules := filepath.Join(filepath.Dir(filepath.Dir(program)), "lib/proftpd")
	pem := certify(t, i.dir)
	ftp := mkdir(t, i.dir, "anonymous")
	pro := func(port int, more string) string {
		return fmt.Sprintf("ServerName t\nServerType standalone\nPort %d\nUser root\nGroup root\nPidFile %s/p%d\nScoreboardFile %s/s%d\n%s", port, i.dir, port, i.dir, port, more)
	}
	i.own(map[string]string{
		"proftpd/proftpd.conf":       pro(ports[0], "ModulePath "+modules+"\nLoadModule mod_tls.c\nInclude /etc/proftpd/conf.d/\nDefaultRoot ~\nTransferLog /var/log/x.log\n"),
		"proftpd/conf.d/a.conf":      "TLSEngine on\nTLSECCertificateFile " + pem + "\nTLSECCertificateKeyFile " + pem + "\n" + tally + "\nExtendedLog " + i.dir + "/ext.log ALL tally\n",
		"pure-ftpd/conf/Bind":        fmt.Sprintf("127.0.0.1,%d\n", ports[2]),
		"pure-ftpd/conf/NoAnonymous": "yes\n",
		"pure-ftpd/conf/AltLog":      "clf:" + i.dir + "/transfer.log\n",
		"pure-ftpd/conf/TLS":         "1\n",
		"pure.conf":                  fmt.Sprintf("# a comment\nBind   127.0.0.1,%d\nAnonymousOnly yes\nAltLog  stats:%s/stats.log\n", ports[4], i.dir),
	})
	passwd := filepath.Join(i.dir, "etc/passwd")
	text, err := os.ReadFile(passwd)
	must(err)
	lines := slices.DeleteFunc(strings.Split(string(text), "\n"), func(l string) bool { return strings.HasPrefix(l, "ftp:") })
	must(os.WriteFile(passwd, []byte(strings.Join(lines, "\n")+fmt.Sprintf("ftp:x:199:65534::%s:/usr/sbin/nologin\n", ftp)), 0o644))

	i.run("proftpd-core", "-n")
	other := i.write("other.conf", pro(ports[1], "DefaultRoot "+i.dir+"\nTransferLog none\n"))
	i.run("proftpd-core", "-n", "-c", other)
	// What Debian's wrapper makes of the files of /etc/pure-ftpd/conf.
	i.run("pure-ftpd", "-S", fmt.Sprintf("127.0.0.1,%d", ports[2]), "-E", "-O", "clf:"+i.dir+"/transfer.log", "-Y", "1", "-2", pem, "-l", "unix", "-H", "-g", i.dir+"/1.pid")
	i.run("pure-ftpd", "-S", fmt.Sprintf("127.0.0.1,%d", ports[3]), "-l", "unix", "-g", i.dir+"/2.pid")
	i.run("pure-ftpd", "/etc/pure.conf")
	conf := i.write("vsftpd.conf", fmt.Sprintf("listen=YES\nlisten_port=%d\nlisten_address=127.0.0.1\nlocal_enable=YES\nanonymous_enable=YES\nanon_root=%s\nlocal_root=%s/home\nxferlog_enable=YES\nlog_ftp_protocol=YES\n"+
		"vsftpd_log_file=%s/v.log\nsecure_chroot_dir=/run/vsftpd/empty\nssl_enable=YES\nrsa_cert_file=%s\nrsa_private_key_file=%s\n", ports[5], ftp, i.dir, i.dir, pem, pem))
	i.run("vsftpd", conf)

	home := filepath.Join(i.dir, "home")
	is := func(s servers.Server, name string, tls bool, folders []string, syslog bool, files []daemon.Log, doubts int) {
		t.Helper()
		for _, f := range folders {
			if !slices.Contains(s.Folders, f) {
				t.Errorf("%s on %d: serves %q, not %s", name, s.Port, s.Folders, f)
			}
		}
		for _, f := range []string{home, ftp} {
			if slices.Contains(s.Folders, f) && !slices.Contains(folders, f) {
				t.Errorf("%s on %d: serves %s too", name, s.Port, f)
			}
		}
		if s.Name != name || s.TLS != tls || s.Syslog != syslog || !slices.Equal(s.Files, files) || len(s.Doubts) != doubts {
			t.Errorf("%s on %d, %q: %+v", name, s.Port, s.Args, s)
		}
	}
	is(i.foundOn(ports[0]), "proftpd", true, []string{home}, true, []daemon.Log{{Path: i.dir + "/ext.log", Format: "proftpd-extended"}}, 0)
	if s := i.foundOn(ports[1]); len(s.Doubts) == 0 { // -c is lost
		t.Errorf("proftpd on %d: %+v", s.Port, s)
	}
	is(i.foundOn(ports[2]), "pure-ftpd", true, []string{home}, true, []daemon.Log{{Path: i.dir + "/transfer.log", Format: "pure-ftpd-clf", Again: true}}, 0)
	if s := i.foundOn(ports[3]); len(s.Doubts) == 0 { // its options are lost, and those of the other one are found
		t.Errorf("pure-ftpd on %d: %+v", s.Port, s)
	}
	is(i.foundOn(ports[4]), "pure-ftpd", false, []string{ftp}, true, []daemon.Log{{Path: i.dir + "/stats.log", Format: "pure-ftpd-stats", Again: true}}, 0)
	is(i.foundOn(ports[5]), "vsftpd", true, []string{ftp, home}, false, []daemon.Log{{Path: i.dir + "/v.log", Format: "vsftpd"}}, 0)
}
