//go:build real

package real

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The servers of others, as their users run them.

// vsftpd writes both of its logs, with the lines of the protocol or without.
func (i *island) vsftpd(port int, own, xfer string, protocol bool) {
	i.t.Helper()
	yes := map[bool]string{true: "YES", false: "NO"}
	i.run("vsftpd", i.write(filepath.Base(own)+".conf", fmt.Sprintf("listen=YES\nlisten_port=%d\nlisten_address=%s\nlocal_enable=YES\nwrite_enable=YES\nanonymous_enable=NO\n"+
		"xferlog_enable=YES\ndual_log_enable=YES\nlog_ftp_protocol=%s\nvsftpd_log_file=%s\nxferlog_file=%s\nsecure_chroot_dir=/run/vsftpd/empty\n"+
		"pam_service_name=login\nseccomp_sandbox=NO\nuse_localtime=YES\n", port, i.address, yes[protocol], own, xfer)))
}

// proftpd writes an ExtendedLog in the format of our documentation, a TransferLog, and to syslog.
func (i *island) proftpd(port int, ext, xfer string) {
	i.t.Helper()
	i.run("proftpd-core", "-n", "-c", i.write("proftpd.conf", fmt.Sprintf("ServerName t\nServerType standalone\nPort %d\nDefaultAddress 127.0.0.1\nUser root\nGroup root\nUseIPv6 off\nUseReverseDNS off\nAuthPAM off\n"+
		"PidFile %s/pid\nScoreboardFile %s/score\nDelayEngine off\nTransferLog %s\nRequireValidShell off\n"+
		"LogFormat tally \"%%t %%h %%u \\\"%%r\\\" %%s %%b %%T f=%%f why=%%{transfer-failure} st=%%{transfer-status} type=%%{transfer-type} ms=%%{transfer-millisecs}\"\n"+
		"ExtendedLog %s ALL tally\n<Directory />\nAllowOverwrite on\n</Directory>\n", port, i.dir, i.dir, xfer, ext)))
}

// pureftpd writes statistics, and all else to syslog.
func (i *island) pureftpd(port int, stats string) {
	i.t.Helper()
	i.run("pure-ftpd", "-S", fmt.Sprintf("127.0.0.1,%d", port), "-l", "unix", "-H", "-E", "-d", "-O", "stats:"+stats, "-g", filepath.Join(i.dir, "pid"))
}

// sshd lets in who has the key that it returns.
func (i *island) sshd(port int) (key string) {
	i.t.Helper()
	key = filepath.Join(i.dir, "key")
	for _, name := range []string{"host", "key"} {
		command(i.t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(i.dir, name))
	}
	pub, err := os.ReadFile(key + ".pub")
	if err != nil {
		i.t.Fatal(err)
	}
	keys := i.write("authorized_keys", string(pub))
	if err := os.Chmod(keys, 0o644); err != nil {
		i.t.Fatal(err)
	}
	i.run("openssh-server", "-D", "-f", i.write("sshd_config", fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s/host\nUsePAM no\nStrictModes no\nMaxStartups 1000\nAuthorizedKeysFile %s\nSubsystem sftp internal-sftp -l INFO -f AUTH\n", port, i.dir, keys)))
	return key
}

// sftp plays a batch.
func sftp(key string, port int, user, batch string) ([]byte, error) {
	cmd := exec.Command("sftp", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-i", key, "-P", fmt.Sprint(port), user+"@127.0.0.1")
	cmd.Stdin = strings.NewReader(batch)
	return cmd.CombinedOutput()
}
