// Package engine makes observations of events: which file or folder was created, changed, renamed, deleted, linked or given other rights. It is
// a pure machine:
//
//	Event (what the kernel told) ──Take──▶ look at the object (Eyes) ──▶ compare with the index ──▶ Seen (what happened)
//	time ──Tick──▶                 the same, of files that stay open
//	Scan ──▶ look at all           ──▶ the same, of what nobody saw happen
//
// The kernel merges events of one object that wait together, and then their order and number are lost. So no conclusion is drawn from the order of
// bits: the object is looked at, and what the index says it was before is compared with what it is. Renames are events of their own and never lost
// but for one repeated within one batch; what such merging leaves wrong is found by looking at the name once the queue is empty, twice, so that no
// event which is still to come is foretold (Drained).
//
// A new file is told when it is closed, with its final size; one that stays open after a second of rest, and after ten at the latest. A change is
// told in the same way, and of a file that stays open ever more rarely: after 10, 20, 40 seconds, up to ten minutes.
//
// It leaves to others where events come from, who a process is, and what is done with what was seen.
package engine
