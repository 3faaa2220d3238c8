// Package account keeps account of who has which file open, and makes evidence of it.
//
//	events (open, read, modify, close, rename, delete; merged by the kernel) ──Add──▶ a use per process and file ──▶ Opened, Closed, Renamed, Deleted
//
// It promises:
//
//   - Each open and each close that an event proves is told once, in order of arrival. What the kernel merged is told as far as the bits prove it:
//     never more opens or closes than that.
//   - Closed says only what was seen. It never says how a transfer ended: a close alone proves no end. A "no" (not modified, not read) is said only
//     when the whole use was in sight.
//   - A file that is renamed while it is open is followed: its Closed has the new path, and the former one as From.
//   - Memory is bounded, see Config. When it is full, the oldest use is forgotten and counted; its close is still told, with less known.
//
// It is pure: time, size and process come with the event. An Account belongs to one goroutine. What it leaves to others: which files are
// wanted, what a handle is called, and looking whether a file is still open (Idle asks, Look answers).
package account
