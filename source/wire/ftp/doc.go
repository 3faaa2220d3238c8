// Package ftp follows the FTP sessions of others (RFC 959, 1123, 2228, 2428, 4217) from their packets and says what they prove.
//
//	control connection --> commands and replies, paired --> transfer --+
//	                   --> PORT, EPRT, PASV, EPSV --> endpoint         +--> reply and its acknowledgement, data up to its FIN
//	data connection    --> bytes, counted and hashed ------------------+
//
// It promises: a transfer is reply-acknowledged only when the client acknowledged a 226 or 250 that answers its command, and its control
// connection lived on; an illegal or unasked reply never counts as one; a digest is given only for content of which every byte was seen; behind
// TLS nothing is ever complete: only that the client was lost, or vanished, is known there too. Its memory is bounded by Config. It is pure: packets and ticks carry the time.
package ftp
