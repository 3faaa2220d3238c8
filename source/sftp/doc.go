// Package sftp serves files by SFTP (version 3, with the extensions of OpenSSH) and records every transfer and login as the witness "server".
//
//	Listen ──> connection: SSH, login by user.Book ──> session: one packet after the other ──> handles ──> tree
//	                          │                                                                  │
//	                          └── login, login-failed, command-refused ──> Recorder <── request, opened, progress, closed
//
// It promises: there is no shell, no command and no forwarding; only the algorithms of the lists in ssh.go are spoken; an upload stands under a
// temporary name until CLOSE, and CLOSE is answered with success only after the file is synced and in place and its closing evidence is on stable storage;
// what is not closed, or has a hole, leaves nothing but its record; bytes that are appended at once by many are all there; a client that floods, stalls or lies costs a bounded
// amount of memory (Config), and one that is not logged in after 30 seconds is dropped.
//
// A session does one thing after the other: that is the order that clients count on, and the reason why replies need no queue.
//
// It leaves to others: what a packet means (packet), names and files (tree), accounts and their limits (user), verdicts (the join).
package sftp
