// Package remote is what the clients of FTP and SFTP share: where a file is, what went by of its content, and what the transfer came to.
//
//	download: server --> Content (compares the overlap, counts, hashes) --> the caller's file
//	upload:   the caller's reader --> Content (counts, hashes) --> server
//
// It promises that a digest is that of the whole content, also when a part of it was there before, and that a resumed transfer is an error
// as soon as what is there differs from what comes. Sockets, names of local files and exit codes it leaves to others.
package remote
