package tallyman

import (
	"context"
	"errors"
	"iter"
	"time"
)

// ErrFull is returned by Recorder.Commit when the spool has reached its bound: nothing may be acknowledged.
var ErrFull = errors.New("the spool is full")

// ErrNotFound is returned by a Ledger that holds no such record.
var ErrNotFound = errors.New("no such record")

// Recorder takes evidence from a source. Both methods may be called by many goroutines.
//
// Record never waits for a disk or a sink: it hands the batch to the spool's buffer. What the spool cannot take is counted and becomes
// a gap. Commit does the same and returns nil only when the batch, and all that was recorded before it, is on stable storage: promise 1
// of the design hangs on it. Without a batch it is about what was recorded before. After an error of Commit nothing may be acknowledged.
//
// The batch is not kept. Time, Began, Host, Witness and Kind are set by the source; ID and Seen are given here.
type Recorder interface {
	Record(batch ...Evidence)
	Commit(ctx context.Context, batch ...Evidence) error
}

// Source watches something and records what it sees: first the present state, then changes. Run blocks, ends with ctx, leaves no
// goroutine behind. What it saw is recorded before it returns.
type Source interface {
	Run(ctx context.Context, to Recorder) error
}

// Batch is a stretch of the sequence of one agent, judged: the records that changed, and the place up to which the evidence is contained.
type Batch struct {
	Mark    ID
	Records []Record
}

// Sink takes records. It has taken the batch for good when Write returns nil; it does not keep the slice. The same batch, or an older one, may
// come again after a crash: records carry the same ID and Rev.
type Sink interface {
	Write(ctx context.Context, b Batch) error
}

// Ledger is a sink that also answers questions. A batch is one transaction with its mark: a record is in the ledger once, whatever is
// repeated. Reading may go on beside Write.
type Ledger interface {
	Sink
	// Committed returns the newest mark of the agent, a zero ID if there is none. What stands at or before it may be forgotten by the spool.
	Committed(ctx context.Context, a Agent) (ID, error)
	// Transfers yields transfers without evidence (with it if q.Evidence is set), newest first, as q says.
	Transfers(ctx context.Context, q Query) iter.Seq2[*Transfer, error]
	// Transfer returns one with its evidence, ErrNotFound if there is none.
	Transfer(ctx context.Context, id UUID) (*Transfer, error)
	// Events yields events, gaps and findings, newest first. Only q.From, q.To, q.Limit, q.After and q.Where (kind, host, text) count.
	Events(ctx context.Context, q Query) iter.Seq2[Record, error]
	// Stats answers from roll-ups only, so that a tile costs the same at a thousand records as at ten million.
	Stats(ctx context.Context, q StatsQuery) ([]Stat, error)
}

// StatsQuery asks for counts. By is hour, verdict, proto, host, client or file. From and To are cut to whole hours for hour, verdict and proto, and to
// whole UTC days for the others. Limit 0 means 1,000.
type StatsQuery struct {
	By       string
	From, To time.Time
	Limit    int
}

// Stat is one row of an answer: how many transfers, and how many of each verdict. Probes and boot-search refusals are counted
// apart: they are no requests. Bytes counts payload that was proven to have moved. For file and client, Verdicts may be empty.
type Stat struct {
	Key       string            `json:"key"`
	Transfers int64             `json:"transfers"`
	Uploads   int64             `json:"uploads"`
	Downloads int64             `json:"downloads"`
	Bytes     int64             `json:"bytes"`
	Searches  int64             `json:"searches,omitempty"`
	Verdicts  map[Verdict]int64 `json:"verdicts,omitempty"`
}

// Step is told of each file operation before it happens; an error that it returns takes the place of the operation's own. Tests count
// operations, fail them or die at one. A nil Step is never asked.
type Step func(op, path string) error

// Do asks the step, if there is one.
func (s Step) Do(op, path string) error {
	if s == nil {
		return nil
	}
	return s(op, path)
}
