package ftp

import (
	"context"

	"tallyman"
	"tallyman/source/ftp/engine"
	"tallyman/source/ftp/record"
)

// store stores an upload for good: content on stable storage, the record that it began too, a look whether the client is still there, the name, the record of its
// end. A client that is killed closes its data connection first, and its control connection microseconds later: the syncs in between are longer. One that says
// ABOR may close its data connection before: halt ends when it was said, and only a file that has its name by then stays.
func store(halt context.Context, to tallyman.Recorder, s *record.Session, c *control, u Upload, t engine.Transfer) engine.Stored {
	ctx := context.Background()
	defer u.Abort()
	if err := u.Sync(); err != nil {
		return engine.Stored{Err: refusalOf(err)}
	}
	if err := to.Commit(ctx); err != nil {
		return engine.Stored{Err: &Refusal{Reason: tallyman.DiskFull, Text: "not stored, because it could not be recorded: " + err.Error()}}
	}
	if seen := c.look(); seen.Closed || seen.Reset || halt.Err() != nil {
		return engine.Stored{Gone: true}
	}
	size := u.Size()
	if err := u.Commit(); err != nil {
		return engine.Stored{Err: refusalOf(err)}
	}
	if err := to.Commit(ctx, s.Stored(t, size, t.Digest)); err != nil {
		return engine.Stored{Err: &Refusal{Reason: tallyman.DiskFull, Text: "stored, but the record of it is not: " + err.Error()}}
	}
	return engine.Stored{Size: size, Digest: t.Digest}
}
