// Package host watches folders of this machine: who created, changed, renamed, deleted, linked which file, and gave it other rights. It signs as the
// witness "files", with the protocol "local", and touches nothing that it watches.
//
//	fanotify, whole file systems ──events──▶ folder known? ──▶ engine (looks, compares with the index) ──▶ who ──▶ Recorder
//	          └ programs that start, on all file systems ──▶ who.Census                      │
//	                                                      keeper ◀── journal of the index ───┘   (stored after the evidence is)
//
// It promises:
//
//   - Nothing is lost silently. An overflow of the kernel's queue, a time in which the program did not run, a file system that came or went, a handle that
//     could not be opened, a canary that did not come back: each is a gap, then all is compared with the index, and the differences are told as found.
//   - The index on the disk never knows more than the spool: what was told may be told again after a kill, never not at all.
//   - It holds no descriptor on a watched file system between two batches, so that it can be unmounted.
//   - The state folder, and what this process does, are never told.
//
// It leaves to others: servers and their transfers (source/files), contents and digests, where a file was copied from.
//
// What it cannot see: which of several equal deeds of one process on one file the kernel merged; what happens on a file system without marks as a
// whole (overlayfs, FUSE, network shares): Ability says so.
package host
