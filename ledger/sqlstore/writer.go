package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tallyman"
	"tallyman/ledger/sqlstore/rollup"
)

// writer is the one connection that writes, its prepared statements, and what it remembers of the tables.
type writer struct {
	dialect *Dialect
	conn    *sql.Conn
	all     []*sql.Stmt
	reasons map[tallyman.Reason]int64
	dims    dims
	args    []any
	pack    []byte

	begin, commit                         *sql.Stmt
	ledger, setLedger                     *sql.Stmt
	insert, stored, revise, move          *sql.Stmt
	addEvidence, putEvidence, getEvidence *sql.Stmt
	addEvent, addGap, addFinding          *sql.Stmt
	eventID, gapID, findingID             *sql.Stmt
	getAgent, nameAgent, newestAgent      *sql.Stmt
	addAgent, setSeq                      *sql.Stmt
	addCell, moveCell, dropCell           *sql.Stmt
	dropEvidence, shiftEvidence, dropFile *sql.Stmt

	commits int64 // of the transaction that this connection committed last
	agents  map[tallyman.Agent]watermark
	cut     map[int64]bool // days of which only the first thousand files are counted

	// of the running transaction
	change rollup.Change
	rows   ledgerRow
}

// watermark is a row of the table agent.
type watermark struct {
	row  int64
	mark tallyman.ID
}

// ledgerRow is the row that the ledger keeps of itself.
type ledgerRow struct {
	commits, transfers, events, floor, late int64
}

func (s *Store) openWriter(ctx context.Context) (*writer, error) {
	conn, err := s.writes.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to ledger: %w", err)
	}
	w := &writer{dialect: &s.dialect, conn: conn, reasons: map[tallyman.Reason]int64{}, commits: -1}
	for i, r := range tallyman.Reasons() {
		w.reasons[r] = int64(i + 1)
	}
	d := w.dialect
	p := &preparer{conn: conn, dialect: d}
	w.begin, w.commit = p.prepare(ctx, d.Begin), p.prepare(ctx, "COMMIT")
	w.ledger = p.prepare(ctx, "SELECT commits, transfers, events, floor, late FROM ledger")
	w.setLedger = p.prepare(ctx, "UPDATE ledger SET commits = ?, transfers = ?, events = ?, floor = ?, late = ?")
	w.insert = p.prepare(ctx, d.Insert("transfer", columns...))
	w.stored = p.prepare(ctx, "SELECT id, rev, merged, start, host, proto, op, verdict, flags, client, file, bytes FROM transfer WHERE pk = ?")
	w.revise = p.prepare(ctx, update(indexed))
	w.move = p.prepare(ctx, update(nil))
	w.addEvidence = p.prepare(ctx, d.Insert("evidence", "body", "pk"))
	w.putEvidence = p.prepare(ctx, d.Put("evidence", "pk", "body"))
	w.getEvidence = p.prepare(ctx, "SELECT "+selected+", e.body FROM "+joinedTables+" JOIN evidence e ON e.pk = t.pk WHERE t.pk = ?")
	w.addEvent, w.eventID = p.prepare(ctx, d.Insert("event", eventColumns...)), p.prepare(ctx, "SELECT id FROM event WHERE pk = ?")
	w.addGap, w.gapID = p.prepare(ctx, d.Insert("gap", gapColumns...)), p.prepare(ctx, "SELECT id FROM gap WHERE pk = ?")
	w.addFinding, w.findingID = p.prepare(ctx, d.Insert("finding", findingColumns...)), p.prepare(ctx, "SELECT id FROM finding WHERE pk = ?")
	w.getAgent = p.prepare(ctx, "SELECT id, epoch, seq FROM agent WHERE agent = ?")
	w.nameAgent = p.prepare(ctx, "SELECT agent FROM agent WHERE id = ?")
	w.newestAgent = p.prepare(ctx, "SELECT coalesce(max(id), 0) FROM agent")
	w.addAgent = p.prepare(ctx, d.Insert("agent", "agent", "epoch", "seq", "id"))
	w.setSeq = p.prepare(ctx, "UPDATE agent SET epoch = ?, seq = ? WHERE id = ?")
	keys := []string{"series", "slot", "item", "verdict", "direction"}
	w.addCell = p.prepare(ctx, d.Add("rollup", keys, []string{"transfers", "bytes", "searches"}))
	w.moveCell = p.prepare(ctx, "UPDATE rollup SET transfers = transfers + ?, bytes = bytes + ?, searches = searches + ? WHERE "+
		strings.Join(keys, " = ? AND ")+" = ?")
	w.dropCell = p.prepare(ctx, "DELETE FROM rollup WHERE series = ? AND slot = ? AND item = ?")
	w.dropEvidence = p.prepare(ctx, "DELETE FROM evidence WHERE pk = ?")
	w.shiftEvidence = p.prepare(ctx, "UPDATE evidence SET pk = ? WHERE pk = ?")
	w.dropFile = p.prepare(ctx, "DELETE FROM file WHERE id = ? AND NOT EXISTS (SELECT 1 FROM transfer WHERE file = ?)")
	w.dims.open(ctx, p)
	if w.all = p.all; p.err != nil {
		w.close()
		return nil, p.err
	}
	return w, nil
}

// update is a statement that sets the columns but for the key and those that did not change: a column in the list costs its index a write even if
// its value stays.
func update(without []string) string {
	var set []string
	for _, c := range columns[:len(columns)-1] {
		if !slices.Contains(without, c) {
			set = append(set, c+" = ?")
		}
	}
	return "UPDATE transfer SET " + strings.Join(set, ", ") + " WHERE pk = ?"
}

// close gives the connection back. An open transaction is undone.
func (w *writer) close() {
	// An error says that no transaction was open, or that the connection is gone.
	_, _ = w.conn.ExecContext(context.Background(), "ROLLBACK")
	for _, st := range w.all {
		_ = st.Close()
	}
	_ = w.conn.Close()
}

func (w *writer) bindSQL(query string) string { return w.dialect.Bind(query) }

// run runs one transaction and returns its number.
func (w *writer) run(ctx context.Context, do func(*writer) error) (commit int64, err error) {
	// Only the begin of a transaction waits for locks. Statements run without the context: the driver would start a goroutine for each.
	if _, err := w.begin.ExecContext(ctx); err != nil {
		return 0, fmt.Errorf("begin: %w", err)
	}
	still := context.WithoutCancel(ctx)
	l := &w.rows
	if err := w.ledger.QueryRowContext(still).Scan(&l.commits, &l.transfers, &l.events, &l.floor, &l.late); err != nil {
		return 0, fmt.Errorf("read ledger: %w", err)
	}
	if l.commits != w.commits {
		if err := w.relearn(still); err != nil {
			return 0, err
		}
	}
	w.change = rollup.Change{}
	if err := do(w); err != nil {
		return 0, err
	}
	if err := w.flush(still); err != nil {
		return 0, err
	}
	l.commits++
	if _, err := w.setLedger.ExecContext(still, l.commits, l.transfers, l.events, l.floor, l.late); err != nil {
		return 0, fmt.Errorf("write ledger: %w", err)
	}
	if _, err := w.commit.ExecContext(still); err != nil {
		return 0, fmt.Errorf("commit: %w", err)
	}
	w.commits = l.commits
	return l.commits, nil
}

// relearn forgets what another writer may have changed.
func (w *writer) relearn(ctx context.Context) error {
	w.dims.forget()
	w.agents = map[tallyman.Agent]watermark{}
	w.cut = map[int64]bool{}
	err := w.dialect.ask(ctx, w.conn, "SELECT slot FROM rollup_cut", nil, func(scan scanner) error {
		var day int64
		err := scan(&day)
		w.cut[day] = true
		return err
	})
	if err != nil {
		return fmt.Errorf("read cut days: %w", err)
	}
	return nil
}

// flush writes the cells that the transaction changed.
func (w *writer) flush(ctx context.Context) error {
	for _, at := range w.change.Ordered() {
		c := w.change[at]
		st, args := w.addCell, []any{int64(at.Series), at.Slot, at.Item, int64(at.Verdict), int64(at.Direction), c.Transfers, c.Bytes, c.Searches}
		if at.Series == rollup.ByFile && w.cut[at.Slot] {
			st, args = w.moveCell, slices.Concat(args[5:], args[:5])
		}
		there, err := affected(st.ExecContext(ctx, args...))
		if err != nil {
			return fmt.Errorf("write roll-ups: %w", err)
		}
		if !there {
			// A file that is not among the first thousand of a cut day has no count any more: it must not begin a new one.
			delete(w.change, at)
		}
	}
	return nil
}

// watermark returns the row of the agent; an agent that is new gets one.
func (w *writer) watermark(ctx context.Context, a tallyman.Agent) (watermark, error) {
	if a.IsZero() {
		return watermark{}, nil
	}
	if m, ok := w.agents[a]; ok {
		return m, nil
	}
	m := watermark{mark: tallyman.ID{Agent: a}}
	var seq int64
	err := w.getAgent.QueryRowContext(ctx, a[:]).Scan(&m.row, &m.mark.Epoch, &seq)
	m.mark.Seq = uint64(seq)
	if errors.Is(err, sql.ErrNoRows) {
		if err = w.newestAgent.QueryRowContext(ctx).Scan(&m.row); err == nil {
			m.row++
			_, err = w.addAgent.ExecContext(ctx, a[:], 0, 0, m.row)
		}
	}
	if err != nil {
		return m, fmt.Errorf("read watermark of %s: %w", a, err)
	}
	w.agents[a] = m
	return m, nil
}

// mark moves the watermark of an agent forward; it never moves back.
func (w *writer) mark(ctx context.Context, to tallyman.ID) error {
	if to.IsZero() {
		return nil
	}
	m, err := w.watermark(ctx, to.Agent)
	if err != nil || to.Compare(m.mark) <= 0 {
		return err
	}
	if _, err := w.setSeq.ExecContext(ctx, to.Epoch, int64(to.Seq), m.row); err != nil {
		return fmt.Errorf("write watermark of %s: %w", to.Agent, err)
	}
	m.mark = to
	w.agents[to.Agent] = m
	return nil
}

// agentOf names the agent of a row.
func (w *writer) agentOf(ctx context.Context, row int64) (a tallyman.Agent, err error) {
	for a, m := range w.agents {
		if m.row == row {
			return a, nil
		}
	}
	var b []byte
	err = w.nameAgent.QueryRowContext(ctx, row).Scan(&b)
	copy(a[:], b)
	return a, err
}
