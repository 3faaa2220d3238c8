// Package journal follows the journal of systemd, entry by entry, from a place that the caller keeps.
//
//	journalctl -f -o json --after-cursor=C --> one object in a line --> Entry, with its cursor --> batches to the caller
//
// It promises:
//   - The boundary of a message is certain: what a program sent in one piece is one Entry, whatever bytes it holds.
//   - From a cursor on nothing is left out and nothing comes twice, also when journalctl ends and is started again. Where the journal itself has
//     forgotten entries (vacuum, rotation, rate limit), a Gap says so.
//   - The cursor of a batch is for the caller to keep, after the batch is safe.
//   - A child runs only as long as Run does.
//
// There is no reader of journal files in Go without C: the child is journalctl. What a message means is left to the formats.
package journal
