// Package sqlite is the default ledger: one file, no server, for one site. It opens and migrates the file, says what SQLite says in its own way, and
// copies the ledger while it is written; rows, roll-ups and questions are those of ledger/sqlstore.
//
//	Write, Prune --> one connection (WAL, synchronous FULL, BEGIN IMMEDIATE) --> tallyman.db, tallyman.db-wal
//	Transfers, Events, Stats --> a few read-only connections ----------------^
//
// It promises that a batch whose Write returned nil survives kill -9 and power cut, and that readers never wait for the writer. A file that another
// program made, or a newer Tallyman, is refused and left as it is.
package sqlite
