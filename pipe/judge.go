package pipe

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"tallyman"
	"tallyman/rule"
	"tallyman/spool"
)

// judge hands entries of the spool to the join and returns what they changed. While evidence waits, the join's clock is when that evidence was
// seen, so that a backlog is judged as it would have been without one; when none waits, it is ours.
func (p *Pipe) judge(entries []spool.Entry) []tallyman.Record {
	late := p.seen()
	for i := range entries {
		en := &entries[i]
		e, err := p.evidence(en)
		if err != nil {
			e = p.blind(en.ID, 1, "an entry of the spool could not be read: "+err.Error())
		}
		p.join.Add(e)
		late = e.Seen
	}
	p.join.Advance(late)
	return p.find(p.join.Changed())
}

// find adds what the rules find about the records. A finding that is found again after a crash has the same id.
func (p *Pipe) find(records []tallyman.Record) []tallyman.Record {
	for _, r := range records { // as many as come in: range has looked before they grow
		for _, f := range p.rules.Take(r) {
			records = append(records, f)
		}
	}
	return records
}

// evidence decodes one entry. A hole is a gap: what stood there was damaged on the disk.
func (p *Pipe) evidence(en *spool.Entry) (tallyman.Evidence, error) {
	if n := en.Lost; n > 0 {
		return p.blind(en.ID, int64(n), "entries of the spool were damaged on the disk"), nil
	}
	e, rest, err := p.decoder.Evidence(en.Payload, nil)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes follow it", len(rest))
	}
	if err != nil {
		return tallyman.Evidence{}, err
	}
	e.ID = en.ID
	return e, nil
}

// blind is the evidence of a gap in our own books.
func (p *Pipe) blind(at tallyman.ID, lost int64, why string) tallyman.Evidence {
	now := p.seen()
	return tallyman.Evidence{
		ID: at, Time: now, Seen: now, Began: now, Host: p.host, Witness: "server", Kind: tallyman.KindGap, Size: -1, Expected: -1, Moved: lost, Err: why,
	}
}

// position begins reading behind what the ledger holds: its own mark decides, not the spool's. A ledger that knows more than the spool means that
// the spool was lost or is an older copy: Seek begins a new epoch, and tells the loss as a hole. A ledger that knows less than it did when the spool
// last heard of it was restored from a backup: that begins a new epoch too, and what the spool has already forgotten is a hole.
func (p *Pipe) position(ctx context.Context) error {
	mark, err := p.ledger.Committed(ctx, p.spool.Agent())
	if err != nil {
		return fmt.Errorf("ask the ledger how far it is: %w", err)
	}
	if p.reader, err = p.spool.Reader(ledgerReader); err != nil {
		return fmt.Errorf("open spool for the ledger: %w", err)
	}
	if known := markOf(p.spool, ledgerReader); known.Seq > 0 && mark.Compare(known) < 0 {
		why := "the ledger is older than the spool: it was restored from a backup"
		if mark.IsZero() {
			why = "the ledger is new: the old one was lost, and what the spool still holds is judged again"
		}
		p.log.Warn("new epoch", "why", why, "ledger", mark.Seq, "spool", known.Seq)
		if err := p.spool.NewEpoch(why); err != nil {
			return fmt.Errorf("begin a new epoch: %w", err)
		}
	}
	if err := p.reader.Seek(mark); err != nil {
		return fmt.Errorf("find the ledger's place in the spool: %w", err)
	}
	p.done = mark
	if mark.IsZero() && p.spool.Status().Newest.Seq == 0 {
		return p.tellSpoolLost(ctx)
	}
	return nil
}

// tellSpoolLost records a gap when a spool is new and the ledger is not: what the old spool held and the ledger did not is gone, and nobody can count it.
func (p *Pipe) tellSpoolLost(ctx context.Context) error {
	for t, err := range p.ledger.Transfers(ctx, tallyman.Query{Limit: 1}) {
		if err != nil {
			return fmt.Errorf("ask the ledger whether it is new: %w", err)
		}
		gap := p.blind(tallyman.ID{}, -1, "the spool is new: the old one was lost, with what the ledger had not yet taken")
		gap.Began = t.Seen
		p.log.Warn("spool was lost", "newest_record", t.Seen)
		p.Record(gap)
	}
	return nil
}

// ledgerReader is the name under which the spool keeps the ledger's place.
const ledgerReader = "ledger"

// markOf returns how far a reader of the spool has come.
func markOf(s *spool.Spool, name string) tallyman.ID {
	for _, r := range s.Status().Readers {
		if r.Name == name {
			return r.Mark
		}
	}
	return tallyman.ID{}
}

// restore puts back what was running, and what a boot search may still need.
func (p *Pipe) restore(ctx context.Context) error {
	for _, q := range []tallyman.Query{
		{Open: true, Evidence: true},
		{From: p.seen().Add(-35 * time.Second), Evidence: true, Limit: batchSize},
	} {
		for t, err := range p.ledger.Transfers(ctx, q) {
			if err != nil {
				return fmt.Errorf("read what was running: %w", err)
			}
			if t.Merged.IsZero() && len(t.Evidence) > 0 && (q.Open || t.Judgement.Verdict != tallyman.Active) {
				p.join.Restore(t)
			}
		}
	}
	return nil
}

// mostRecalled bounds what the rules are reminded of, about 500 bytes each: the newest count. More is said in the program's log.
const mostRecalled = 20_000

// recall has the rules look at what the ledger holds of the last while, so that their windows go on where they were. Findings are recalled from longer ago.
func (p *Pipe) recall(ctx context.Context, rules *rule.Config) error {
	findings := tallyman.Term{Field: tallyman.FieldKind, Text: "finding"}
	for _, q := range []tallyman.Query{{From: p.seen().Add(-rules.Told()), Where: findings}, {From: p.seen().Add(-rules.Memory())}} {
		var records []tallyman.Record
		q.Limit = mostRecalled
		for r, err := range p.ledger.Events(ctx, q) {
			if err != nil {
				return fmt.Errorf("read what the rules remember: %w", err)
			}
			records = append(records, r)
		}
		if len(records) == mostRecalled {
			p.log.Warn("the rules do not remember all: too much happened", "records", mostRecalled)
		}
		for _, r := range slices.Backward(records) {
			p.rules.Recall(r)
		}
	}
	return nil
}

// catchUp judges all that the spool holds, then settles what was running when the program died.
func (p *Pipe) catchUp(ctx context.Context) error {
	if err := p.readAll(ctx); err != nil {
		return err
	}
	if p.orphan == nil {
		return nil
	}
	orphans := p.join.Running()
	for _, t := range orphans {
		if err := p.Commit(ctx, p.orphan(t)); err != nil {
			return fmt.Errorf("settle what was running: %w", err)
		}
	}
	if len(orphans) > 0 {
		p.log.Info("settled transfers that were running when the program ended", "transfers", len(orphans))
	}
	return p.readAll(ctx)
}

// readAll judges everything that was recorded up to now.
func (p *Pipe) readAll(ctx context.Context) error {
	last := p.spool.Status().Newest
	if err := p.spool.Sync(ctx, last); err != nil {
		return fmt.Errorf("sync spool: %w", err)
	}
	for p.done.Compare(last) < 0 && last.Seq > 0 {
		entries, err := p.reader.Next(ctx, batchSize)
		if err != nil {
			return fmt.Errorf("read spool: %w", err)
		}
		if err := p.take(ctx, entries); err != nil {
			return fmt.Errorf("judge what the spool holds: %w", err)
		}
	}
	return nil
}

// post puts records into the outbox, before the ledger has them: a crash in between gives the sinks a copy with the same id, never a loss.
func (p *Pipe) post(ctx context.Context, b tallyman.Batch) error {
	if p.outbox == nil || len(b.Records) == 0 {
		return nil
	}
	payloads := make([][]byte, len(b.Records))
	for i, r := range b.Records {
		line, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("write a record as JSON: %w", err)
		}
		payloads[i] = line
	}
	if _, err := p.outbox.Commit(ctx, payloads...); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if p.dropped.Add(int64(len(payloads))) == int64(len(payloads)) {
			p.log.Error("records for the sinks are dropped: the ledger has them", "err", err)
		}
	}
	return nil
}

// pump brings records from the outbox to one sink, at its pace.
func (p *Pipe) pump(ctx context.Context, name string, sink tallyman.Sink, r *spool.Reader) {
	for ctx.Err() == nil {
		entries, err := r.Next(ctx, batchSize)
		if err != nil {
			if ctx.Err() == nil {
				p.log.Error("outbox not read", "sink", name, "err", err)
			}
			return
		}
		b := tallyman.Batch{Mark: entries[len(entries)-1].ID}
		for i := range entries {
			b.Records = append(b.Records, p.letter(&entries[i], name))
		}
		if p.insist(ctx, name, sink, b) != nil {
			return
		}
		if err := r.Commit(b.Mark); err != nil {
			p.log.Error("mark of a sink not moved", "sink", name, "err", err)
			return
		}
		p.mu.Lock()
		close(p.turn)
		p.turn = make(chan struct{})
		p.mu.Unlock()
	}
}

// letter reads a record from the outbox. What was damaged on the disk is told to the sink as a gap.
func (p *Pipe) letter(en *spool.Entry, name string) tallyman.Record {
	lost, why := int64(en.Lost), "records in the outbox were damaged on the disk"
	if lost == 0 {
		r, err := tallyman.UnmarshalRecord(en.Payload)
		if err == nil {
			return r
		}
		lost, why = 1, "a record in the outbox could not be read: "+err.Error()
	}
	now := p.seen()
	return &tallyman.Gap{ID: tallyman.DrawUUID(now, en.ID), Host: p.host, Witness: name, From: now, To: now, Lost: lost, Why: why}
}

// waitSinks returns when every sink has taken all that is in the outbox.
func (p *Pipe) waitSinks(ctx context.Context) error {
	last := p.outbox.Status().Newest
	for {
		p.mu.Lock()
		turn := p.turn
		p.mu.Unlock()
		behind := ""
		for name := range p.sinks {
			if markOf(p.outbox, name).Compare(last) < 0 && last.Seq > 0 {
				behind = name
			}
		}
		if behind == "" {
			return nil
		}
		select {
		case <-turn:
		case <-p.finished:
			return fmt.Errorf("%s did not take all records", behind)
		case <-ctx.Done():
			return fmt.Errorf("%s did not take all records: %w", behind, context.Cause(ctx))
		}
	}
}
