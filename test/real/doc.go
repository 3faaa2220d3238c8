// Package real tries the built program as people use it: real TFTP clients, clients with the manners of real devices, real file systems,
// real namespaces, real signals. Everything in it carries the build tag "real" and needs root on Linux:
//
//	go test -tags real ./test/real
//
//	curl, tftp-hpa, atftp, busybox, device ──(relay, veth+nft)──> tallyman serve ──> API by the socket ──> watch
//	        content compared on both sides                                              record compared with what happened
//
// It promises that each test knows what truly happened, byte for byte, and compares the record with that; that a missing client or tool
// fails a test and never passes it by; that each test removes its mounts and namespaces.
//
// It leaves to the rooms what can be told without a process: protocol behaviours to source/tftp, file operations to tree and spool, each killed
// file operation to cmd/tallyman.
package real
