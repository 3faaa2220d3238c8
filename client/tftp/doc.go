// Package tftp is a TFTP client: it fetches and stores one file and says what that proves.
//
//	Get: server --DATA--> getter --> netascii --> sha256 --> io.Writer
//	Put: io.Reader --> sha256 --> netascii --> putter --DATA--> server
//	                        both: session (timer, repeats) --> run (socket, TID, ERROR 5)
//
// It speaks RFC 1350 with the options of RFC 2347, 2348, 2349 and 7440, over IPv4 and IPv6. It has its own codec on purpose: a client that shared
// the server's would share its mistakes and prove nothing about it.
//
// It promises that a duplicate ACK never causes a DATA to be sent again (RFC 1123, section 4.2.3.1), that a packet of a stranger is
// answered with ERROR 5 and disturbs nothing, that a server which refuses options is asked again without them, and that what
// is reported complete was confirmed by the protocol to its last byte.
//
// getter and putter are pure: packets and the time go in, packets and a deadline come out. Only run.go knows sockets and the clock.
// Progress bars, file names and exit codes it leaves to the caller.
package tftp
