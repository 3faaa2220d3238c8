// Package engine is one FTP session as a pure machine: what the client says and what became of the data connection go in, with the time; replies, orders and
// evidence come out, with the time at which the machine wants to be asked again.
//
//	Line, LoggedIn, Listening, Opened, Moved, Stored, Did, State, Lost, Tick  ──▶ Machine ──▶ Next: Reply, Open, Move, Store, Begin, Finish, ...
//	                                                                              └──▶ Deadline
//
// It promises:
//   - An upload is answered with 226 only after Store was answered without an error, and Store is asked for only when the data connection ended well: by
//     close_notify under TLS, with the control connection alive.
//   - A transfer is complete only when its final reply was acknowledged and the control connection lived on: a further command, or a second without a
//     reset, or an orderly end that no reset follows.
//   - Each Begin is followed by one Finish, whatever the client does. Every command has an answer, in order, while the connection stands.
//   - What waits is bounded: commands behind a running transfer, logins, silence.
//
// RFC 959, 1123, 2228, 2389, 2428, 2640, 3659, 4217. Sockets, files and clocks are the driver's.
package engine
