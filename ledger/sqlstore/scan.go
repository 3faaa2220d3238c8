package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"strings"

	"tallyman"
)

// selected are the columns from which a transfer is read, and joinedTables the tables that hold them: joined from the left, so that no planner begins
// with a dimension.
const (
	selected = `t.pk, t.id, t.rev, t.merged, t.start, t.took, t.seen, h.text, p.text, t.op, t.verdict, t.reason, t.content, t.flags,
c.ip, t.port, s.ip, t.server_port, f.name, t.path, t.new_path, t.expected, t.bytes, t.digest,
x.user_name, x.who_why, x.exe, x.software, x.session, x.to_class, x.device, x.root, x.witnesses, x.against, x.tags, x.reason,
t.login, t.pid, t.proc_start, d.text, t.details`
	joinedTables = `transfer t LEFT JOIN word h ON h.id = t.host LEFT JOIN word p ON p.id = t.proto LEFT JOIN trait x ON x.id = t.trait
LEFT JOIN address c ON c.id = t.client LEFT JOIN address s ON s.id = t.server LEFT JOIN file f ON f.id = t.file
LEFT JOIN shape d ON d.id = t.shape`
)

// found is a transfer as it was read, with its place in the order of lists.
type found struct {
	t     *tallyman.Transfer
	place place
	body  []byte
}

// rawRow is a row before its columns are understood. Its buffers belong to the driver until the next row.
type rawRow struct {
	key, start, seen, reason, flags                    int64
	id, merged, host, proto                            sql.RawBytes
	took, expected, bytes                              sql.NullInt64
	client, server                                     sql.RawBytes
	port, serverPort                                   uint16
	name, path, newPath, digest, login, shape, details sql.RawBytes
	user, whoWhy, exe, software, session               sql.RawBytes
	toClass, device, root, witnesses, against, tags    sql.RawBytes
	otherReason, body                                  sql.RawBytes
}

func scanTransfer(scan scanner, evidence bool) (found, error) {
	var r rawRow
	t := new(tallyman.Transfer)
	to := []any{
		&r.key, &r.id, &t.Rev, &r.merged, &r.start, &r.took, &r.seen, &r.host, &r.proto, &t.Op, &t.Judgement.Verdict, &r.reason, &t.Content,
		&r.flags, &r.client, &r.port, &r.server, &r.serverPort, &r.name, &r.path, &r.newPath, &r.expected, &r.bytes, &r.digest,
		&r.user, &r.whoWhy, &r.exe, &r.software, &r.session, &r.toClass, &r.device, &r.root, &r.witnesses, &r.against, &r.tags, &r.otherReason,
		&r.login, &t.Proc.PID, &t.Proc.Start, &r.shape, &r.details,
	}
	if evidence {
		to = append(to, &r.body)
	}
	if err := scan(to...); err != nil {
		return found{}, fmt.Errorf("read transfer: %w", err)
	}
	if err := r.into(t); err != nil {
		return found{}, fmt.Errorf("read transfer %s: %w", t.ID, err)
	}
	f := found{t: t, place: place{r.start, r.key}}
	if len(r.body) > 0 {
		f.body = append(f.body, r.body...)
	}
	return f, nil
}

// into sets the fields of t that scan does not set itself.
func (r *rawRow) into(t *tallyman.Transfer) (err error) {
	copy(t.ID[:], r.id)
	copy(t.Merged[:], r.merged)
	t.Start, t.Seen = moment(r.start), moment(r.seen)
	if r.took.Valid {
		t.End = moment(r.start + r.took.Int64)
	}
	t.Host, t.Proto = string(r.host), string(r.proto)
	if t.Client, err = addrPort(r.client, r.port); err != nil {
		return err
	}
	if t.Server, err = addrPort(r.server, r.serverPort); err != nil {
		return err
	}
	t.Name, t.Path = string(r.name), string(r.path)
	switch {
	case r.flags&unnamed != 0:
		t.Name, t.Path = "", t.Name
	case r.flags&rooted != 0:
		t.Path = string(r.root) + t.Name
	}
	t.NewPath, t.Login, t.Details = string(r.newPath), string(r.login), string(r.details)
	if r.shape != nil {
		t.Details = fill(r.shape, r.details)
	}
	t.User, t.WhoWhy, t.Exe, t.Software = string(r.user), string(r.whoWhy), string(r.exe), string(r.software)
	t.Session, t.ToClass, t.Device = string(r.session), string(r.toClass), string(r.device)
	t.Judgement.For, t.Judgement.Against, t.Tags = split(string(r.witnesses)), split(string(r.against)), split(string(r.tags))
	t.Judgement.Reason = reasonOf(r.reason, r.otherReason)
	t.Expected, t.Bytes = orUnknown(r.expected), orUnknown(r.bytes)
	t.Digest = digestOf(r.digest)
	return nil
}

func reasonOf(number int64, other []byte) tallyman.Reason {
	if list := tallyman.Reasons(); number > 0 && int(number) <= len(list) {
		return list[number-1]
	}
	return tallyman.Reason(other)
}

func orUnknown(n sql.NullInt64) int64 {
	if !n.Valid {
		return -1
	}
	return n.Int64
}

// addrPort keeps the port of a party whose address is not known.
func addrPort(ip []byte, port uint16) (netip.AddrPort, error) {
	if len(ip) == 0 {
		return netip.AddrPortFrom(netip.Addr{}, port), nil
	}
	a, err := ipOf(ip)
	return netip.AddrPortFrom(a, port), err
}

// unpack gives the transfer its evidence.
func (f *found) unpack(ctx context.Context, agent func(context.Context, int64) (tallyman.Agent, error)) error {
	if f.body == nil {
		return nil
	}
	var unknown error
	err := unpack(f.body, f.t, func(row int64) (a tallyman.Agent) {
		if row != 0 {
			a, unknown = agent(ctx, row)
		}
		return a
	})
	if unknown != nil {
		return fmt.Errorf("read agent of %s: %w", f.t.ID, unknown)
	}
	return err
}

// agentOf names the agent of a row. Rows of agents stay for ever, so that they are remembered.
func (s *Store) agentOf(ctx context.Context, row int64) (a tallyman.Agent, err error) {
	if known, ok := s.agents.Load(row); ok {
		return known.(tallyman.Agent), nil
	}
	var b []byte
	err = s.read.QueryRowContext(ctx, s.dialect.Bind("SELECT agent FROM agent WHERE id = ?"), row).Scan(&b)
	if err == nil {
		copy(a[:], b)
		s.agents.Store(row, a)
	}
	return a, err
}

// list is a list of placeholders.
func list(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }
