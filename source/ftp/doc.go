// Package ftp serves files by FTP and FTPS and records every transfer as the witness "server".
//
//	control connection ──line──▶ session ──▶ engine (pure) ──▶ replies, orders, evidence
//	                                │  ▲
//	                                │  └── what became of them
//	                                ├──▶ Files    what an account may see and do
//	                                ├──▶ data     ports, TLS, the end of a data connection
//	                                ├──▶ move     bytes between a file and a data connection, with their digest
//	                                └──▶ record ──▶ Recorder
//
// It promises: an upload is answered with 226 only after it is synced, recorded and renamed; what was cut, reset, broken off or sent by a client whose
// control connection is gone leaves no trace but its record, and the old file stays; a data connection belongs to the client of its control connection, and
// under TLS to its login; a session holds a bounded amount of memory, and every wait has an end.
//
// It leaves to others: the meaning of commands (engine), lines and paths (command), names and files (Files), who may log in (Accounts), verdicts (the join).
package ftp
