package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"tallyman"
	"tallyman/ledger/sqlstore/where"
)

// Columns of the tables of what is no transfer. The key comes last.
var (
	eventColumns = []string{
		"id", "at", "host", "witness", "kind", "client", "port", "server", "server_port", "user_name", "pid", "proc_start",
		"exe", "path", "to_class", "device", "login", "session", "text", "pk",
	}
	gapColumns     = []string{"id", "at", "host", "witness", "start", "lost", "why", "pk"}
	findingColumns = []string{"id", "at", "rule", "severity", "about", "topic", "why", "pk"}
)

// once inserts a row unless the record is there.
func (w *writer) once(ctx context.Context, insert, stored *sql.Stmt, id tallyman.UUID, args ...any) error {
	for key := keyOf(id); ; key++ {
		added, err := affected(insert.ExecContext(ctx, append(args, key)...))
		if added {
			w.rows.events++
		}
		if err != nil || added {
			return err
		}
		var there []byte
		if err := stored.QueryRowContext(ctx, key).Scan(&there); err != nil {
			return err
		}
		if string(there) == string(id[:]) {
			return nil
		}
	}
}

func (w *writer) event(ctx context.Context, e *tallyman.Event) error {
	var words [3]int64
	for i, s := range [...]string{e.Host, e.Witness, e.Kind} {
		id, err := w.dims.word(ctx, s)
		if err != nil {
			return err
		}
		words[i] = id
	}
	client, err := w.dims.address(ctx, unmapped(e.Client))
	if err != nil {
		return err
	}
	server, err := w.dims.address(ctx, unmapped(e.Server))
	if err != nil {
		return err
	}
	err = w.once(ctx, w.addEvent, w.eventID, e.ID, e.ID[:], micros(tallyman.Clean(e.At)), words[0], words[1], words[2],
		client, int64(e.Client.Port()), server, int64(e.Server.Port()), []byte(e.User), int64(e.Proc.PID), e.Proc.Start,
		[]byte(e.Exe), []byte(e.Path), []byte(e.ToClass), []byte(e.Device), []byte(e.Login), []byte(e.Session), []byte(e.Text))
	if err != nil {
		return fmt.Errorf("insert event %s: %w", e.ID, err)
	}
	return nil
}

func (w *writer) gap(ctx context.Context, g *tallyman.Gap) error {
	host, err := w.dims.word(ctx, g.Host)
	if err != nil {
		return err
	}
	witness, err := w.dims.word(ctx, g.Witness)
	if err != nil {
		return err
	}
	err = w.once(ctx, w.addGap, w.gapID, g.ID, g.ID[:], micros(tallyman.Clean(g.To)), host, witness,
		micros(tallyman.Clean(g.From)), known(g.Lost), []byte(g.Why))
	if err != nil {
		return fmt.Errorf("insert gap %s: %w", g.ID, err)
	}
	return nil
}

func (w *writer) finding(ctx context.Context, f *tallyman.Finding) error {
	about := make([]byte, 0, 16*len(f.About))
	for _, id := range f.About {
		about = append(about, id[:]...)
	}
	err := w.once(ctx, w.addFinding, w.findingID, f.ID, f.ID[:], micros(tallyman.Clean(f.At)), []byte(f.Rule), int64(f.Severity),
		about, []byte(f.Key), []byte(f.Why))
	if err != nil {
		return fmt.Errorf("insert finding %s: %w", f.ID, err)
	}
	return nil
}

// sheet is one of the three tables from which a list of events is made.
type sheet struct {
	table, selected, from string
	term                  func(tallyman.Term) (where.Condition, error)
	scan                  func(scanner) (tallyman.Record, place, error)
}

func (s *Store) sheets() []sheet {
	return []sheet{
		{
			table: "event",
			selected: `t.pk, t.id, t.at, h.text, w.text, k.text, c.ip, t.port, s.ip, t.server_port, t.user_name, t.pid, t.proc_start,
t.exe, t.path, t.to_class, t.device, t.login, t.session, t.text`,
			from: `event t LEFT JOIN word h ON h.id = t.host LEFT JOIN word w ON w.id = t.witness LEFT JOIN word k ON k.id = t.kind
LEFT JOIN address c ON c.id = t.client LEFT JOIN address s ON s.id = t.server`,
			term: s.engine.Event, scan: scanEvent,
		},
		{
			table:    "gap",
			selected: "t.pk, t.id, t.at, h.text, w.text, t.start, t.lost, t.why",
			from:     "gap t LEFT JOIN word h ON h.id = t.host LEFT JOIN word w ON w.id = t.witness",
			term:     s.engine.Gap, scan: scanGap,
		},
		{
			table:    "finding",
			selected: "t.pk, t.id, t.at, t.rule, t.severity, t.about, t.topic, t.why",
			from:     "finding t",
			term:     s.engine.Finding, scan: scanFinding,
		},
	}
}

func scanEvent(scan scanner) (tallyman.Record, place, error) {
	e := new(tallyman.Event)
	var p place
	var id, client, server, user, exe, path, class, device, login, session, text []byte
	var host, witness, kind []byte
	var port, serverPort uint16
	err := scan(&p.key, &id, &p.at, &host, &witness, &kind, &client, &port, &server, &serverPort, &user, &e.Proc.PID, &e.Proc.Start,
		&exe, &path, &class, &device, &login, &session, &text)
	if err != nil {
		return nil, p, err
	}
	copy(e.ID[:], id)
	e.At, e.Host, e.Witness, e.Kind = moment(p.at), string(host), string(witness), string(kind)
	e.User, e.Exe, e.Path, e.ToClass, e.Device = string(user), string(exe), string(path), string(class), string(device)
	e.Login, e.Session, e.Text = string(login), string(session), string(text)
	if e.Client, err = addrPort(client, port); err != nil {
		return nil, p, err
	}
	e.Server, err = addrPort(server, serverPort)
	return e, p, err
}

func scanGap(scan scanner) (tallyman.Record, place, error) {
	g := new(tallyman.Gap)
	var p place
	var id, host, witness, why []byte
	var start int64
	var lost sql.NullInt64
	if err := scan(&p.key, &id, &p.at, &host, &witness, &start, &lost, &why); err != nil {
		return nil, p, err
	}
	copy(g.ID[:], id)
	g.Host, g.Witness, g.From, g.To = string(host), string(witness), moment(start), moment(p.at)
	g.Lost, g.Why = orUnknown(lost), string(why)
	return g, p, nil
}

func scanFinding(scan scanner) (tallyman.Record, place, error) {
	f := new(tallyman.Finding)
	var p place
	var id, rule, about, topic, why []byte
	if err := scan(&p.key, &id, &p.at, &rule, &f.Severity, &about, &topic, &why); err != nil {
		return nil, p, err
	}
	copy(f.ID[:], id)
	for one := range slices.Chunk(about, 16) {
		f.About = append(f.About, tallyman.UUID(one))
	}
	f.At, f.Rule, f.Key, f.Why = moment(p.at), string(rule), string(topic), string(why)
	return f, p, nil
}
