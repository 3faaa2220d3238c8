// Package sqlstore is what all ledgers on SQL databases share: the rows, the roll-ups, the watermark, and the questions.
//
//	Batch --Write--> one transaction: rows + evidence + roll-ups (new - old revision) + watermark --commit--> day images
//	Query --> plan: which index --> pages of rows, newest first         Stats --> day images, filled from roll-ups
//
// A store (ledger/sqlite) hands it two database handles, a Dialect of a few functions, and a schema that its migrations made; the
// columns are those of ledger/sqlite/migrations.
//
// Promises: a batch is in the ledger wholly or not at all, once, however often it is written. Roll-ups equal a recount of the rows (Recount
// checks it). A list never holds a read transaction open across pages, and yields each record at most once while writes go on.
// Lists follow an index, tiles read roll-ups: neither grows with the ledger.
//
// One process writes. Write, Prune and the readers may be called by many goroutines: writers take turns in the order of their coming,
// readers wait for nobody.
//
// Opening, migrating, backing up and the size of the file are left to the stores; when to prune, and the record that tells of it, to the caller.
package sqlstore
