// Package watch brings the witnesses to the servers of other makers: it finds these, sends each witness to where it can see them, and says what that proves.
//
//	servers.Scan ──▶ plan: which folders, logs, ports ──▶ files, log, wire ──Evidence──▶ Recorder
//	(every few seconds)                    │
//	                                       └──▶ coverage: per server and witness, what is proven, what would prove more
//
// It promises: a server that starts later is watched from the next look on, and a witness that had to begin again for that tells the gap. What an
// ended server left is watched on, so that its restart costs no gap. A witness that cannot work keeps none of the others from it, and is tried again.
//
// It touches no server. It leaves to others: what the evidence amounts to (join), and how a person is told.
package watch
