// Package files watches the folders of file servers: which process opened, read, changed, closed, renamed and deleted which file. It signs as the
// witness "files" and touches neither server nor files.
//
//	                     ┌ fanotify: whole file systems, with pid ┐
//	kernel ──events──▶   │ fanotify: folder by folder, with pid   │──▶ is it below a root? ──▶ who, size, mode ──▶ account ──▶ Recorder
//	                     └ inotify: folder by folder, without pid ┘         (place)           (who, fstat)
//
// It promises:
//
//   - Nothing is lost silently. An overflow of the kernel's queue, an event whose folder was gone before it could be found, a file system that was
//     mounted below a root: each is a gap, then all that is open is looked at again.
//   - Process and size are read when the event is read, before anything else is done with it.
//   - A Closed says what happened to the file, never how the transfer ended.
//   - It holds no descriptor on a watched file system, so that it can be unmounted, and it leaves nothing in the kernel when it is killed.
//   - What this process does itself is never told. What programs do that are not wanted is counted.
//
// It leaves to others: where servers have their roots, digests, what opens and closes mean for a transfer, and whole hosts. For these, a file
// system that is watched already needs only more roots, and an index beside account.
//
// A Watcher runs in one goroutine. Its kinds: Opened, Closed, Renamed, Deleted, Gap. README.md lists what each of them says.
package files
