// Package tail follows a text file to which others append, through everything that log rotation does to it.
//
//	Follower.Poll: old files to their ends, then the file of the name --> lines --> deliver --> Position of each file, for the caller to keep
//	Run: inotify, or a second, whichever comes first --> Poll
//
// It promises that each line is delivered once, and none is left out:
//   - rename: the old file is read to its end, and further as long as somebody writes to it;
//   - copy and truncate: what had not been read is read from the copy; a file that has grown again since is known by its first bytes;
//   - restart: by device, inode and first bytes the place is found again, also under another name.
//
// Where something is gone before it could be read, a Gap says so. Whether a newline ends a line of the program, or stands in a name, a text file cannot
// tell. Compressed files are left to replay.
//
// Limits: a file that is truncated, and begins again with the same first 512 bytes, looks like one that was not. What is written to an empty file and copied
// and truncated before the next look, a hundredth of a second later, is not seen.
package tail
