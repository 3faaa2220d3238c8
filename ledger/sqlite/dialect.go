package sqlite

import (
	"errors"
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
			return insert(table, append(keys[:len(keys):len(keys)], sums...)) +
				" ON CONFLICT (" + strings.Join(keys, ", ") + ") DO UPDATE SET " + strings.Join(set, ", ")
		},
		Match: match,
		Holds: func(column string) string { return "instr(" + column + ", ?) > 0" },
		Busy:  busy,
	}
}

func insert(table string, columns []string) string {
	return "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES (" +
		strings.TrimSuffix(strings.Repeat("?, ", len(columns)), ", ") + ")"
}

// match compares bytes where the pattern is a piece of text between stars: instr and substr do so on blobs (lang_corefunc.html), while GLOB
// reads UTF-8 and takes different broken sequences for one. All other patterns are compared by GLOB as well, and each of their pieces by bytes.
func match(column, pattern string) (string, []any) {
	pieces := strings.FieldsFunc(pattern, func(r rune) bool { return r == '*' || r == '?' })
	var conditions []string
	var args []any
	plain := !strings.Contains(pattern, "?") && len(pieces) == 1
	if plain {
		piece := []byte(pieces[0])
		switch open, end := strings.HasPrefix(pattern, "*"), strings.HasSuffix(pattern, "*"); {
		case open && !end:
			return "substr(" + column + ", -length(?)) = ?", []any{piece, piece}
		case !open && end:
			return "substr(" + column + ", 1, length(?)) = ?", []any{piece, piece}
		case !open && !end:
			return column + " = ?", []any{piece}
		}
	}
	for _, piece := range pieces {
		conditions = append(conditions, "instr("+column+", ?) > 0")
		args = append(args, []byte(piece))
	}
	if !plain {
		conditions = append(conditions, column+" GLOB ?")
		args = append(args, strings.ReplaceAll(pattern, "[", "[[]"))
	}
	return strings.Join(conditions, " AND "), args
}

// busy reports whether another process held a lock for too long.
func busy(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	code := e.Code() & 0xff // the primary result code (rescode.html)
	return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_LOCKED
}
