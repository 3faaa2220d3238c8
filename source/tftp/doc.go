// Package tftp serves files by TFTP and records every request as the witness "server".
//
//	request ports ──> loop ──────────────────────────────> transfer ports
//	                  │ halfopen  how many may be unanswered
//	                  │ engine    what to send, store or end, and when (pure)
//	                  │ lane      ports that transfers leave from and come back to
//	                  │ wheel     deadlines
//	                  │ content   wire bytes of files ──> workers: write, sync, rename, record
//	                  ├──> threads: one or two long lockstep reads
//	                  └──> record ──> Recorder
//
// It promises: nothing but an answer to a valid request is ever sent, from the
// address that was asked, and (but with a single port) never from the request
// port; an upload is acknowledged only after Files has stored it and the Recorder
// has its closing evidence on stable storage; nothing that waits for a disk runs in
// the loop but the opening and reading of files; a client that falls silent,
// floods or lies costs a bounded amount of memory.
//
// It leaves to others: the meaning of packets (packet, engine), system calls
// (udp), names and files (Files), who may ask (Gate), verdicts and boot searches (the join).
package tftp
