// Package data is the data connection of FTP: ports that wait for one client, connections to it, TLS bound to its control connection, and what
// the kernel knows of how a connection ended.
//
//	Listen ──▶ Port ──strangers are closed and told──▶ the client's connection ──Guard──▶ Conn: Read, Write with a deadline each; Notified
//	Dial (active mode) ─────────────────────────────▶
//	Watch ──▶ how many bytes the peer has not acknowledged, and whether it reset
//
// It promises: a port is bound to the address of the control connection and serves one client, whoever else knocks; a connection under TLS that does not
// resume the session of its control connection is told apart; a close_notify is told from a bare FIN; no call waits for ever.
//
// What the bytes mean, and what is recorded, it leaves to its caller.
package data
