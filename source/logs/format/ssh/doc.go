// Package ssh has the formats of OpenSSH: sshd, which tells of logins, and its sftp server, which tells of files. They are two processes; Silence is what they have
// in common. What holds for all formats stands in the room above. It is pure.
package ssh
