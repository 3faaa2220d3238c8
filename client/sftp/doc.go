// Package sftp is a client of SFTP version 3: it fetches and stores one file and says what that proves.
//
//	Get, Put --> wire (requests in flight, replies in order) --> SSH channel --> connection (host key, login)
//	             content passes through remote.Content, which counts, hashes and compares
//
// It has its own codec on purpose: a client that shared the server's would share its mistakes and prove nothing about it. SSH is golang.org/x/crypto/ssh
// without SHA-1.
//
// It promises that a transfer is complete only when the server has answered all requests and CLOSE, and counts as many bytes as are here; that no host is
// believed whose key is not known, pinned, or accepted by the caller. It leaves local files, passwords and exit codes to the caller.
package sftp
