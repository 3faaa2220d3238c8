// Package tallyman holds the words of Tallyman: what a witness saw (Evidence), what the evidence proves (Transfer, Verdict,
// Reason), and the few interfaces by which the rooms of the house meet (Recorder, Source, Sink, Ledger).
//
// A tallyman counts goods where they change hands. Every file transfer, whoever serves it, gets one record with a proven
// verdict:
//
//	source/* --Evidence--> Recorder (spool) --> join --Transfer--> rule --> Ledger, Sinks --> web and command line
//
// Data flows one way. Two things flow back, neither of them a record: an acknowledgement (a number, after the ledger has
// committed) and an order (stop, reload).
//
// This package imports the standard library alone, does no I/O, reads no clock and starts no goroutine. Everybody imports it; it imports nobody.
package tallyman
