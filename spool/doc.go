// Package spool is a durable sequence of opaque payloads on disk: the write-ahead log of the whole program. Whoever records
// evidence appends it here first; whoever judges, stores or forwards it reads it from here.
//
//	Append ──▶ buffer ──▶ one writer: pwrite, fdatasync ──▶ segments ──▶ Reader "join"   ── Commit ─┐
//	(memory only)                     │                        │    └──▶ Reader "fleet"  ── Commit ─┤
//	Sync, Commit ◀── on the disk ─────┘                        ◀── removed below the lowest mark ───┘
//
// Promises:
//   - Append never waits for a disk. The buffer and the folder are bounded; at either bound it returns tallyman.ErrFull, and
//     Status.Refused counts. What became of the refused payloads is the caller's to record.
//   - Order: an entry's place (agent, epoch, seq) is given in the order of Append, seq grows by one, and a place is never used twice,
//     whatever was cut, lost or restored.
//   - Sync returns nil only when the entry and all before it survive kill -9 and a power cut. Many waiters share one fdatasync.
//   - A reader gets an entry only when it is on the disk: nobody knows more than the disk. It gets each at least once, in order; after a
//     crash again from its mark.
//   - Loss is never silent. An entry that is damaged, torn or missing is delivered as a hole in its place; a wrong payload never is.
//   - After a sync that fails the spool is poisoned: every later Append and Sync returns that error, and the sync is never tried again,
//     because the kernel may report success for pages that it has dropped (fsync(2), "fsyncgate", PostgreSQL 2018).
//   - Open succeeds on whatever bytes stand in the folder, but for segments of a newer format, and reads at most one segment of each epoch.
//
// It leaves to others what the payloads mean, when an entry was seen, and the gap record that a hole becomes. Compression is not built; the
// segment header has a field for it.
package spool
