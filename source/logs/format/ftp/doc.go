// Package ftp has the formats of FTP servers: vsftpd, ProFTPD, pure-ftpd, the old ftpd, xferlog, which several of them write, and SFTPGo, which serves SFTP too. What
// replies and commands mean stands in ftp.go, once. What holds for all formats stands in the room above. It is pure.
package ftp
