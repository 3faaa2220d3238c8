package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tallyman"
	"tallyman/source/files/host/index"
)

// keeper stores the index: STATE/files/index.N is a snapshot, journal.N what came after it. A snapshot is written whole under another name and then
// renamed; the one with the highest number counts. What is stored was told before: each piece waits until the recorder has all that was recorded
// earlier on stable storage.
//
// Its queue holds one piece; while that is stored, the next grows in the index, about 100 bytes a change.
type keeper struct {
	dir     string
	log     *slog.Logger
	number  uint64
	journal *os.File
	size    int64 // of the journal
	base    int64 // of the snapshot
	last    time.Time
	torn    string
	whole   bool // a snapshot is due
	next    time.Time
	work    chan piece
	done    chan struct{}
	free    chan error // tells that a piece was stored
	busy    bool
	pending bool
}

// piece is what is stored next.
type piece struct {
	snapshot bool
	bytes    []byte
}

const (
	// every is how often the index is stored.
	storeEvery = 200 * time.Millisecond
	// journalMost is how long a journal gets, beyond twice its snapshot, before a new snapshot is written.
	journalMost = 4 << 20
	snapshotTag = "index."
	journalTag  = "journal."
	header      = "tallyman files index 1\n"
)

// folderIn is where the index of a state folder is kept.
func folderIn(state string) string { return filepath.Join(state, "files") }

// openKeeper reads what a former watch knew into x.
func openKeeper(state string, x *index.Index, log *slog.Logger) (*keeper, error) {
	k := &keeper{log: log}
	if state == "" {
		return k, nil
	}
	k.dir = folderIn(state)
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the index: %w", err)
	}
	names, err := filepath.Glob(filepath.Join(k.dir, snapshotTag+"*"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if n, err := strconv.ParseUint(strings.TrimPrefix(filepath.Base(name), snapshotTag), 10, 64); err == nil {
			k.number = max(k.number, n)
		}
	}
	if k.number == 0 {
		return k, nil
	}
	if err := k.load(x); err != nil {
		return nil, err
	}
	return k, nil
}

func (k *keeper) load(x *index.Index) error {
	text, err := os.ReadFile(k.path(snapshotTag, k.number))
	if err != nil {
		return fmt.Errorf("read the index: %w", err)
	}
	body, ok := strings.CutPrefix(string(text), header)
	if ok {
		_, err = x.Load([]byte(body))
	}
	if st, serr := os.Stat(k.path(snapshotTag, k.number)); serr == nil {
		k.last = tallyman.Clean(st.ModTime())
	}
	if !ok || err != nil {
		k.torn = "the index of the watched files is damaged"
		*x = *index.New()
		return nil
	}
	text, err = os.ReadFile(k.path(journalTag, k.number))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the journal of the index: %w", err)
	}
	if st, serr := os.Stat(k.path(journalTag, k.number)); serr == nil {
		k.last = tallyman.Clean(st.ModTime())
	}
	if _, err := x.Load(text); err != nil { // a power cut: what it told is found by comparing
		k.log.Warn("the end of the journal of the index is lost", "err", err)
	}
	return nil
}

func (k *keeper) path(tag string, n uint64) string {
	return filepath.Join(k.dir, tag+strconv.FormatUint(n, 10))
}

// start begins to store.
func (k *keeper) start(to tallyman.Recorder) {
	if k.dir == "" {
		return
	}
	k.work, k.free, k.done = make(chan piece), make(chan error, 1), make(chan struct{})
	go func() {
		defer close(k.done)
		for p := range k.work {
			err := to.Commit(context.Background())
			if err == nil {
				err = k.store(p)
			}
			k.free <- err
		}
	}()
}

// offer hands over what is to be stored, when it is time and nothing is being stored.
func (k *keeper) offer(x *index.Index) {
	k.pending = false
	if k.dir == "" {
		x.Pending()
		return
	}
	if k.work == nil {
		return
	}
	if k.busy {
		select {
		case err := <-k.free:
			k.took(err)
		default:
		}
	}
	if k.pending = k.whole || x.PendingLen() > 0; !k.pending || k.busy || now().Before(k.next) {
		return
	}
	k.next = now().Add(storeEvery)
	k.send(x)
}

func (k *keeper) send(x *index.Index) {
	p := piece{snapshot: k.whole || k.size > journalMost+2*k.base}
	if p.bytes = x.Pending(); p.snapshot {
		p.bytes = x.Snapshot()
	}
	k.whole, k.busy = false, true
	k.work <- p
}

// took is told how storing went. After a failure a snapshot is due: it holds what was not stored.
func (k *keeper) took(err error) {
	k.busy = false
	if err != nil {
		k.log.Error("the index of the watched files is not stored", "err", err)
		k.whole = true
		k.next = now().Add(time.Second)
	}
}

func (k *keeper) waits() bool { return k.pending || k.busy }

// stop stores the rest.
func (k *keeper) stop(x *index.Index) {
	if k.work == nil {
		return
	}
	for tries := 0; tries < 2 && (k.busy || k.whole || x.PendingLen() > 0); tries++ {
		if !k.busy {
			k.send(x)
		}
		k.took(<-k.free)
	}
	close(k.work)
	<-k.done
	k.work = nil
}

// store writes one piece.
func (k *keeper) store(p piece) error {
	if !p.snapshot {
		n, err := k.journal.Write(p.bytes)
		k.size += int64(n)
		return err
	}
	next := k.number + 1
	name := k.path(snapshotTag, next)
	f, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(header)
	if err == nil {
		_, err = f.Write(p.bytes)
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	j, err := os.OpenFile(k.path(journalTag, next), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if err := os.Rename(name+".new", name); err != nil {
		return errors.Join(err, j.Close())
	}
	k.close()
	k.journal, k.size, k.base = j, 0, int64(len(p.bytes))
	if k.number > 0 {
		_ = os.Remove(k.path(snapshotTag, k.number)) // an older one does no harm
		_ = os.Remove(k.path(journalTag, k.number))
	}
	k.number = next
	return nil
}

func (k *keeper) close() {
	if k.journal != nil {
		_ = k.journal.Close()
		k.journal = nil
	}
}
