package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"slices"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"tallyman/ledger/sqlstore"
)

// dialect is what SQLite says in its own way.
func dialect() sqlstore.Dialect {
	return sqlstore.Dialect{
		Begin: "BEGIN IMMEDIATE",
		Size: "SELECT (p.page_count - f.freelist_count) * s.page_size FROM " +
			"pragma_page_count() p, pragma_freelist_count() f, pragma_page_size() s",
		Bind: func(query string) string { return query },
		Insert: func(table string, columns ...string) string {
			return insert(table, columns) + " ON CONFLICT DO NOTHING"
		},
		Put: func(table, key string, columns ...string) string {
			var set []string
			for _, c := range columns {
				set = append(set, c+" = excluded."+c)
			}
			return insert(table, append(columns, key)) + " ON CONFLICT (" + key + ") DO UPDATE SET " + strings.Join(set, ", ")
		},
		Add: func(table string, keys, sums []string) string {
			var set []string
			for _, c := range sums {
				set = append(set, c+" = "+c+" + excluded."+c)
			}
			return insert(table, slices.Concat(keys, sums)) +
				" ON CONFLICT (" + strings.Join(keys, ", ") + ") DO UPDATE SET " + strings.Join(set, ", ")
		},
		Match: func(column, pattern string) (string, []any) { return fits + "(" + column + ", ?)", []any{pattern} },
		Lower: func(column string) string { return "CAST(lower(" + column + ") AS BLOB)" },
		Holds: func(column string) string { return "instr(" + column + ", ?) > 0" }, // by bytes, since both are blobs (lang_corefunc.html)
		Busy:  busy,
	}
}

func insert(table string, columns []string) string {
	return "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES (" +
		strings.TrimSuffix(strings.Repeat("?, ", len(columns)), ", ") + ")"
}

// fits is the name of sqlstore.Fits in SQL. GLOB would read UTF-8 and take different broken sequences for one.
const fits = "tally_fits"

// newDriver returns a driver of our own, so that the function is added to no other database of the process.
func newDriver() (*sqlite.Driver, error) {
	d := &sqlite.Driver{}
	err := d.RegisterDeterministicScalarFunction(fits, 2, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		pattern, _ := args[1].(string)
		switch text := args[0].(type) {
		case []byte:
			return sqlstore.Fits(pattern, string(text)), nil
		case string:
			return sqlstore.Fits(pattern, text), nil
		default:
			return false, nil
		}
	})
	return d, err
}

// connector opens connections of a driver that is registered nowhere.
type connector struct {
	driver driver.Driver
	source string
}

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.source) }
func (c connector) Driver() driver.Driver                        { return c.driver }

// busy reports whether another process held a lock for too long.
func busy(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	code := e.Code() & 0xff // the primary result code (rescode.html)
	return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_LOCKED
}
