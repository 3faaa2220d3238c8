// Package pipe runs the stages between the sources and the stores, in one direction:
//
//	sources ──Record, Commit──▶ spool ──▶ join, rule ──▶ ledger ──▶ live feed
//	                        (on the disk)   │
//	                                        └──▶ outbox (a spool) ──▶ each sink at its own pace
//
// It promises:
//   - Record never waits for a disk or a store. What the spool cannot take is counted, and a gap says so as soon as there is room.
//   - Commit returns nil only when the evidence is on stable storage.
//   - Evidence reaches the ledger once: the place up to which it is contained is committed with the records, in one transaction. After a
//     crash the spool is read again from there, and what runs is restored from the ledger.
//   - A ledger that is slow or down holds back the backlog in the spool, nothing else. A sink that is slow or down holds back only itself.
//   - A record that the ledger does not take while it takes others is set aside, and a gap takes its place: it holds back nothing.
//   - A transfer that was running when the program died is looked at again (Orphan) before new evidence is taken.
//
// The same pipe runs in an agent later, with a sink that sends to a hub in the place of the ledger. It leaves to others what evidence
// means (join), what is dangerous (rule), and how things are stored.
//
// Queues: the spool (bytes on disk; when full, Record drops and counts, Commit fails), one batch between spool and ledger (batchSize evidence),
// the outbox (bytes on disk; when full, records for sinks are dropped and counted, the ledger has them).
package pipe
