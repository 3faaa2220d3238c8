package sqlstore

import "tallyman/ledger/sqlstore/where"

// Dialect is what engines say differently. Everything else in this package is SQL that SQLite, MariaDB and PostgreSQL understand alike.
type Dialect struct {
	// Begin opens a transaction that may write.
	Begin string
	// Size asks for the bytes that the rows occupy.
	Size string
	// Bind rewrites the placeholders ? of a statement.
	Bind func(query string) string
	// Insert inserts a row unless one with its key exists, and reports 0 rows affected then.
	Insert func(table string, columns ...string) string
	// Put inserts a row, or sets the columns of the one that has its key. The key comes last.
	Put func(table, key string, columns ...string) string
	// Add inserts a row, or adds to the sums of the one that has its keys.
	Add func(table string, keys, sums []string) string
	// Match is a condition that holds when the whole of a column of bytes fits a pattern, as Fits says.
	Match func(column, pattern string) (condition string, args []any)
	// Holds is a condition with one placeholder: the bytes in a column hold those of the argument.
	Holds func(column string) string
	// Lower is a column of bytes in which A-Z became a-z.
	Lower func(column string) string
	// Busy reports whether a statement that ended in the error may do better when it is tried again.
	Busy func(error) bool
}

// Fits is the comparison that a dialect gives an engine which has none of its own: the whole text fits the pattern, as package query defines it.
func Fits(pattern, text string) bool { return where.Fits(pattern, text) }
