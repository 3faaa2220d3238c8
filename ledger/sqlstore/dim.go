package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// How many values of each dimension the writer remembers. What it has forgotten is looked up again.
const (
	mostWords     = 4096
	mostFiles     = 1 << 16
	mostAddresses = 1 << 14
	mostTraits    = 4096
	mostShapes    = 4096
)

// dim is one dimension table: values that many rows share, under a small id. Ids are given here, since one process writes.
type dim[K comparable] struct {
	table  string
	known  *recent[K]
	find   *sql.Stmt
	add    *sql.Stmt
	newest *sql.Stmt
	next   int64
}

// id returns the id of the value. columns gives what is stored of a new value, its unique column first.
func (d *dim[K]) id(ctx context.Context, value K, columns func(K) []any) (int64, error) {
	if id, ok := d.known.get(value); ok {
		return id, nil
	}
	args := columns(value)
	id, err := d.lookUp(ctx, args[0])
	if errors.Is(err, sql.ErrNoRows) {
		id, err = d.insert(ctx, args)
	}
	if err != nil {
		return 0, fmt.Errorf("look up %s: %w", d.table, err)
	}
	d.known.put(value, id)
	return id, nil
}

func (d *dim[K]) lookUp(ctx context.Context, unique any) (id int64, err error) {
	err = d.find.QueryRowContext(ctx, unique).Scan(&id)
	return id, err
}

func (d *dim[K]) insert(ctx context.Context, args []any) (int64, error) {
	if d.next == 0 {
		if err := d.newest.QueryRowContext(ctx).Scan(&d.next); err != nil {
			return 0, err
		}
	}
	d.next++
	_, err := d.add.ExecContext(ctx, append(args, d.next)...)
	return d.next, err
}

// forget drops what an undone transaction, or another writer, has made doubtful.
func (d *dim[K]) forget() {
	d.known.clear()
	d.next = 0
}

// open prepares the statements. The first column is the unique one.
func (d *dim[K]) open(ctx context.Context, p *preparer, table string, most int, columns ...string) {
	d.table, d.known = table, newRecent[K](most)
	d.find = p.prepare(ctx, "SELECT id FROM "+table+" WHERE "+columns[0]+" = ?")
	d.add = p.prepare(ctx, p.dialect.Insert(table, append(columns, "id")...))
	d.newest = p.prepare(ctx, "SELECT coalesce(max(id), 0) FROM "+table)
}

// preparer prepares statements and keeps the first error.
type preparer struct {
	conn    *sql.Conn
	dialect *Dialect
	all     []*sql.Stmt
	err     error
}

func (p *preparer) prepare(ctx context.Context, query string) *sql.Stmt {
	if p.err != nil {
		return nil
	}
	st, err := p.conn.PrepareContext(ctx, p.dialect.Bind(query))
	if err != nil {
		p.err = fmt.Errorf("prepare %q: %w", query, err)
		return nil
	}
	p.all = append(p.all, st)
	return st
}

func (p *preparer) close() {
	for _, st := range p.all {
		_ = st.Close()
	}
}
