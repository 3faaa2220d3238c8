package tftp

import (
	"sync"

	"tallyman"
	"tallyman/source/tftp/engine"
	"tallyman/source/tftp/udp"
)

// act is what a worker does for an upload.
type act uint8

const (
	writing   act = iota // append chunks to the temporary file
	finishing            // the same, then sync, rename and record
	dropping             // remove the temporary file
)

// job is work for an upload that may wait for a disk. One upload has at most one job at a time.
type job struct {
	t      *transfer
	store  *store
	act    act
	chunks [][]byte
	closed *tallyman.Evidence // of finishing
	err    error              // the answer
}

const (
	writerCount = 2
	closerCount = 32 // waiting for a sync costs no processor, and the file system joins syncs that wait together
)

// workers do jobs and put the answers into the mailbox. Their queues hold one
// job for each upload there may be: handing over a job never waits.
type workers struct {
	writers, closers chan job
	to               tallyman.Recorder
	back             *mailbox
	wg               sync.WaitGroup
}

func startWorkers(uploads int, to tallyman.Recorder, back *mailbox) *workers {
	w := &workers{writers: make(chan job, uploads), closers: make(chan job, uploads), to: to, back: back}
	for range writerCount {
		w.wg.Go(func() { w.run(w.writers) })
	}
	for range closerCount {
		w.wg.Go(func() { w.run(w.closers) })
	}
	return w
}

func (w *workers) give(j job) {
	if j.act == writing {
		w.writers <- j
		return
	}
	w.closers <- j
}

// stop waits for the jobs that are under way. No job may be given any more.
func (w *workers) stop() {
	close(w.writers)
	close(w.closers)
	w.wg.Wait()
}

func (w *workers) run(jobs <-chan job) {
	for j := range jobs {
		j.err = w.do(&j)
		w.back.put(mail{job: j})
	}
}

func (w *workers) do(j *job) error {
	if j.act == dropping {
		j.store.upload.Abort()
		return nil
	}
	if err := j.store.write(j.chunks); err != nil {
		return err
	}
	if j.act == finishing {
		return j.store.finish(w.to, j.closed)
	}
	return nil
}

// mail is what others tell the loop: an answer of a worker, or a transfer that
// a thread gives back.
type mail struct {
	job  job
	back *transfer
	do   engine.Do
}

// mailbox is the loop's only entrance for other goroutines.
// Its length is bounded by the number of uploads and threads.
type mailbox struct {
	poll *udp.Poll
	mu   sync.Mutex
	in   []mail
	out  []mail
}

func (m *mailbox) put(letter mail) {
	m.mu.Lock()
	m.in = append(m.in, letter)
	m.mu.Unlock()
	m.poll.Wake()
}

// take empties the box; the slice is valid until the next take.
func (m *mailbox) take() []mail {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.out)
	m.in, m.out = m.out[:0], m.in
	return m.out
}
