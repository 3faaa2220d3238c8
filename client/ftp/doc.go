// Package ftp is a client of FTP and FTPS: it fetches and stores one file and says what that proves.
//
//	Get, Put --> session (control connection: replies, login, TLS) --> data connection (passive; TLS resumes the session of the control connection)
//	             content passes through remote.Content, which counts, hashes and compares
//
// It speaks RFC 959, 2428 (EPSV), 3659 (SIZE, REST), 4217 (TLS) and HASH (draft-bryan-ftp-hash), over IPv4 and IPv6. It has its own reader of replies on
// purpose: a client that shared code with our server would share its mistakes and prove nothing about it.
//
// It promises that a transfer is complete only when the server said so after all data, and what is known of size and hash agrees; that the end
// of an encrypted download is told from a cut (close_notify); that data goes to the address of the control connection and nowhere else, and to who
// has its certificate; that a transfer which is given up is never closed as if it were whole (ABOR and a reset). Names of local files, passwords and exit codes it leaves to the caller.
package ftp
