package pipe

import (
	"context"
	"errors"
	"fmt"

	"tallyman"
)

const (
	// suspectAfter is how often the ledger refuses a batch before it is asked which record it does not take: about ten seconds.
	suspectAfter = 8
	// asideMost is how many records of one batch may be set aside. When it takes none of more, the fault is the ledger's: it is waited for.
	asideMost = 16
)

// errNotOne says that no single record is at fault.
var errNotOne = errors.New("no single record is at fault")

// sift finds the records that a ledger which works does not take, sets them aside, and stores the others. For each one a gap takes its place, so that
// one record which cannot be stored holds back neither the others nor new uploads, and is not lost silently. It returns an error when the ledger takes
// nothing, or when a record could not be set aside: then all waits as before.
func (p *Pipe) sift(ctx context.Context, b tallyman.Batch) error {
	p.mu.Lock()
	done := p.done
	p.mu.Unlock()
	if p.aside == nil || done.IsZero() || len(b.Records) == 0 {
		return errNotOne
	}
	if err := p.ledger.Write(ctx, tallyman.Batch{Mark: done}); err != nil { // what it has already
		return err
	}
	refused, err := p.refusedOf(ctx, b.Records, nil)
	if err != nil {
		return err
	}
	rest := tallyman.Batch{Mark: b.Mark}
	for _, r := range refused {
		where, err := p.aside(r.record, r.why)
		if err != nil {
			return fmt.Errorf("set a record aside: %w", err)
		}
		p.log.Error("the ledger does not take a record: it is set aside", "record", idOf(r.record).String(), "file", where, "err", r.why)
		rest.Records = append(rest.Records, p.inPlaceOf(r.record, where, r.why))
	}
	if err := p.ledger.Write(ctx, rest); err != nil {
		return err
	}
	p.unfit.Add(int64(len(refused)))
	return nil
}

// refusal is a record that the ledger does not take, and what it says.
type refusal struct {
	record tallyman.Record
	why    error
}

// refusedOf stores records, in halves where they are not taken together, and adds those that are not taken alone to found.
func (p *Pipe) refusedOf(ctx context.Context, records []tallyman.Record, found []refusal) ([]refusal, error) {
	err := p.ledger.Write(ctx, tallyman.Batch{Records: records})
	switch {
	case err == nil:
		return found, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case len(records) == 1:
		found = append(found, refusal{records[0], err})
		if len(found) > asideMost {
			return nil, errNotOne
		}
		return found, nil
	}
	half := len(records) / 2
	if found, err = p.refusedOf(ctx, records[:half], found); err != nil {
		return nil, err
	}
	return p.refusedOf(ctx, records[half:], found)
}

// inPlaceOf is the gap that stands for a record which was set aside. Its ID follows from the record's.
func (p *Pipe) inPlaceOf(r tallyman.Record, where string, why error) *tallyman.Gap {
	id := idOf(r)
	text := "the ledger does not take record " + id.String() + ": " + why.Error() + "; it is kept in " + where
	id[15] ^= 0xff
	now := p.seen()
	return &tallyman.Gap{ID: id, Host: p.host, Witness: "server", From: now, To: now, Lost: 1, Why: text}
}

func idOf(r tallyman.Record) tallyman.UUID {
	switch r := r.(type) {
	case *tallyman.Transfer:
		return r.ID
	case *tallyman.Event:
		return r.ID
	case *tallyman.Gap:
		return r.ID
	case *tallyman.Finding:
		return r.ID
	}
	return tallyman.UUID{}
}
