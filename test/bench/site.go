package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// The servers for accounts; those of the peers are what script/peers calls them.
const (
	pureftpd = "pure-ftpd"
	proftpd  = "proftpd-core"
	openssh  = "openssh-server"
)

// The accounts: one for all that moves, and many for those who log in once.
const (
	bencher  = "bench"
	password = "correct horse"
	owner    = 61234 // uid and gid of them all
	crowdOf  = 200   // accounts bench0, bench1 ...
	hashCost = 10    // of bcrypt, for all servers
)

// stageOf is what the servers of one case share: a namespace, a root in memory, accounts that exist nowhere else.
type stageOf struct {
	*rig
	ns, root, dir string
	key           string // of the account, for SFTP
}

// site is a running server for accounts.
type site struct {
	name string
	*process
	*control        // nil for a peer
	ftp, ssh string // addresses; "" where it does not serve that
}

// accounts runs body with the stage, and takes it away behind it.
func (r *rig) accounts(name string, body func(*stageOf) error) (err error) {
	ns, remove, err := r.loopback(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	s := &stageOf{rig: r, ns: ns, root: filepath.Join(r.root, "home")}
	if s.dir, err = os.MkdirTemp(r.state, ""); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(s.root), os.RemoveAll(s.dir)) }()
	for _, dir := range []string{s.root, filepath.Join(s.root, "up")} {
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chown(dir, owner, owner)); err != nil {
			return err
		}
	}
	if err := s.papers(); err != nil {
		return err
	}
	return body(s)
}

// papers writes what the servers know of accounts, keys and certificates.
func (s *stageOf) papers() error {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), hashCost)
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(s.dir, "host")},
		{"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(s.dir, "key")},
		{
			"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=bench",
			"-keyout", filepath.Join(s.dir, "tls.key"), "-out", filepath.Join(s.dir, "tls.crt"),
		},
	} {
		if out, err := exec.CommandContext(s.ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	s.key = filepath.Join(s.dir, "key")
	var texts [4]string
	for i, file := range []string{"tls.key", "tls.crt", "key.pub"} {
		b, err := os.ReadFile(filepath.Join(s.dir, file))
		if err != nil {
			return err
		}
		texts[i] = string(b)
	}
	public := strings.TrimSpace(texts[2])
	var users, passwd, shadow strings.Builder
	passwd.WriteString("root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\nnobody:x:65534:65534::/:/bin/false\nsshd:x:101:65534::/run/sshd:/bin/false\n")
	for i := range crowdOf + 1 {
		name := bencher
		if i > 0 {
			name += strconv.Itoa(i - 1)
		}
		fmt.Fprintf(&users, "%q:\n  password: '%s'\n  keys:\n    - '%s'\n  permissions: [all]\n", name, hash, public)
		fmt.Fprintf(&passwd, "%s:x:%d:%d::%s:/bin/sh\n", name, owner, owner, s.root)
		// libxcrypt and Go mean the same by 2a and 2b
		fmt.Fprintf(&shadow, "%s:%s:20000:0:99999:7:::\n", name, hash)
	}
	for name, text := range map[string]string{
		"users.yaml": users.String(), "passwd": passwd.String(), "shadow": shadow.String(), "group": "root:x:0:\nbench:x:" + strconv.Itoa(owner) + ":\nnogroup:x:65534:\n", "shells": "/bin/sh\n",
		"pam": "auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_permit.so\n", "tls.pem": texts[0] + texts[1],
	} {
		mode := os.FileMode(0o644)
		if name == "tls.pem" {
			mode = 0o600
		}
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), mode); err != nil {
			return err
		}
	}
	return os.WriteFile(s.authorized(), []byte(public+"\n"), 0o644)
}

// authorized is the file of keys for sshd, which reads it as the account.
func (s *stageOf) authorized() string { return filepath.Join(s.rig.root, "authorized") }

// within is a command line in the namespace, where only our accounts exist.
func (s *stageOf) within(args ...string) []string {
	const enter = `for f in passwd shadow group shells; do mount --bind "$0/$f" /etc/$f; done; mount --bind "$0/pam" /etc/pam.d/login
		mkdir -p /run/sshd; exec "$@"`
	return append(inNet(s.ns, "unshare", "--mount", "--propagation", "private", "sh", "-ec", enter, s.dir), args...)
}

// open starts a server. It ends with close.
func (s *stageOf) open(label string) (*site, error) {
	name, hashing := label, "true"
	switch label {
	case known:
		name = ours
	case unhashed:
		name, hashing = ours, "false"
	}
	at := &site{name: name}
	state, err := os.MkdirTemp(s.dir, "")
	if err != nil {
		return nil, err
	}
	args, err := s.commandLine(at, state, hashing)
	if err != nil {
		return nil, err
	}
	if at.process, err = s.launch(args, s.peers[name].libraries); err != nil {
		return nil, err
	}
	if err := s.until(name+" listens", at.process, func() (bool, error) { return s.answers(at, state) }); err != nil {
		at.shut()
		return nil, err
	}
	return at, nil
}

// answers reports whether the server is ready.
func (s *stageOf) answers(at *site, state string) (bool, error) {
	if at.name == ours {
		text, err := os.ReadFile(filepath.Join(state, "ready"))
		if err != nil {
			return false, nil
		}
		var said struct{ Socket string }
		if err := json.Unmarshal(text, &said); err != nil {
			return false, err
		}
		at.control = newControl(said.Socket)
		return true, nil
	}
	address := at.ftp
	if address == "" {
		address = at.ssh
	}
	_, port, _ := strings.Cut(address, ":")
	n, err := strconv.Atoi(port)
	if err != nil {
		return false, err
	}
	out, err := exec.CommandContext(s.ctx, "ip", "netns", "exec", s.ns, "cat", "/proc/net/tcp").Output()
	return strings.Contains(string(out), fmt.Sprintf(":%04X 00000000:0000 0A", n)), err
}

func (at *site) shut() {
	if at.control != nil {
		at.close()
	}
	at.kill()
}

const local = "127.0.0.1"

// commandLine is how the server is started. All write a log of transfers; none asks names of the network.
func (s *stageOf) commandLine(at *site, state, hashing string) ([]string, error) {
	in := func(name string) string { return filepath.Join(s.dir, name) }
	conf := filepath.Join(state, "conf")
	write := func(lines ...string) error { return os.WriteFile(conf, []byte(strings.Join(lines, "\n")+"\n"), 0o600) }
	program := s.peers[at.name].program
	switch at.name {
	case ours:
		at.ftp, at.ssh = local+":2101", local+":2201"
		users, err := os.ReadFile(in("users.yaml"))
		if err != nil {
			return nil, err
		}
		conf += ".yaml"
		err = errors.Join(os.WriteFile(filepath.Join(state, "users.yaml"), users, 0o600), write("serve:", "  user: root", "  ftp:", "    listen: "+at.ftp, "    pasv_ports: any", "    hash: "+hashing, "  sftp:", "    listen: "+at.ssh, "    hash: "+hashing))
		return s.within(s.binary, "serve", s.root, "--config", conf, "--state", state, "--tftp", "", "--web", "", "--ready-file", filepath.Join(state, "ready")), err
	case vsftpd:
		at.ftp = local + ":2102"
		err := write("listen=YES", "listen_port=2102", "listen_address="+local, "background=NO", "anonymous_enable=NO", "local_enable=YES", "write_enable=YES", "local_umask=022",
			"pam_service_name=login", "secure_chroot_dir="+state, "xferlog_enable=YES", "vsftpd_log_file="+filepath.Join(state, "log"), "seccomp_sandbox=NO",
			"max_per_ip=0", "max_clients=0", "ssl_enable=YES", "rsa_cert_file="+in("tls.pem"), "force_local_data_ssl=NO", "force_local_logins_ssl=NO", "require_ssl_reuse=NO",
			"ssl_ciphers=HIGH", "session_support=NO")
		return s.within(program, conf), err
	case pureftpd:
		at.ftp = local + ":2103"
		return s.within(program, "-S", local+",2103", "-l", "unix", "-H", "-E", "-c", "2000", "-C", "2000", "-Y", "1", "-2", in("tls.pem"), "-O", "clf:"+filepath.Join(state, "log"),
			"-g", filepath.Join(state, "pid")), nil
	case proftpd:
		at.ftp = local + ":2104"
		err := write("ModulePath "+filepath.Join(filepath.Dir(filepath.Dir(program)), "lib/proftpd"), "LoadModule mod_tls.c", "ServerName bench", "ServerType standalone", "Port 2104",
			"DefaultAddress "+local, "User nobody", "Group nogroup", "UseIPv6 off", "UseReverseDNS off", "AuthPAM off", "PidFile "+filepath.Join(state, "pid"),
			"ScoreboardFile "+filepath.Join(state, "score"), "DelayEngine off", "RequireValidShell off", "MaxInstances 2000", "TransferLog "+filepath.Join(state, "log"), "WtmpLog off", "TLSEngine on",
			"TLSRequired off", "TLSECCertificateFile "+in("tls.crt"), "TLSECCertificateKeyFile "+in("tls.key"), "TLSOptions NoSessionReuseRequired", "AllowOverwrite on")
		return s.within(program, "-n", "-c", conf), err
	default:
		at.ssh = local + ":2205"
		err := write("Port 2205", "ListenAddress "+local, "HostKey "+in("host"), "UsePAM no", "StrictModes no", "AuthorizedKeysFile "+s.authorized(), "MaxStartups 2000", "PidFile none",
			"Subsystem sftp internal-sftp -l INFO", "UseDNS no", "LogLevel INFO")
		return s.within(program, "-D", "-E", filepath.Join(state, "log"), "-f", conf), err
	}
}
