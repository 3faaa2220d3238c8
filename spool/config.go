package spool

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tallyman"
	"tallyman/spool/segment"
)

// MaxPayload is the longest payload in bytes that any spool takes. With small segments the bound is lower: one entry must fit a segment.
const MaxPayload = segment.MaxPayload

// ErrClosed is returned by every call after Close.
var ErrClosed = errors.New("the spool is closed")

// ErrTooLarge is returned for a payload, or a batch, that no empty spool could take either.
var ErrTooLarge = errors.New("too large for the spool")

// The two ways of being full. Both are tallyman.ErrFull; only the second passes by itself.
var (
	errDiskBound   = fmt.Errorf("%w: max_size is reached and a reader is behind", tallyman.ErrFull)
	errBufferBound = fmt.Errorf("%w: the disk is slower than what is recorded", tallyman.ErrFull)
)

// Config says where a spool lives and how large it may grow. Zero values take the defaults named.
type Config struct {
	Dir         string        // the folder; made if it is missing; one process at a time holds it
	SegmentSize int64         // bytes of one file; default 8 MiB, or a quarter of MaxSize if that is less; at least 4 KiB
	MaxSize     int64         // bytes of all entries on disk; default 1 GiB; at least four segments. The space reserved for the newest segment is not counted
	Buffer      int           // bytes that may wait in memory for the writer, and as many again in its hands; default 4 MiB
	SyncEvery   time.Duration // how long an entry may wait for its fdatasync when nobody calls Sync; default 10 ms
	Step        tallyman.Step // told of each file operation; nil outside tests
	Log         *slog.Logger  // nil = silent
}

// complete fills in defaults and refuses what cannot work.
func (c Config) complete() (Config, error) {
	if c.Dir == "" {
		return c, errors.New("no folder is given: set dir")
	}
	if c.MaxSize == 0 {
		c.MaxSize = 1 << 30
	}
	if c.SegmentSize == 0 {
		c.SegmentSize = min(8<<20, c.MaxSize/4)
	}
	if c.Buffer == 0 {
		c.Buffer = 4 << 20
	}
	if c.SyncEvery == 0 {
		c.SyncEvery = 10 * time.Millisecond
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.SegmentSize < 4<<10 || c.SegmentSize > 1<<30:
		return c, fmt.Errorf("a segment of %d bytes is not possible: set segment_size between 4 KiB and 1 GiB", c.SegmentSize)
	case c.MaxSize < 4*c.SegmentSize:
		return c, fmt.Errorf("max_size %d is too small: it must hold four segments of %d bytes", c.MaxSize, c.SegmentSize)
	case c.Buffer < 4<<10 || c.Buffer > 1<<30:
		return c, fmt.Errorf("a buffer of %d bytes is not possible: set it between 4 KiB and 1 GiB", c.Buffer)
	case c.SyncEvery < 0:
		return c, fmt.Errorf("sync_every %v is negative", c.SyncEvery)
	}
	return c, nil
}

// maxPayload is the longest payload that this spool takes.
func (c Config) maxPayload() int {
	return int(min(MaxPayload, c.SegmentSize-segment.HeadSize-segment.EntryHead, int64(c.Buffer)-segment.EntryHead))
}
