// Package live is the live feed: records on their way from the pipe to open pages, as server-sent events (WHATWG HTML, section 9.2).
//
//	pipe --Batch--> Feed (a Sink) --ring of 4,096 records--> Serve, one for each viewer, at most four batches a second
//	                never waits
//
// It promises: nothing that a viewer does slows a transfer; the first record comes at once; a viewer that comes back goes on where it was, from the
// ring or else from the ledger; one that has missed records is told to load the lists again (resync), one that takes nothing is disconnected, and both are
// counted. No label of a metric holds an address or a name.
//
// It leaves to package web who may watch, what the query means, and what the parts of the program say about themselves.
package live
