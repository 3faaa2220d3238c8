package content

import (
	"context"
	"crypto/sha256"
	"hash"
	"sync"
	"time"

	"tallyman"
)

// act is what a worker does for an upload.
type act uint8

const (
	writing   act = iota // append chunks
	finishing            // the same, then sync, rename and record
	dropping             // remove what there is
)

// Job is work for one upload that may wait for a disk.
type Job struct {
	Of  any   // whose upload it is
	Err error // the answer

	act    act
	upload Upload
	sum    hash.Hash
	pieces []piece
	closed *tallyman.Evidence // of finishing
}

// Finished reports whether the job was the last one of a whole upload: without
// an error it is stored and recorded.
func (j *Job) Finished() bool { return j.act == finishing }

// Dropped reports whether the job removed the upload.
func (j *Job) Dropped() bool { return j.act == dropping }

const (
	writerCount = 2
	closerCount = 32 // waiting for a sync costs no processor, and the file system joins syncs that wait together
)

// Workers do jobs and hand them back. Their queues hold one job for each upload
// there may be, so that Give never waits.
type Workers struct {
	writers, closers chan Job
	to               tallyman.Recorder
	back             func(Job)
	wg               sync.WaitGroup
}

// Start starts the workers. back is called by them, with each job that is done.
func Start(uploads int, to tallyman.Recorder, back func(Job)) *Workers {
	w := &Workers{writers: make(chan Job, uploads), closers: make(chan Job, uploads), to: to, back: back}
	for range writerCount {
		w.wg.Go(func() { w.run(w.writers) })
	}
	for range closerCount {
		w.wg.Go(func() { w.run(w.closers) })
	}
	return w
}

// Give hands over a job.
func (w *Workers) Give(j Job) {
	if j.act == writing {
		w.writers <- j
		return
	}
	w.closers <- j
}

// Stop waits for the jobs that are under way. No job may be given any more.
func (w *Workers) Stop() {
	close(w.writers)
	close(w.closers)
	w.wg.Wait()
}

func (w *Workers) run(jobs <-chan Job) {
	for j := range jobs {
		j.Err = w.do(&j)
		w.back(j)
	}
}

func (w *Workers) do(j *Job) error {
	if j.act == dropping {
		j.upload.Abort()
		return nil
	}
	for _, p := range j.pieces {
		p.digest(j.sum)
		if _, err := j.upload.Write(p.bytes); err != nil {
			return err
		}
	}
	if j.act == writing {
		return nil
	}
	// That it began is on stable storage before the file gets its name: whoever finds it there after a kill finds a record too.
	if err := w.to.Commit(context.Background()); err != nil {
		return &Refusal{Reason: tallyman.DiskFull, Text: "not stored, because it could not be recorded: " + err.Error()}
	}
	if err := j.upload.Commit(); err != nil {
		return err
	}
	j.closed.Time = tallyman.Clean(time.Now())
	j.closed.Digest = sumText([sha256.Size]byte(j.sum.Sum(nil)))
	if err := w.to.Commit(context.Background(), *j.closed); err != nil {
		return &Refusal{Reason: tallyman.DiskFull, Text: "stored, but the record of it is not: " + err.Error()}
	}
	return nil
}
