package config

import (
	_ "embed"
	"time"
)

// source is this file: the doc comments of its fields are the descriptions of the JSON Schema.
//
//go:embed config.go
var source []byte

// Config is what is in force: the defaults, overridden by the file, the environment and the flags.
type Config struct {
	// The name under which this machine signs its records. Empty means the host name.
	Name string `yaml:"name" eg:"lab-tftp-01"`
	// The folder for ledger, spool and socket. Empty means /var/lib/tallyman as root, else $XDG_STATE_HOME/tallyman.
	State string `yaml:"state" eg:"/var/lib/tallyman"`
	// The log of the program itself. Records of transfers never go there.
	Log Log `yaml:"log"`
	// The dashboard and its API.
	Web Web `yaml:"web"`
	// The store that answers questions about the past.
	Ledger Ledger `yaml:"ledger"`
	// How long records stay. What is older, or beyond the bounds of size, is pruned, and the pruning is a record.
	Keep Keep `yaml:"keep"`
	// A file to which every record is appended as one line of JSON.
	JSONL JSONL `yaml:"jsonl"`
	// Our own servers.
	Serve Serve `yaml:"serve"`
	// The accounts of the servers with a login.
	Users Users `yaml:"users"`
	// What tallyman watch looks at: the servers of other makers on this machine, and folders.
	Watch Watch `yaml:"watch"`
	// The built-in rules: what is remarkable about records, and told as a finding.
	Detectors Detectors `yaml:"detectors"`
	// How long running transfers may go on after the order to stop. New ones are refused meanwhile.
	Drain Duration `yaml:"drain" min:"0s" max:"1h"`

	from map[string]origin
}

// Log is about the program, not about files.
type Log struct {
	// The least severe lines that are written.
	Level string `yaml:"level" words:"debug info warn error" live:"yes"`
	// Lines for people, or one JSON object a line.
	Format string `yaml:"format" words:"text json"`
	// The file that the log is appended to. Empty means standard error.
	File string `yaml:"file" eg:"/var/log/tallyman.log"`
}

// Web is the dashboard and its API.
type Web struct {
	// The address of the dashboard. Empty switches it off, port 0 picks one.
	Listen Addr `yaml:"listen" eg:"127.0.0.1:8420"`
	// Names under which the dashboard may be asked for, besides loopback and the name of this machine. A Host header that is not listed gets 421.
	Hosts Hosts `yaml:"hosts" eg:"[tally.example.net]"`
	// TLS: auto is plain HTTP on loopback and TLS elsewhere, on is TLS always, off is plain HTTP always.
	TLS string `yaml:"tls" words:"auto on off"`
	// The certificate chain in PEM form. Empty means a certificate that Tallyman makes itself.
	CertFile string `yaml:"cert_file" eg:"/etc/tallyman/web.crt"`
	// The private key of cert_file in PEM form.
	KeyFile string `yaml:"key_file" eg:"/etc/tallyman/web.key"`
}

// Ledger is the store.
type Ledger struct {
	// The kind of store.
	Driver string `yaml:"driver" words:"sqlite"`
}

// Keep bounds the ledger in time and space.
type Keep struct {
	// How long the records of transfers stay.
	Transfers Duration `yaml:"transfers" min:"1h" live:"yes"`
	// How long events and gaps stay.
	Events Duration `yaml:"events" min:"1h" live:"yes"`
	// How long the single pieces of evidence behind a record stay. The record itself stays longer.
	Evidence Duration `yaml:"evidence" min:"1h" live:"yes"`
	// The size that the ledger may take on disk. The oldest records go first.
	MaxSize Size `yaml:"max_size" min:"16MiB" live:"yes"`
	// The free space that is left on the disk of the ledger, as a size or as a share of the disk.
	MinFree Free `yaml:"min_free" live:"yes"`
}

// JSONL is the file of records.
type JSONL struct {
	// The file. Empty switches it off.
	File string `yaml:"file" eg:"/var/log/tallyman.jsonl"`
	// The size at which the file is renamed and a new one begun. 0B means never.
	MaxSize Size `yaml:"max_size"`
}

// Serve is what our own servers have in common, and each of them.
type Serve struct {
	// The user who owns uploads and as whom files are served after the ports are bound. Empty means the owner of the root. Only for a start as root.
	User string `yaml:"user" eg:"tftp"`
	// A file of the transfers of our own servers in the format of xferlog(5). Empty means none.
	Xferlog string `yaml:"xferlog" eg:"/var/log/xferlog"`
	// A file of them in the common log format, as pure-ftpd writes it. Empty means none.
	CLF string `yaml:"clf" eg:"/var/log/pureftpd.log"`
	// A file of them and of logins in the format of vsftpd, for the filter vsftpd of fail2ban. Empty means none.
	VsftpdLog string `yaml:"vsftpd_log" eg:"/var/log/vsftpd.log"`
	// The TFTP server.
	TFTP TFTP `yaml:"tftp"`
	// The FTP and FTPS server.
	FTP FTP `yaml:"ftp"`
	// The SFTP server.
	SFTP SFTP `yaml:"sftp"`
}

// Watch is what is looked at of the servers of other makers, and of this machine.
type Watch struct {
	// Servers of other makers on this machine: auto finds them, none looks for none, so that only the folders of the command line are watched.
	Servers string `yaml:"servers" words:"auto none"`
	// Interfaces whose packets are read: auto is all, off is none, else {interfaces: [eth0]} or a list of names.
	Wire Wire `yaml:"wire" eg:"{interfaces: [eth0]}" inner:"interfaces"`
	// Mounts: sticks, shares, cloud folders.
	Mounts Mounts `yaml:"mounts"`
	// Folders of this machine in which everything that happens to files is recorded, whoever does it.
	Files Files `yaml:"files"`
}

// Mounts is which mounts and unmounts are told. With all four switched off nothing is looked at.
type Mounts struct {
	// Disks and memory of this machine.
	Local bool `yaml:"local"`
	// What can be carried away: USB sticks and disks, cards, phones.
	Removable bool `yaml:"removable"`
	// What another machine keeps: NFS, SMB, SSHFS, iSCSI and their like.
	Network bool `yaml:"network"`
	// Folders that a client keeps in step with a cloud, and clouds that are mounted.
	Cloud bool `yaml:"cloud"`
	// What the site knows better: folders and what they are, local, removable, network or cloud. A cloud folder whose client is not known is listed here.
	Classes Classes `yaml:"classes" eg:"{/mnt/backup: network}"`
}

// Files is what is watched on this machine, whoever does it.
type Files struct {
	// The folders, each with all below it. Empty means none. Needs root.
	Paths Folders `yaml:"paths" eg:"[/etc, /srv]"`
	// What is left out of them: whole paths, or parts such as **/.cache/**, each with all below it. The longest match of paths and exclude wins.
	Exclude Patterns `yaml:"exclude" eg:"[/srv/scratch, \"**/.cache/**\"]"`
}

// Detectors are the built-in rules.
type Detectors struct {
	// What was told of is not told again before it has been quiet for so long.
	Quiet Duration `yaml:"quiet" min:"1s" max:"30d"`
	// Clients that fail to log in too often.
	BruteForce BruteForce `yaml:"brute-force"`
	// Clients that let an FTP server connect to a third party.
	Bounce Detector `yaml:"bounce"`
	// Data connections that come from somebody else than the client.
	DataPeerMismatch Detector `yaml:"data-peer-mismatch"`
	// Logins over FTP without TLS: everybody on the way can read the password. Once a user and day.
	PlaintextLogin Detector `yaml:"plaintext-login"`
	// Sticks, shares and cloud folders that appear: what is kept elsewhere than on this machine's own disks.
	MountNew Detector `yaml:"mount-new"`
}

// Detector is a rule without a threshold.
type Detector struct {
	// Whether it is looked for.
	On bool `yaml:"on"`
}

// BruteForce is the rule that counts failed logins.
type BruteForce struct {
	// Whether it is looked for.
	On bool `yaml:"on"`
	// How many failed logins of one client are not yet too many.
	Over int `yaml:"over" min:"1" max:"1000"`
	// Within how long they are counted.
	Within Duration `yaml:"within" min:"1s" max:"1d"`
}

// TFTP is the TFTP server.
type TFTP struct {
	// The address of the request port. Empty switches the server off, port 0 picks one.
	Listen Addr `yaml:"listen" eg:":69"`
	// The folder that is served. Empty means the folder that the command line names.
	Root string `yaml:"root" eg:"/srv/tftp"`
	// Whether files may be read. A server that is not read is write-only: a read gets ERROR 2.
	Read bool `yaml:"read" live:"yes"`
	// Uploads: no refuses all, create refuses an existing name, keep moves the old version to .kept, overwrite replaces it.
	Write string `yaml:"write" words:"no create keep overwrite" live:"yes"`
	// How many old versions of a name write: keep leaves in .kept.
	Kept int `yaml:"kept" min:"1" max:"100000"`
	// Who may ask: private (loopback, RFC 1918, link-local, ULA), any, addresses and networks; one or a list.
	Allow Allow `yaml:"allow" eg:"[private, 203.0.113.0/24]" live:"yes"`
	// The largest upload.
	MaxSize Size `yaml:"max_size" min:"1B" live:"yes"`
	// The free space that an upload leaves on the disk, as a size or as a share of the disk.
	MinFree Free `yaml:"min_free" live:"yes"`
	// How long a transfer may go without progress.
	GiveUp Duration `yaml:"give_up" min:"1s" max:"1h"`
	// Whether all transfers run over the request port, for NAT and containers.
	SinglePort bool `yaml:"single_port"`
	// How asked names are mended for clients that cannot spell: none, or strip-garbage, which cuts what some PXE ROMs append.
	Map string `yaml:"map" words:"none strip-garbage"`
	// The largest window of a read, in bytes: a client socket with default buffers holds 212 KB.
	MaxWindowBytes Size `yaml:"max_window_bytes" min:"512B" max:"4MiB"`
}

// FTP is the FTP and FTPS server.
type FTP struct {
	// The address of the control connections. Empty switches the server off, port 0 picks one. Without this key it listens on 21 as soon as there is an account at the start.
	Listen Addr `yaml:"listen" eg:":21"`
	// The root of accounts that name none. Empty means the folder that the command line names.
	Root string `yaml:"root" eg:"/srv/ftp"`
	// Uploads: no refuses all changes, create refuses an existing name, keep moves the old version to .kept, overwrite replaces it.
	Write string `yaml:"write" words:"no create keep overwrite" live:"yes"`
	// How many old versions of a name write: keep leaves in .kept.
	Kept int `yaml:"kept" min:"1" max:"100000"`
	// Who may connect: private (loopback, RFC 1918, link-local, ULA), any, addresses and networks; one or a list. Accounts may narrow it.
	Allow Allow `yaml:"allow" eg:"[private, 203.0.113.0/24]" live:"yes"`
	// The largest upload.
	MaxSize Size `yaml:"max_size" min:"1B" live:"yes"`
	// The free space that an upload leaves on the disk, as a size or as a share of the disk.
	MinFree Free `yaml:"min_free" live:"yes"`
	// TLS: none offers none, explicit offers AUTH TLS, required refuses logins and data without it.
	TLS string `yaml:"tls" words:"none explicit required"`
	// Whether data connections must resume the TLS session of their control connection. Accounts may be exempted.
	TLSReuse bool `yaml:"tls_reuse"`
	// Whose data connections need not, for clients that cannot: addresses and networks, as in allow. Empty exempts nobody.
	TLSReuseExempt Allow `yaml:"tls_reuse_exempt" eg:"[10.20.7.0/24]"`
	// The address where connections are TLS from the first byte. Empty means none.
	Implicit Addr `yaml:"implicit" eg:":990"`
	// The certificate chain in PEM form, read again when it changes. Empty means a certificate that Tallyman makes itself.
	CertFile string `yaml:"cert_file" eg:"/etc/tallyman/ftp.crt"`
	// The private key of cert_file in PEM form.
	KeyFile string `yaml:"key_file" eg:"/etc/tallyman/ftp.key"`
	// Whether clients may ask the server to connect to them (PORT, EPRT). They are connected to at their own address only.
	PortMode bool `yaml:"port_mode"`
	// Whether clients may connect to the server for data (PASV, EPSV).
	PasvMode bool `yaml:"pasv_mode"`
	// The ports for that, for firewalls; any leaves them to the system.
	PasvPorts Ports `yaml:"pasv_ports" eg:"50000-50100"`
	// The address that PASV tells to clients that are not private, for a server behind NAT. Empty means the address that the client asked.
	PasvAddress string `yaml:"pasv_address" eg:"203.0.113.9"`
	// How long a session may go without a command, while nothing is transferred.
	Idle Duration `yaml:"idle" min:"1s" max:"24h"`
	// How long nothing may move on a data connection.
	Stall Duration `yaml:"stall" min:"1s" max:"1h"`
	// Whether what passes is digested (SHA-256). Without it records name no content, and a server with fast clients uses half the processor time.
	Hash bool `yaml:"hash"`
}

// SFTP is the SFTP server.
type SFTP struct {
	// The address. Empty switches the server off, port 0 picks one. Without this key it listens on 2022 as soon as there is an account at the start.
	Listen Addr `yaml:"listen" eg:":2022"`
	// The root of accounts that name none. Empty means the folder that the command line names.
	Root string `yaml:"root" eg:"/srv/ftp"`
	// Whether files may be read.
	Read bool `yaml:"read" live:"yes"`
	// Uploads: no refuses all changes, create refuses an existing name, keep moves the old version to .kept, overwrite replaces it.
	Write string `yaml:"write" words:"no create keep overwrite" live:"yes"`
	// How many old versions of a name write: keep leaves in .kept.
	Kept int `yaml:"kept" min:"1" max:"100000"`
	// Who may connect: private (loopback, RFC 1918, link-local, ULA), any, addresses and networks; one or a list. Accounts may narrow it.
	Allow Allow `yaml:"allow" eg:"[private, 203.0.113.0/24]" live:"yes"`
	// The largest upload.
	MaxSize Size `yaml:"max_size" min:"1B" live:"yes"`
	// The free space that an upload leaves on the disk, as a size or as a share of the disk.
	MinFree Free `yaml:"min_free" live:"yes"`
	// How long a session may ask for nothing.
	Idle Duration `yaml:"idle" min:"1s" max:"24h"`
	// Ciphers: all are the modern ones, fast is AES-GCM alone, which costs half as much as what OpenSSH asks for first.
	Ciphers string `yaml:"ciphers" words:"all fast"`
	// Public keys, one a line, of authorities that sign certificates for accounts. Empty means none.
	UserCAFile string `yaml:"user_ca_file" eg:"/etc/tallyman/user_ca.pub"`
	// Whether what passes is digested (SHA-256). Without it records name no content.
	Hash bool `yaml:"hash"`
}

// Users is where the accounts are.
type Users struct {
	// The file of accounts. A path that is not absolute counts from the state folder. It is read again when it changes.
	File string `yaml:"file"`
	// Addresses and networks that are neither slowed down nor banned when a login fails.
	NeverBan Never `yaml:"never_ban" eg:"[10.20.0.5]"`
}

// Defaults returns the configuration of an empty file. Every default is safe to run.
func Defaults() Config {
	const day = 24 * time.Hour
	return Config{
		Log:    Log{Level: "info", Format: "text"},
		Web:    Web{Listen: "127.0.0.1:8420", TLS: "auto"},
		Ledger: Ledger{Driver: "sqlite"},
		Keep: Keep{
			Transfers: Duration(400 * day), Events: Duration(30 * day), Evidence: Duration(90 * day),
			MaxSize: 10 << 30, MinFree: Free{Percent: 10},
		},
		JSONL: JSONL{MaxSize: 100 << 20},
		Serve: Serve{TFTP: TFTP{
			Listen: ":69", Read: true, Write: "keep", Kept: 30, Allow: Allow{"private"}, MaxSize: 4 << 30,
			MinFree: Free{Bytes: 256 << 20}, GiveUp: Duration(time.Minute), Map: "none", MaxWindowBytes: 96 << 10,
		}, FTP: FTP{
			Listen: ":21", Write: "keep", Kept: 30, Allow: Allow{"private"}, MaxSize: 1 << 40, MinFree: Free{Bytes: 256 << 20}, TLS: "explicit", TLSReuse: true,
			PasvMode: true, PasvPorts: Ports{50000, 50100}, Idle: Duration(5 * time.Minute), Stall: Duration(time.Minute), Hash: true,
		}, SFTP: SFTP{
			Listen: ":2022", Read: true, Write: "keep", Kept: 30, Allow: Allow{"private"}, MaxSize: 1 << 40, MinFree: Free{Bytes: 256 << 20},
			Idle: Duration(15 * time.Minute), Ciphers: "all", Hash: true,
		}},
		Users: Users{File: "users.yaml"},
		Watch: Watch{Servers: "auto", Wire: Wire{"auto"}, Mounts: Mounts{Local: true, Removable: true, Network: true, Cloud: true}, Files: Files{
			Exclude: Patterns{"/proc", "/sys", "/run", "/tmp", "/var/tmp", "**/.cache/**", "**/.git/objects/**"},
		}},
		Detectors: Detectors{
			Quiet: Duration(10 * time.Minute), BruteForce: BruteForce{On: true, Over: 5, Within: Duration(10 * time.Minute)},
			Bounce: Detector{On: true}, DataPeerMismatch: Detector{On: true}, PlaintextLogin: Detector{On: true}, MountNew: Detector{On: true},
		},
		Drain: Duration(30 * time.Second),
	}
}
