// Package tftp serves files by TFTP and records every request as the witness "server".
//
//	request ports ──> loop ──────────────────────────────> transfer ports
//	                  │ table   one transfer per client address and port, operation and name
//	                  │ engine  what to send, store or end, and when (pure)
//	                  │ lanes   sockets that transfers leave from and come back to
//	                  │ wheel   deadlines
//	                  ├──> threads   one or two long lockstep reads
//	                  ├──> writers   bytes of uploads to the temporary file
//	                  ├──> closers   sync, rename, evidence on stable storage; then the last ACK
//	                  └──> Recorder  evidence
//
// It promises: nothing but an answer to a valid request is ever sent, never from
// the request port, and from the address that was asked; an upload is acknowledged
// only after Files has stored it and the Recorder has its closing evidence on
// stable storage; nothing that waits for a disk runs in the loop but the opening
// and reading of files; a client that falls silent, floods or lies costs a bounded
// amount of memory.
//
// It leaves to others: the meaning of packets (packet, engine), system calls
// (udp), names and files (Files), who may ask (Gate), verdicts and boot searches (the join).
package tftp
