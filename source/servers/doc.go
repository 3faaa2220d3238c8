// Package servers finds the file servers of other makers that run here: tftpd-hpa, atftpd, dnsmasq with TFTP, vsftpd, ProFTPD, pure-ftpd, OpenSSH with SFTP.
//
//	/proc ──▶ scan: which processes are servers? ──▶ look: command line, configuration, sockets, unit, namespaces ──▶ Server
//	                                                      (daemon, pure)      (proc, pure)
//
// It promises: it touches no server. Files are opened as the server sees them, below its root, whatever links stand there, and no more is read than
// fits into 256 KiB. What it cannot find out it says (Setup.Doubts), and never guesses. A scan looks at what it knows already by number and start alone, but
// for who starts servers for each connection: that may be told to start others at any time.
//
// It leaves to others: watching what was found, and saying what that proves.
package servers
