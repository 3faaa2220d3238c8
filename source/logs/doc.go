// Package logs is the witness "log": it reads what other people's servers write about their transfers, and records it as evidence.
//
//	journal ─┐
//	tail    ─┼─> entry ─> format.Reader ─> evidence ─> Recorder.Commit ─> the place is kept in STATE/logs
//	devlog  ─┘
//
// It promises:
//   - A place is kept only after its evidence is on stable storage. A restart loses nothing and doubles nothing; a crash between both may give the
//     last batch once more.
//   - What could not be read is told: a gap says when and why. A refused line is counted by its reason, and the newest are kept as they came.
//   - An input that fails does not end the others; it is tried again.
//   - Nothing is written to the servers' own files.
//
// What a line means is for format; what it is worth beside other witnesses is for the join. Failed logins that wait for a later line (see format)
// are told after a few seconds, or at the end.
package logs
